"""What is remembered about a link: small, versioned, survives a restart.

A stored session is one row. What changes with every message (sequence numbers, message ids,
address, when heard) goes to a journal, in batches, and into the row at a start; the cold part
(keys, Hello, subscriptions) is one sealed value with a format number and is written when it
changes, before the device is told.
"""

from typing import Final, TypeVar, cast

import msgspec

from cyan.core.errors import ConfigError
from cyan.core.ids import DeviceId, share_device_id
from cyan.devices.limits import limits_of
from cyan.events.model import MAX_DATA_BYTES
from cyan.wire.blockwise import Reassembly
from cyan.wire.dtls.record import Keys
from cyan.wire.messages import DEVICE_INITIATED_DESCRIBE, Hello, Subscribe

FORMAT: Final = 2
"""Of the cold part. A reader takes this one and the one before it."""

READABLE: Final = (1, FORMAT)
"""Format 1 had no `has_connection_id`, since all sessions had one on the wire, and no
`system_version`, since Hello had it."""

MAX_SUBSCRIPTIONS: Final = 32
"""Firmware has six (device-protocol.md §3.7); the rest is for other firmware's larger tables."""

MAX_ADOPTION: Final = 0xFFFF
"""Send sequence = adoption (16 bits) << 32 | counter (32 bits)."""

COUNTER_BITS: Final = 32


MAX_SHARED: Final = 4096
"""Different values that are kept to be shared; a fleet has a few dozen."""

_shared: dict[object, object] = {}

T = TypeVar("T")


def share(value: T) -> T:
    """The one copy of an immutable value that many sessions have alike."""
    found = _shared.get(value)
    if found is None:
        if len(_shared) >= MAX_SHARED:
            _shared.clear()
        found = _shared[value] = value
    return cast(T, found)


class UnreadableSessionError(ConfigError):
    """The stored session has a format that this version of the server does not read."""


class Cold(msgspec.Struct, frozen=True):
    """The part of a session that changes rarely, in format 2."""

    keys: Keys
    public_key: bytes
    """The device's SubjectPublicKeyInfo, which the handshake proved."""
    device_id: str | None
    hello: Hello | None
    has_system: bool
    has_application: bool
    subscriptions: tuple[Subscribe, ...]
    has_connection_id: bool = True
    system_version: int | None = None
    """Of firmware whose Hello does not tell it."""


class Session:
    """What conversations read and change. One for each DTLS session, resumptions included, and for
    each connection over TCP."""

    __slots__ = (
        "blocks", "connection_id", "device_id", "has_application", "has_connection_id",
        "has_system", "hello", "keys", "last_setup_s", "max_event_data", "public_key", "settled",
        "subscriptions", "system_version", "told_safe_mode",
    )  # fmt: skip

    def __init__(
        self,
        connection_id: bytes,
        keys: Keys | None,
        public_key: bytes,
        *,
        has_connection_id: bool = True,
    ) -> None:
        """Without `keys` it is a connection over TCP, which ends with the connection.

        `connection_id` names the session among all, whether its records carry it or not: those of
        firmware before 3.1 do not.
        """
        self.connection_id = connection_id
        self.keys = keys
        self.public_key = public_key
        self.has_connection_id = has_connection_id
        self.device_id: DeviceId | None = None
        self.hello: Hello | None = None
        self.has_system = False
        self.has_application = False
        self.subscriptions: tuple[Subscribe, ...] = ()
        self.blocks: Reassembly | None = None
        self.settled = False
        """Everything that a new session tells has come; after a restart nothing of it is missed."""
        self.last_setup_s = 0.0
        self.told_safe_mode = False
        """The describe of this start of the device has shown people that it is in safe mode."""
        self.system_version: int | None = None
        self.max_event_data = MAX_DATA_BYTES
        """Bytes of an event that the device's firmware keeps whole."""

    def set_system_version(self, described: int | None = None) -> None:
        """The number of the system module, and what follows from it for events to the device.

        Hello tells it since 3.0, older firmware only its describe (`described`).
        """
        if self.hello is None:
            return
        known = self.hello.system_version if described is None else described
        if known is not None and known != self.system_version:
            self.system_version = known
        self.max_event_data = limits_of(
            self.hello.platform_id, self.system_version, self.hello.max_message_size
        ).event_data_bytes

    @property
    def is_stream(self) -> bool:
        return self.keys is None

    @property
    def describes_itself(self) -> bool:
        """Whether the firmware sends its describes unasked (2.0 and later)."""
        return self.hello is not None and bool(self.hello.flags & DEVICE_INITIATED_DESCRIBE)

    @property
    def max_message_size(self) -> int:
        """Bytes of a message that the device takes; 800 if unknown (device-protocol.md §1.4.4)."""
        size = self.hello.max_message_size if self.hello else None
        return size or 800

    @property
    def product_version(self) -> int:
        """What events carry as `version`: 0 when the firmware declares none."""
        version = self.hello.product_version if self.hello else 0xFFFF
        return 0 if version == 0xFFFF else version


def without_id(hello: Hello | None) -> Hello | None:
    """What a Hello says of the firmware, which is the same for many devices."""
    return None if hello is None else share(msgspec.structs.replace(hello, device_id=b""))


def _tells_version(hello: Hello | None) -> bool:
    """Whether this Hello tells the version of the system."""
    return hello is not None and hello.system_version is not None


def encode_cold(session: Session) -> bytes:
    """The cold part as it is sealed and stored; only DTLS sessions are."""
    assert session.keys is not None
    return msgspec.msgpack.encode(
        Cold(
            keys=session.keys,
            public_key=session.public_key,
            device_id=session.device_id,
            hello=session.hello,
            has_system=session.has_system,
            has_application=session.has_application,
            subscriptions=session.subscriptions,
            has_connection_id=session.has_connection_id,
            system_version=None if _tells_version(session.hello) else session.system_version,
        )
    )


def decode_cold(connection_id: bytes, format_number: int, stored: bytes) -> Session:
    """Raises UnreadableSessionError for another format or a value that does not fit it."""
    if format_number not in READABLE:
        raise UnreadableSessionError(f"Session format {format_number}, not {FORMAT}.")
    try:
        cold = msgspec.msgpack.decode(stored, type=Cold)
    except msgspec.MsgspecError as error:
        raise UnreadableSessionError(f"Session value of format {FORMAT}: {error}.") from error
    session = Session(
        connection_id,
        cold.keys,
        cold.public_key,
        has_connection_id=cold.has_connection_id,
    )
    if cold.device_id is not None:
        session.device_id = share_device_id(cold.device_id)
    session.hello = without_id(cold.hello)
    session.set_system_version(cold.system_version)
    session.has_system = cold.has_system
    session.has_application = cold.has_application
    session.subscriptions = share(tuple(share(each) for each in cold.subscriptions))
    return session
