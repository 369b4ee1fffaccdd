"""What a device asks about itself: its name, its public address, some random bytes
(device-protocol.md §3.11). The answer is an event of the same name, to this device alone."""

from collections.abc import Sequence
from typing import Final

from cyan.gateway.conversation.about import SystemEvent
from cyan.gateway.effects import Effect, Reply, Tell

NAME: Final = "name"
ADDRESS: Final = "ip"
RANDOM: Final = "random"

RANDOM_BYTES: Final = 40

NAMES: Final = frozenset(
    f"{prefix}/device/{matter}"
    for prefix in ("particle", "spark")
    for matter in (NAME, ADDRESS, RANDOM)
)


def on_question(event: SystemEvent) -> Sequence[Effect]:
    """Acknowledge the question, then answer it."""
    matter = event.name.rpartition("/")[2]
    if matter == NAME:
        answer: str | bytes = event.about.name() or ""
    elif matter == ADDRESS:
        answer = event.about.ip_address()
    else:
        answer = event.about.random_bytes(RANDOM_BYTES)
    return (Reply(), Tell(event.name, answer))
