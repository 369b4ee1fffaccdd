"""What a conversation needs: a session, and messages as they came."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from cyan.core.ids import DeviceId, UserId
from cyan.gateway.conversation.events import on_publish
from cyan.gateway.effects import Announce, Effect, Save
from cyan.gateway.session import Session
from cyan.health.model import Link
from cyan.wire import coap
from cyan.wire.dtls.record import Keys
from cyan.wire.messages import Hello, Publish

LAMP = DeviceId("e00fce6800000000000000a1")
ADA = UserId("aaaaaaaaaaaaaaaaaaaaaaaa")
HELLO = Hello(
    product_id=12,
    product_version=7,
    flags=0x20,
    platform_id=12,
    device_id=bytes.fromhex(LAMP),
    system_version=6200,
    max_message_size=1152,
)


def new_session() -> Session:
    """As after a handshake."""
    return Session(b"session1", Keys(bytes(16), bytes(16), bytes(4), bytes(4)), b"public key")


def open_session() -> Session:
    """As after Hello."""
    session = new_session()
    session.device_id = LAMP
    session.hello = HELLO
    return session


def message(message_id: int = 7, token: bytes = b"") -> coap.Message:
    """A confirmable message; what it asks was decoded before."""
    return coap.Message(coap.CON, coap.POST, message_id, token)


@dataclass
class Known:
    """`conversation.about.About` of a device that these values are known of."""

    at_ms: int = 1000
    called: str | None = "attic"
    address: str = "198.51.100.7"
    hash: str | None = None
    describe: str | None = None
    pending: bool = False
    vitals: Link = field(default_factory=lambda: Link(uptime_s=2, published=1))

    def now_ms(self) -> int:
        return self.at_ms

    def name(self) -> str | None:
        return self.called

    def ip_address(self) -> str:
        return self.address

    def random_bytes(self, count: int) -> bytes:
        return bytes(range(count))

    def has_pending_update(self) -> bool:
        return self.pending

    def application_hash(self) -> str | None:
        return self.hash

    def system_describe(self) -> str | None:
        return self.describe

    def link(self, round_trip_ms: int | None = None) -> Link:
        return msgspec.structs.replace(self.vitals, round_trip_ms=round_trip_ms)


def say(
    name: str, data: bytes = b"", known: Known | None = None, session: Session | None = None
) -> tuple[Effect, ...]:
    """What is done when the device publishes this."""
    about = known or Known()
    return tuple(
        on_publish(
            session or open_session(),
            LAMP,
            9,
            Publish(name, data or None),
            owner_id=ADA,
            at_ms=about.at_ms,
            about=lambda: about,
        )
    )


def only_save(effects: Sequence[Effect]) -> Save:
    """The one effect, which keeps something."""
    (save,) = effects
    assert isinstance(save, Save)
    return save


def without_facts(effects: Sequence[Effect]) -> tuple[Effect, ...]:
    """All but what is told to other parts of the server."""
    return tuple(effect for effect in effects if not isinstance(effect, Announce))


def is_work(work: object, function: Callable[..., None], **keywords: object) -> bool:
    """Whether a unit of work calls this function with these values."""
    return isinstance(work, partial) and work.func == function and work.keywords == keywords
