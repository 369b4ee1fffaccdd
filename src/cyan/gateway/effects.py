"""The closed list of what a conversation can ask of the link."""

from collections.abc import Callable
from typing import TypeAlias

import msgspec
from sqlalchemy import Connection

from cyan.devices.presence import PresenceRow
from cyan.events.model import Event
from cyan.wire.messages import Hello, Subscribe

Work: TypeAlias = Callable[[Connection], None]


class Reply(msgspec.Struct, frozen=True, gc=False):
    """Answer the message in hand with these bytes, now; none are the empty acknowledgement."""

    data: bytes = b""


class LogEvent(msgspec.Struct, frozen=True, gc=False):
    """Append the event to the log and acknowledge the message in hand once it is committed."""

    event: Event


class Save(msgspec.Struct, frozen=True):
    """Commit the session and `works`, then answer with `reply`, then do `after`.

    Without a `reply` one of the effects in `after` answers. When the commit fails the message is
    not answered and may come again.
    """

    works: tuple[Work, ...] = ()
    reply: bytes | None = b""
    after: "tuple[Effect, ...]" = ()


class Admit(msgspec.Struct, frozen=True):
    """Hello came: compare the id it claims with the key that the handshake proved."""

    hello: Hello


class Listen(msgspec.Struct, frozen=True):
    """Deliver the events that this subscription asks for."""

    subscription: Subscribe


class Emit(msgspec.Struct, frozen=True):
    """A cloud-made system event of this device, for the streams of people."""

    name: str
    data: str


class Tell(msgspec.Struct, frozen=True):
    """A cloud-made event to this device alone."""

    name: str
    data: str | bytes


class Announce(msgspec.Struct, frozen=True):
    """Tell the other parts of the server a fact that is committed."""

    fact: object


class Ask(msgspec.Struct, frozen=True):
    """Ask the device for one of its describes (`cyan.wire.messages.SYSTEM` and its like)."""

    flags: int
    after_s: float = 0.0


class Claim(msgspec.Struct, frozen=True):
    """The device presents a claim code: use it, then do `after`, whatever came of it.

    When the database could not tell, the message is not answered and may come again.
    """

    code: str
    after: "tuple[Effect, ...]"

    def __repr__(self) -> str:
        """Without the code, which is a secret."""
        return "Claim()"


class Greet(msgspec.Struct, frozen=True):
    """Send the server's own Hello."""


class Arrive(msgspec.Struct, frozen=True):
    """The device is online from now on, as `stored` says, which is committed already."""

    stored: PresenceRow


class Leave(msgspec.Struct, frozen=True):
    """The device goes: offline at once, its session kept."""

    reason: str


class End(msgspec.Struct, frozen=True):
    """Send close_notify and forget the session: the device makes a full handshake at once."""

    reason: str


Effect: TypeAlias = (
    Reply
    | LogEvent
    | Save
    | Admit
    | Claim
    | Listen
    | Emit
    | Tell
    | Announce
    | Ask
    | Greet
    | Arrive
    | Leave
    | End
)
