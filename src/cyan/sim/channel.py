"""What is between a device and the network: one channel for each transport, `dtls` and `lightssl`.

A channel is sans-IO: it sends by the device's host and is told what arrives and what time it is.
"""

from typing import Protocol

from cyan.sim.facts import EndReason, Fact
from cyan.sim.session import Memory, Session


class Channel(Protocol):
    """Connects, and carries CoAP messages both ways."""

    session: Session | None
    """What a later connection would resume."""

    def connect(self, now: float) -> None:
        """Begins an attempt from a new local port."""

    def disconnect(self, *, keeps_session: bool) -> None:
        """Ends the connection or the attempt; nothing more arrives."""

    def transmit(self, message: bytes) -> None:
        """Protects and sends one CoAP message; without a connection it is lost."""

    def on_bytes(self, data: bytes, now: float) -> None:
        """Takes a datagram, or a piece of the stream."""

    def on_closed(self, now: float) -> None:
        """The stream has ended, or could not be opened. Datagrams know no such thing."""

    def deadline(self) -> float:
        """When `on_deadline` has to be called."""

    def on_deadline(self, now: float) -> None:
        """Retransmits or gives up as the time has come for it."""


class ChannelUser(Protocol):
    """Who uses a channel: the device."""

    def on_connected(
        self, memory: Memory, now: float, *, is_resumed: bool, first_message_id: int | None = None
    ) -> None:
        """Messages can go. A `first_message_id` begins the device's message ids anew."""

    def on_message(self, content: bytes, now: float) -> None:
        """Something authentic arrived, which may be no CoAP message."""

    def end(self, reason: EndReason, now: float) -> None:
        """The connection or the attempt is over; the channel is disconnected when it returns."""

    def on_fact(self, fact: Fact) -> None:
        """Takes note."""
