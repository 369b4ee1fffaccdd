"""Goodbye: the device announces that it disconnects (device-protocol.md §3.9)."""

from collections.abc import Sequence

from cyan.gateway.effects import Effect, End, Leave, Reply
from cyan.gateway.session import Session
from cyan.wire.messages import Goodbye
from cyan.wire.messages.goodbye import DISCONNECT_REASONS


def on_goodbye(session: Session, goodbye: Goodbye) -> Sequence[Effect]:
    """Acknowledge at once (the device waits for it), offline at once, the session kept: the device
    may resume it after its reset or sleep.

    A connection over TCP ends instead: the device waits for our end of it, and its own may be lost.
    """
    reason = f"goodbye: {DISCONNECT_REASONS.get(goodbye.disconnect_reason or 0, 'unknown')}"
    return (Reply(), End(reason) if session.is_stream else Leave(reason))
