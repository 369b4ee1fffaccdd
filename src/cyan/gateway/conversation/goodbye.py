"""Goodbye: the device announces that it disconnects (device-protocol.md §3.9)."""

from collections.abc import Sequence

from cyan.gateway.effects import Effect, Leave, Reply
from cyan.wire.messages import Goodbye
from cyan.wire.messages.goodbye import DISCONNECT_REASONS


def on_goodbye(goodbye: Goodbye) -> Sequence[Effect]:
    """Acknowledge at once (the device waits for it), offline at once, the session kept: the device
    may resume it after its reset or sleep."""
    reason = DISCONNECT_REASONS.get(goodbye.disconnect_reason or 0, "unknown")
    return (Reply(), Leave(f"goodbye: {reason}"))
