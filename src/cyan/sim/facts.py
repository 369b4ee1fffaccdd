"""What a device tells its host, and what it asks of it."""

from enum import Enum
from typing import Protocol

import msgspec


class State(Enum):
    """Where a device stands. `ONLINE` is what people call breathing cyan."""

    OFFLINE = "offline"
    CONNECTING = "connecting"
    ONLINE = "online"


class EndReason(Enum):
    """Why a connection ended. The first group keeps the session and resumes it."""

    PING_TIMEOUT = "ping timeout"
    PROTOCOL_ERROR = "protocol error"
    RESTART = "restart"
    STOPPED = "stopped"
    SLEEP = "sleep"
    REBOOT = "reboot"
    POWER_CUT = "power cut"

    MESSAGE_TIMEOUT = "message timeout"
    RESET = "reset by the server"
    ALERT = "alert from the server"
    KEY_CHANGE = "key change asked"
    UNKNOWN_MESSAGE = "unknown message from the server"
    HANDSHAKE_FAILED = "handshake failed"
    MEMORY_LOST = "power cut, session lost"
    OTHER_KEYS = "other keys"

    @property
    def keeps_session(self) -> bool:
        """Whether firmware comes back with its session (device-protocol.md §1.4.6, §2.2)."""
        return self in (
            EndReason.PING_TIMEOUT,
            EndReason.PROTOCOL_ERROR,
            EndReason.RESTART,
            EndReason.STOPPED,
            EndReason.SLEEP,
            EndReason.REBOOT,
            EndReason.POWER_CUT,
        )


class StateChanged(msgspec.Struct, frozen=True):
    """`reason` tells why a connection or an attempt ended."""

    state: State
    was_online: bool
    reason: EndReason | None = None


class HandshakeDone(msgspec.Struct, frozen=True):
    """A full handshake, or the first authentic answer to a resumption."""

    resumed: bool


class EventSent(msgspec.Struct, frozen=True, gc=False):
    """An event of the application left for the first time."""

    name: str
    data: bytes


class Outcome(Enum):
    """How an event ended: acknowledged with success, refused by an error code, or given up with
    its connection."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    GIVEN_UP = "given up"


class EventSettled(msgspec.Struct, frozen=True, gc=False):
    """An event has come to its end."""

    name: str
    data: bytes
    outcome: Outcome


class EventSkipped(msgspec.Struct, frozen=True):
    """It was time for an event, and too many still wait for their acknowledgement."""


class EventReceived(msgspec.Struct, frozen=True):
    """An event came from the server."""

    name: str
    data: bytes


class Answered(msgspec.Struct, frozen=True):
    """A request of the server was answered: a function, a variable, a describe, a signal."""

    kind: str
    name: str = ""


Fact = (
    StateChanged
    | HandshakeDone
    | EventSent
    | EventSettled
    | EventSkipped
    | EventReceived
    | Answered
)


class Host(Protocol):
    """What a device needs around it."""

    def send(self, datagram: bytes) -> None:
        """Sends a datagram to the server from the current port; it may be lost."""

    def open_port(self) -> None:
        """Goes on from a new local port; nothing more arrives on the old one."""

    def on_fact(self, fact: Fact) -> None:
        """Takes note."""
