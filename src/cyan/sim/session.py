"""What a device keeps of a connection, in memory and, if asked, over a restart of the process."""

import zlib
from typing import Final

import msgspec

from cyan.sim.firmware import Firmware
from cyan.sim.flash import Partial
from cyan.wire.dtls.record import DeviceRecords, Keys

MAX_UNANSWERED_RESUMPTIONS: Final = 3
"""Then firmware discards the session (device-protocol.md §1.4.6)."""

_MESSAGE_IDS: Final = 1 << 16
_TOKENS: Final = 1 << 8


class Numbers:
    """Message ids and tokens: they count on over resumptions and handshakes of one boot
    (device-protocol.md §2.1)."""

    __slots__ = ("message_id", "token")

    def __init__(self, message_id: int, token: int) -> None:
        self.message_id = message_id
        self.token = token

    def next_message_id(self) -> int:
        """16 bits; wraps."""
        message_id = self.message_id
        self.message_id = (message_id + 1) % _MESSAGE_IDS
        return message_id

    def next_token(self) -> bytes:
        """One byte; wraps."""
        token = self.token
        self.token = (token + 1) % _TOKENS
        return bytes((token,))


class Synced(msgspec.Struct, frozen=True):
    """Checksums of what the server has acknowledged in this session; None is not yet.

    They are never transmitted (device-protocol.md §4.1), so any checksum of the content serves.
    """

    hello: int | None = None
    system: int | None = None
    application: int | None = None
    subscriptions: int | None = None


def checksum(content: bytes) -> int:
    """CRC-32, as firmware uses for this."""
    return zlib.crc32(content)


class Memory:
    """What a device remembers of its server: for a DTLS session, or one TCP connection."""

    __slots__ = ("synced",)

    def __init__(self, synced: Synced | None = None) -> None:
        self.synced = Synced() if synced is None else synced


class Session(Memory):
    """An established DTLS session. `unanswered_resumptions` counts since the last answer."""

    __slots__ = ("records", "unanswered_resumptions")

    def __init__(self, records: DeviceRecords, synced: Synced | None = None) -> None:
        super().__init__(synced)
        self.records = records
        self.unanswered_resumptions = 0


class StoredSession(msgspec.Struct, frozen=True):
    """A session as it is written down."""

    keys: Keys
    connection_id: bytes
    send_sequence: int
    highest_received: int
    replay_window: int
    unanswered_resumptions: int
    synced: Synced


class StoredDevice(msgspec.Struct, frozen=True):
    """A device as it is written down. `peers` is a checksum of both sides' public keys and of the
    firmware: a session made with others is of no use. `used_claim_code` is not shown again. Without
    `firmware` it runs what its board came with; `partial` is an update that is not complete."""

    peers: str
    message_id: int
    token: int
    events_made: int
    session: StoredSession | None
    used_claim_code: str | None = None
    firmware: Firmware | None = None
    partial: Partial | None = None


def store_session(session: Session, ahead: int) -> StoredSession:
    """Writes a session down as if `ahead` more records had been sent, so that a device that was
    killed never uses a nonce twice."""
    records = session.records
    return StoredSession(
        records.keys,
        records.connection_id,
        records.send_sequence + ahead,
        records.highest_received,
        records.replay_window,
        session.unanswered_resumptions,
        session.synced,
    )


def restore_session(stored: StoredSession, device_id: bytes | None = None) -> Session:
    """The session goes on where it was written down; one without a connection id moves by the
    `device_id` (12 bytes)."""
    records = DeviceRecords(
        stored.keys,
        stored.connection_id,
        send_sequence=stored.send_sequence,
        highest_received=stored.highest_received,
        replay_window=stored.replay_window,
        device_id=device_id,
    )
    session = Session(records, stored.synced)
    session.unanswered_resumptions = stored.unanswered_resumptions
    return session
