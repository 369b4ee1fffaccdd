"""What a device tells its host, and what it asks of it."""

from enum import Enum
from typing import Protocol, runtime_checkable

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
    UPDATE_ERROR = "update error"
    UPDATE_TIMEOUT = "update timeout"

    MESSAGE_TIMEOUT = "message timeout"
    RESET = "reset by the server"
    ALERT = "alert from the server"
    KEY_CHANGE = "key change asked"
    UNKNOWN_MESSAGE = "unknown message from the server"
    HANDSHAKE_FAILED = "handshake failed"
    CLOSED = "closed by the server"
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
            EndReason.UPDATE_ERROR,
            EndReason.UPDATE_TIMEOUT,
        )

    @property
    def is_sudden(self) -> bool:
        """Whether the device could write nothing down before."""
        return self in (EndReason.POWER_CUT, EndReason.MEMORY_LOST)


class StateChanged(msgspec.Struct, frozen=True):
    """`reason` tells why a connection or an attempt ended, `keeps_session` whether its session is
    not lost with it: over TCP it always is."""

    state: State
    was_online: bool
    reason: EndReason | None = None
    keeps_session: bool = False


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
    """It was time for an event, and too many still wait for their acknowledgement, or an update is
    under way."""


class EventReceived(msgspec.Struct, frozen=True):
    """An event came from the server."""

    name: str
    data: bytes


class Answered(msgspec.Struct, frozen=True):
    """A request of the server was answered: a function, a variable, a describe, a signal."""

    kind: str
    name: str = ""


class ClockSet(msgspec.Struct, frozen=True):
    """The device took a message for the time of day, whatever the server meant by it."""

    unix_s: int


class UpdateBegan(msgspec.Struct, frozen=True):
    """The device takes a file of `size_bytes`, the first `offset_bytes` of which it has already."""

    size_bytes: int
    offset_bytes: int


class UpdateEnded(msgspec.Struct, frozen=True):
    """An update has come to its end: with `code` 0 the device restarts to use the file, whose
    SHA-256 is told; else an error of Device OS is why it does not."""

    code: int
    sha256: bytes = b""


class UpdatesPending(msgspec.Struct, frozen=True):
    """The server has told whether an update waits for the device."""

    is_pending: bool


class FaultHappened(msgspec.Struct, frozen=True):
    """A fault of this kind began `at_s` seconds after the device's start, for `for_s` seconds."""

    kind: str
    at_s: float
    for_s: float


Fact = (
    StateChanged
    | HandshakeDone
    | EventSent
    | EventSettled
    | EventSkipped
    | EventReceived
    | Answered
    | ClockSet
    | UpdateBegan
    | UpdateEnded
    | UpdatesPending
    | FaultHappened
)


class Host(Protocol):
    """What a UDP device needs around it."""

    def send(self, data: bytes, /) -> None:
        """Sends a datagram to the server from the current port; it may be lost."""

    def open_port(self) -> None:
        """Goes on from a new local port; nothing more arrives on the old one."""

    def on_fact(self, fact: Fact) -> None:
        """Takes note."""


@runtime_checkable
class StreamHost(Host, Protocol):
    """What a TCP device needs around it: `send` writes to the stream there."""

    def open_stream(self) -> None:
        """Begins to connect to the server. What comes is told by `on_bytes`; that the stream has
        ended, or could not be opened, by `on_closed`, but not before this returns."""

    def close_stream(self) -> None:
        """Closes the stream if there is one; nothing more arrives on it."""
