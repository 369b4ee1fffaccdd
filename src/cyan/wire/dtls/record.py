"""The record layer: protected records of an established session, seen from either side.

Device to server (draft-ietf-tls-dtls-connection-id-05 §4, device-protocol.md §1.4.3)::

    type(1) fefd epoch(2) sequence(6) connection_id(8) length(2)
        | explicit nonce(8) | ciphertext | tag(8)

with type 25, or 253 while a resumed session waits for its first answer. The plaintext is the
content, its real type, and zeros up to a multiple of 16. Additional data: epoch and sequence, 25,
fefd, connection id, 8, plaintext length. Server to device are ordinary records (RFC 6655 §3)::

    type(1) fefd epoch(2) sequence(6) length(2)
        | explicit nonce(8) | ciphertext | tag(8)

with additional data epoch and sequence, type, fefd, plaintext length. The nonce is the sender's
write IV (4) and the explicit part (8), which we make equal to epoch and sequence.

Firmware before 3.1 has no connection ids: its records are ordinary ones too. While its resumed
session waits for the first answer, application data comes with type 254 in place of 23, and
`device id(12) 0c` behind the record (§1.4.6).
"""

from collections.abc import Sequence

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from cyan.wire.errors import MalformedError, MisuseError

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
CID = 25
MOVED_CID = 253
MOVED = 254
"""What stands in place of 23 in front of a record with a trailer; see `split_moved`."""

CONNECTION_ID_BYTES = 8
"""Device OS discards a session whose id has any other length (device-protocol.md §1.4.2)."""
HEADER_BYTES = 13
"""RFC 6347 §4.1; a record with a connection id has it in addition, before the length."""
DEVICE_ID_BYTES = 12
TAG_BYTES = 8
EXPLICIT_NONCE_BYTES = 8
MAX_CONTENT_BYTES = 1 << 14
"""RFC 5246 §6.2.1."""
MAX_SEQUENCE = (1 << 48) - 1
MAX_RECORDS_PER_DATAGRAM = 16
"""A device's longest flight has 5 (device-protocol.md §1.4.2), cut into fragments a few more."""
REPLAY_WINDOW_RECORDS = 64
"""RFC 6347 §4.1.2.6; the device has the same (session-behaviour.md)."""

_EPOCH_ONE = 1 << 48
ALL_RECEIVED = (1 << REPLAY_WINDOW_RECORDS) - 1
"""A replay window in which nothing can come any more; that of a new session too, as there is no
number before its first."""
_CID_HEADER_BYTES = HEADER_BYTES + CONNECTION_ID_BYTES
_CID_OVERHEAD_BYTES = _CID_HEADER_BYTES + EXPLICIT_NONCE_BYTES + TAG_BYTES
_OVERHEAD_BYTES = HEADER_BYTES + EXPLICIT_NONCE_BYTES + TAG_BYTES
_SEALED_BYTES = EXPLICIT_NONCE_BYTES + TAG_BYTES
_PADDING_BLOCK_BYTES = 16
_CID_STARTS = (b"\x19\xfe\xfd\x00\x01", b"\xfd\xfe\xfd\x00\x01")
"""Outer type, version and epoch 1 of a record with a connection id."""
_MOVED_START = b"\xfe\xfe\xfd\x00\x01"
_ORDINARY_STARTS = (b"\x17\xfe\xfd\x00\x01", b"\x16\xfe\xfd\x00\x01", b"\x15\xfe\xfd\x00\x01")
_TRAILER_BYTES = DEVICE_ID_BYTES + 1
_TRAILER_END = DEVICE_ID_BYTES.to_bytes(1, "big")
_VERSIONS = (b"\xfe\xfd", b"\xfe\xff")
"""DTLS 1.2; 1.0 stands in the first ClientHello of some stacks (RFC 6347 §4.2.1)."""


class Keys(msgspec.Struct, frozen=True, gc=False):
    """The key block of a session (RFC 5246 §6.3, RFC 6655 §3): keys of 16 bytes, IVs of 4."""

    client_write_key: bytes
    server_write_key: bytes
    client_write_iv: bytes
    server_write_iv: bytes

    def __post_init__(self) -> None:
        if not (
            len(self.client_write_key) == len(self.server_write_key) == 16
            and len(self.client_write_iv) == len(self.server_write_iv) == 4
        ):
            raise MisuseError("AES-128-CCM needs keys of 16 bytes and IVs of 4")


class _Records:
    """What both sides have: counters, the replay window, ciphers made when first needed."""

    __slots__ = (
        "_additional_data",
        "_open_iv",
        "_opener",
        "_seal_iv",
        "_sealer",
        "connection_id",
        "highest_received",
        "keys",
        "replay_window",
        "send_sequence",
    )

    def __init__(
        self,
        keys: Keys,
        connection_id: bytes,
        *,
        send_sequence: int = 0,
        highest_received: int = -1,
        replay_window: int = ALL_RECEIVED,
    ) -> None:
        """`send_sequence` is the next number to send (48 bits, may be 2**48: exhausted).

        `highest_received` is -1 before the first record; bit n of `replay_window` tells whether
        number `highest_received - n` has been received.
        """
        if not 0 <= send_sequence <= MAX_SEQUENCE + 1 or not -1 <= highest_received <= MAX_SEQUENCE:
            raise MisuseError("a sequence number has 48 bits")
        if not 0 <= replay_window <= ALL_RECEIVED:
            raise MisuseError("a replay window has 64 bits")
        self.keys = keys
        self.connection_id = connection_id
        self.send_sequence = send_sequence
        self.highest_received = highest_received
        self.replay_window = replay_window
        # Of the keys only these are needed for each record: the rest is in the ciphers.
        self._open_iv = self._seal_iv = b""
        self._additional_data = b"\x19\xfe\xfd" + connection_id + b"\x08"
        self._opener: AESCCM | None = None
        self._sealer: AESCCM | None = None

    def release_ciphers(self) -> None:
        """Drops the two cached AES contexts (about 1 kB); they are made again at next use."""
        self._opener = None
        self._sealer = None

    def _accept(self, sequence: int) -> bool:
        """Marks an authentic record as received; False when it was received before."""
        ahead = sequence - self.highest_received
        if ahead > 0:
            self.highest_received = sequence
            if ahead < REPLAY_WINDOW_RECORDS:
                window = (self.replay_window << ahead | 1) & ALL_RECEIVED
                # Nearly always full: one number for all sessions then, instead of one for each.
                self.replay_window = ALL_RECEIVED if window == ALL_RECEIVED else window
            else:
                self.replay_window = 1
            return True
        bit = 1 << -ahead if ahead > -REPLAY_WINDOW_RECORDS else 0
        if not bit or self.replay_window & bit:
            return False
        self.replay_window |= bit
        return True

    def _open_ordinary(self, record: bytes, opener: AESCCM, iv: bytes) -> tuple[int, bytes] | None:
        length = len(record) - _OVERHEAD_BYTES
        if (
            length < 0
            or not record.startswith(_ORDINARY_STARTS)
            or record[11] << 8 | record[12] != length + _SEALED_BYTES
        ):
            return None
        epoch_and_sequence = record[3:11]
        try:
            content = opener.decrypt(
                iv + record[13:21],
                record[21:],
                epoch_and_sequence + record[:3] + length.to_bytes(2, "big"),
            )
        except InvalidTag:
            return None
        if not self._accept(int.from_bytes(epoch_and_sequence, "big") - _EPOCH_ONE):
            return None
        return record[0], content

    def _seal_ordinary(self, content_type: int, content: bytes, sealer: AESCCM, iv: bytes) -> bytes:
        sequence = self.send_sequence
        length = len(content)
        if sequence > MAX_SEQUENCE or length > MAX_CONTENT_BYTES:
            raise MisuseError("sequence numbers used up, or content too long")
        self.send_sequence = sequence + 1
        nonce = (_EPOCH_ONE | sequence).to_bytes(8, "big")
        start = content_type.to_bytes(1, "big") + b"\xfe\xfd"
        return (
            start
            + nonce
            + (length + _SEALED_BYTES).to_bytes(2, "big")
            + nonce
            + sealer.encrypt(iv + nonce, content, nonce + start + length.to_bytes(2, "big"))
        )


class ServerRecords(_Records):
    """The server's side: opens records with a connection id, or else ordinary ones, and seals
    ordinary ones."""

    __slots__ = ("_id_on_the_wire",)

    def __init__(
        self,
        keys: Keys,
        connection_id: bytes,
        *,
        has_connection_id: bool = True,
        send_sequence: int = 0,
        highest_received: int = -1,
        replay_window: int = ALL_RECEIVED,
    ) -> None:
        """Without `has_connection_id` the device's records are ordinary; `connection_id` is then
        only the session's name here."""
        if len(connection_id) != CONNECTION_ID_BYTES:
            raise MisuseError("a connection id has 8 bytes")
        super().__init__(
            keys,
            connection_id,
            send_sequence=send_sequence,
            highest_received=highest_received,
            replay_window=replay_window,
        )
        self._open_iv, self._seal_iv = keys.client_write_iv, keys.server_write_iv
        self._id_on_the_wire = connection_id if has_connection_id else None

    @property
    def has_connection_id(self) -> bool:
        """Whether the device's records carry the connection id."""
        return self._id_on_the_wire is not None

    def open(self, record: bytes) -> tuple[int, bytes] | None:
        """Opens one whole record: (real content type, content). That is one of type 25 or 253, or
        of a session without connection id one of type 21 to 23.

        None when it is not well formed, not authentic or was received before; then nothing has
        changed. Otherwise the replay window has moved on.
        """
        length = len(record) - _CID_OVERHEAD_BYTES
        if (
            length < 1
            or not record.startswith(_CID_STARTS)
            or record[11:19] != self._id_on_the_wire
            or record[19] << 8 | record[20] != length + _SEALED_BYTES
        ):
            if self._id_on_the_wire is None:
                return self._open_ordinary(
                    record, self._opener or self._make_opener(), self._open_iv
                )
            return None
        epoch_and_sequence = record[3:11]
        try:
            plaintext = (self._opener or self._make_opener()).decrypt(
                self._open_iv + record[21:29],
                record[29:],
                epoch_and_sequence + self._additional_data + length.to_bytes(2, "big"),
            )
        except InvalidTag:
            return None
        sequence = int.from_bytes(epoch_and_sequence, "big") - _EPOCH_ONE
        if sequence == self.highest_received + 1 and self.replay_window == ALL_RECEIVED:
            self.highest_received = sequence  # nearly all come so
        elif not self._accept(sequence):
            return None
        plaintext = plaintext.rstrip(b"\0")
        if not plaintext:
            return None
        return plaintext[-1], plaintext[:-1]

    def seal(self, content_type: int, content: bytes) -> bytes:
        """Seals one ordinary record with the next sequence number.

        MisuseError when the 48 bits are used up or the content is longer than 2**14 bytes.
        """
        sealer = self._sealer or self._make_sealer()
        return self._seal_ordinary(content_type, content, sealer, self._seal_iv)

    def seal_data(self, content: bytes) -> bytes:
        """`seal(APPLICATION_DATA, content)`, spelled out because it is sent for every message."""
        sequence = self.send_sequence
        length = len(content)
        if sequence > MAX_SEQUENCE or length > MAX_CONTENT_BYTES:
            raise MisuseError("sequence numbers used up, or content too long")
        self.send_sequence = sequence + 1
        nonce = (_EPOCH_ONE | sequence).to_bytes(8, "big")
        return (
            b"\x17\xfe\xfd"
            + nonce
            + (length + _SEALED_BYTES).to_bytes(2, "big")
            + nonce
            + (self._sealer or self._make_sealer()).encrypt(
                self._seal_iv + nonce,
                content,
                nonce + b"\x17\xfe\xfd" + length.to_bytes(2, "big"),
            )
        )

    def seal_all(self, contents: Sequence[bytes]) -> list[bytes]:
        """`seal_data` of each, in this order."""
        sequence = self.send_sequence
        if sequence + len(contents) > MAX_SEQUENCE + 1:
            raise MisuseError("sequence numbers used up")
        self.send_sequence = sequence + len(contents)
        iv, encrypt = self._seal_iv, (self._sealer or self._make_sealer()).encrypt
        number, length = _EPOCH_ONE | sequence, -1
        records = []
        for content in contents:
            if len(content) != length:
                length = len(content)
                if length > MAX_CONTENT_BYTES:
                    raise MisuseError("content too long")
                lengths = (length + _SEALED_BYTES).to_bytes(2, "big")
                additional_data = b"\x17\xfe\xfd" + length.to_bytes(2, "big")
            nonce = number.to_bytes(8, "big")
            number += 1
            sealed = encrypt(iv + nonce, content, nonce + additional_data)
            records.append(b"".join((b"\x17\xfe\xfd", nonce, lengths, nonce, sealed)))
        return records

    def _make_opener(self) -> AESCCM:
        self._opener = opener = AESCCM(self.keys.client_write_key, TAG_BYTES)
        return opener

    def _make_sealer(self) -> AESCCM:
        self._sealer = sealer = AESCCM(self.keys.server_write_key, TAG_BYTES)
        return sealer


class DeviceRecords(_Records):
    """The device's side: seals records with a connection id, or else ordinary ones, and opens
    ordinary ones.

    A device that resumes a session is `moving` until it has opened a record: until then what it
    seals is marked (device-protocol.md §1.4.6). With a connection id the outer type is 253.
    Without one, data has type 254 and the device id behind it, and the rest has no mark.
    """

    __slots__ = ("device_id", "moving")

    def __init__(
        self,
        keys: Keys,
        connection_id: bytes,
        *,
        send_sequence: int = 0,
        highest_received: int = -1,
        replay_window: int = ALL_RECEIVED,
        moving: bool = False,
        device_id: bytes | None = None,
    ) -> None:
        """An empty `connection_id` is firmware before 3.1, which needs its `device_id` (12 bytes)
        to move."""
        if len(connection_id) not in (0, CONNECTION_ID_BYTES):
            raise MisuseError("a connection id has 8 bytes")
        if device_id is not None and len(device_id) != DEVICE_ID_BYTES:
            raise MisuseError("a device id has 12 bytes")
        super().__init__(
            keys,
            connection_id,
            send_sequence=send_sequence,
            highest_received=highest_received,
            replay_window=replay_window,
        )
        self._open_iv, self._seal_iv = keys.server_write_iv, keys.client_write_iv
        self.device_id = device_id
        self.moving = moving

    def open(self, record: bytes) -> tuple[int, bytes] | None:
        """Opens one whole ordinary record of epoch 1: (content type, content).

        None when it is not well formed, not authentic or was received before.
        """
        opened = self._open_ordinary(record, self._opener or self._make_opener(), self._open_iv)
        if opened is not None:
            self.moving = False
        return opened

    def seal(self, content_type: int, content: bytes) -> bytes:
        """Seals one record with the next sequence number, marked while moving.

        MisuseError when the 48 bits are used up, the content is longer than 2**14 bytes, or the
        mark is a device id that was not given.
        """
        if not self.connection_id:
            return self._seal_without_id(content_type, content)
        sequence = self.send_sequence
        if sequence > MAX_SEQUENCE or len(content) > MAX_CONTENT_BYTES:
            raise MisuseError("sequence numbers used up, or content too long")
        self.send_sequence = sequence + 1
        nonce = (_EPOCH_ONE | sequence).to_bytes(8, "big")
        plaintext = content + content_type.to_bytes(1, "big")
        plaintext += bytes(-len(plaintext) % _PADDING_BLOCK_BYTES)
        length = len(plaintext)
        return (
            (b"\xfd\xfe\xfd" if self.moving else b"\x19\xfe\xfd")
            + nonce
            + self.connection_id
            + (length + _SEALED_BYTES).to_bytes(2, "big")
            + nonce
            + (self._sealer or self._make_sealer()).encrypt(
                self._seal_iv + nonce,
                plaintext,
                nonce + self._additional_data + length.to_bytes(2, "big"),
            )
        )

    def _seal_without_id(self, content_type: int, content: bytes) -> bytes:
        trailer = b""
        if self.moving and content_type == APPLICATION_DATA:
            if self.device_id is None:
                raise MisuseError("a session without connection id moves by the device id")
            trailer = self.device_id + _TRAILER_END
        record = self._seal_ordinary(
            content_type,
            content,
            self._sealer or self._make_sealer(),
            self._seal_iv,
        )
        return b"\xfe" + record[1:] + trailer if trailer else record

    def seal_data(self, content: bytes) -> bytes:
        """`seal(APPLICATION_DATA, content)`."""
        return self.seal(APPLICATION_DATA, content)

    def _make_opener(self) -> AESCCM:
        self._opener = opener = AESCCM(self.keys.server_write_key, TAG_BYTES)
        return opener

    def _make_sealer(self) -> AESCCM:
        self._sealer = sealer = AESCCM(self.keys.client_write_key, TAG_BYTES)
        return sealer


def connection_id_of(datagram: bytes) -> bytes:
    """The connection id of a datagram that begins with a record of type 25 or 253.

    Shorter than 8 bytes when the datagram is, so a look-up by it finds nothing.
    """
    return datagram[11:19]


def split_moved(datagram: bytes) -> tuple[bytes, bytes] | None:
    """(device id, record) of a datagram of type 254 with its trailer; None when it is none.

    The record is whole and of type 23, to be opened with the keys of that device's session: the
    id proves nothing.
    """
    size = len(datagram) - _TRAILER_BYTES
    if (
        size < _OVERHEAD_BYTES
        or not datagram.startswith(_MOVED_START)
        or not datagram.endswith(_TRAILER_END)
        or datagram[11] << 8 | datagram[12] != size - HEADER_BYTES
    ):
        return None
    return datagram[size:-1], b"\x17" + datagram[1:size]


def split_records(datagram: bytes, connection_id_length: int = CONNECTION_ID_BYTES) -> list[bytes]:
    """The whole records, headers included, that a datagram consists of (at least one).

    MalformedError when a header is unknown or cut off, when a record reaches past the end, or when
    there are more than `MAX_RECORDS_PER_DATAGRAM`.
    """
    records: list[bytes] = []
    start = 0
    size = len(datagram)
    while start < size:
        content_type = datagram[start]
        header = HEADER_BYTES
        if content_type in (CID, MOVED_CID):
            header += connection_id_length
        elif not CHANGE_CIPHER_SPEC <= content_type <= APPLICATION_DATA:
            raise MalformedError("unknown record type")
        body = start + header
        if body > size:
            raise MalformedError("record header cut off")
        if datagram[start + 1 : start + 3] not in _VERSIONS:
            raise MalformedError("unknown record version")
        end = body + (datagram[body - 2] << 8 | datagram[body - 1])
        if end > size:
            raise MalformedError("record cut off")
        if len(records) == MAX_RECORDS_PER_DATAGRAM:
            raise MalformedError("too many records in one datagram")
        records.append(datagram[start:end])
        start = end
    if not records:
        raise MalformedError("empty datagram")
    return records


def plaintext_record(content_type: int, sequence: int, content: bytes) -> bytes:
    """One unprotected record (epoch 0) of the handshake."""
    return b"".join(
        (
            content_type.to_bytes(1, "big"),
            b"\xfe\xfd\x00\x00",
            sequence.to_bytes(6, "big"),
            len(content).to_bytes(2, "big"),
            content,
        )
    )
