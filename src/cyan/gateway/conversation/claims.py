"""Claim codes: how a device says whose it is to be (device-protocol.md §3.11)."""

from collections.abc import Sequence
from typing import Final

from cyan.gateway.conversation.about import SystemEvent
from cyan.gateway.effects import Claim, Effect, Reply, Tell

CLAIM_CODE: Final = "spark/device/claim/code"


def on_claim_code(event: SystemEvent) -> Sequence[Effect]:
    """The code is used, or is no good; the same event back makes the device forget it either way.

    It would send a bad code with every handshake otherwise. The code is a secret: it goes into no
    log and no stream.
    """
    code = event.data.decode(errors="replace")
    return (Claim(code, after=(Reply(), Tell(CLAIM_CODE, ""))),)
