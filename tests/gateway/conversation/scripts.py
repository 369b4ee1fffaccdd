"""What a conversation needs: a session, and messages as they came."""

from cyan.core.ids import DeviceId
from cyan.gateway.session import Session
from cyan.wire import coap
from cyan.wire.dtls.record import Keys
from cyan.wire.messages import Hello

LAMP = DeviceId("e00fce6800000000000000a1")
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
