"""The legacy protocol of updates (device-protocol.md section 5.1): UpdateBegin, UpdateReady, Chunk,
ChunkMissed, UpdateDone, UpdateAbort."""

import struct
import zlib
from typing import Final

import msgspec

from cyan.wire import coap
from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.messages.answer import encode_answer, one_byte_token

FAST: Final = 0x01
"""Bit of UpdateBegin's flags and of UpdateReady."""

STORE_FIRMWARE: Final = 0
STORE_SYSTEM: Final = 1
STORE_DATA: Final = 128

MAX_CHUNKS: Final = 0xFFFE
MAX_MISSED: Final = 512
"""Indices of one ChunkMissed: a device sends 40 at most (section 5.1); no message has room for
more than this."""

MAX_RESULT: Final = 1024
"""Bytes of JSON in the acknowledgement of UpdateDone."""

_BEGIN: Final = struct.Struct(">BHIBI")
_CRC_BYTES: Final = 4
_INDEX_BYTES: Final = 2
_INT32: Final = range(-(1 << 31), 1 << 31)
_CHUNK_PATH: Final = b"\xb1\x63\x44"


class UpdateBegin(msgspec.Struct, frozen=True):
    """A file is to come.

        0  u8   flags, bit 0: the cloud offers the fast mode    7  u8   store
        1  u16  chunk size                                      8  u32  address
        3  u32  file size

    All big endian, sizes in bytes.
    """

    fast: bool
    chunk_size: int
    file_size: int
    store: int = STORE_FIRMWARE
    address: int = 0


class Chunk(msgspec.Struct, frozen=True):
    """One chunk with its CRC-32 (IEEE, as zlib); `index` counts from 0 and is there in the fast
    mode only."""

    crc32: int
    data: bytes
    index: int | None = None

    @property
    def is_intact(self) -> bool:
        """Whether the data have the CRC."""
        return zlib.crc32(self.data) == self.crc32


class ChunkMissed(msgspec.Struct, frozen=True):
    """The device lacks these chunks."""

    indices: tuple[int, ...]


class UpdateDone(msgspec.Struct, frozen=True):
    """All chunks are sent."""


class _Result(msgspec.Struct):
    r: int


_RESULT: Final = msgspec.json.Decoder(_Result)
_DONE: Final = UpdateDone()


def encode_update_begin(message_id: int, token: bytes, begin: UpdateBegin) -> bytes:
    """Writes `POST u`, 20 bytes."""
    try:
        payload = _BEGIN.pack(
            FAST if begin.fast else 0,
            begin.chunk_size,
            begin.file_size,
            begin.store,
            begin.address,
        )
    except struct.error:
        raise MisuseError(f"update that cannot be written: {begin}") from None
    options = ((coap.URI_PATH, b"u"),)
    return coap.encode(
        coap.Message(coap.CON, coap.POST, message_id, one_byte_token(token), options, payload)
    )


def decode_update_begin(message: coap.Message) -> UpdateBegin:
    """Reads `POST u`, for the device's side."""
    if len(message.payload) != _BEGIN.size:
        raise MalformedError(f"UpdateBegin with {len(message.payload)} bytes")
    flags, chunk_size, file_size, store, address = _BEGIN.unpack(message.payload)
    if not chunk_size or not file_size:
        raise MalformedError(f"update of {file_size} bytes in chunks of {chunk_size}")
    return UpdateBegin(bool(flags & FAST), chunk_size, file_size, store, address)


def encode_update_ready(
    message_id: int, token: bytes, *, fast: bool, confirmable: bool = True
) -> bytes:
    """Writes the device's separate 2.04: confirmable on UDP, not on TCP."""
    payload = bytes((FAST if fast else 0,))
    return encode_answer(message_id, token, coap.CHANGED, payload, confirmable=confirmable)


def decode_update_ready(payload: bytes) -> bool:
    """Whether the device takes the fast mode, from the payload of the 2.04. Old firmware that knows
    no fast mode may leave the byte out."""
    if len(payload) > 1:
        raise MalformedError(f"UpdateReady with {len(payload)} bytes")
    return bool(payload and payload[0] & FAST)


def encode_chunk(
    message_id: int, token: bytes, data: bytes | memoryview, *, index: int | None = None
) -> bytes:
    """Writes `POST c`: confirmable without an index, not confirmable with it, as the device never
    answers in the fast mode (a confirmable one would cost its session). Hot path."""
    if not data:
        raise MisuseError("chunk without data")
    crc = zlib.crc32(data).to_bytes(_CRC_BYTES, "big")
    token = one_byte_token(token)
    number = message_id.to_bytes(2, "big")
    if index is None:
        head = b"\x41\x02" + number + token + _CHUNK_PATH + crc
    elif 0 <= index < MAX_CHUNKS:
        head = b"".join(
            (b"\x51\x02", number, token, _CHUNK_PATH, crc, b"\x02", index.to_bytes(2, "big"))
        )
    else:
        raise MisuseError(f"chunk {index}")
    return b"\xff".join((head, data))


def decode_chunk(message: coap.Message) -> Chunk:
    """Reads `POST c`, for the device's side. A CRC that is wrong is the device's to answer."""
    queries = [value for number, value in message.options if number == coap.URI_QUERY]
    if not queries or len(queries[0]) != _CRC_BYTES:
        raise MalformedError("chunk without a CRC of four bytes")
    if not message.payload:
        raise MalformedError("chunk without data")
    index = None
    if len(queries) > 1:
        if len(queries[1]) != _INDEX_BYTES:
            raise MalformedError(f"chunk index of {len(queries[1])} bytes")
        index = int.from_bytes(queries[1], "big")
    return Chunk(int.from_bytes(queries[0], "big"), message.payload, index)


def encode_chunk_missed(message_id: int, missed: ChunkMissed, *, confirmable: bool = True) -> bytes:
    """Writes the device's `GET c`, without a token."""
    if not 1 <= len(missed.indices) <= MAX_MISSED:
        raise MisuseError(f"{len(missed.indices)} missed chunks")
    payload = struct.pack(f">{len(missed.indices)}H", *missed.indices)
    type_ = coap.CON if confirmable else coap.NON
    path = ((coap.URI_PATH, b"c"),)
    return coap.encode(coap.Message(type_, coap.GET, message_id, b"", path, payload))


def decode_chunk_missed(message: coap.Message) -> ChunkMissed:
    """Reads `GET c`."""
    payload = message.payload
    count, rest = divmod(len(payload), _INDEX_BYTES)
    if rest or not 1 <= count <= MAX_MISSED:
        raise MalformedError(f"missed chunks in {len(payload)} bytes")
    return ChunkMissed(struct.unpack(f">{count}H", payload))


def encode_update_done(message_id: int, token: bytes) -> bytes:
    """Writes `PUT u`."""
    path = ((coap.URI_PATH, b"u"),)
    return coap.encode(coap.Message(coap.CON, coap.PUT, message_id, one_byte_token(token), path))


def decode_update_done(message: coap.Message) -> UpdateDone:
    """Reads `PUT u`, for the device's side."""
    return _DONE


def encode_update_result(result: int) -> bytes:
    """The payload of the acknowledgement of UpdateDone: JSON with `r`, 0 or a Device OS error."""
    return msgspec.json.encode(_Result(result))


def decode_update_result(payload: bytes) -> int | None:
    """What a device says of the file in the 2.04 to UpdateDone, which alone is no success: 0, or a
    Device OS error. None without a payload, as the oldest firmware answers."""
    if not payload:
        return None
    if len(payload) > MAX_RESULT:
        raise MalformedError(f"update result of {len(payload)} bytes")
    try:
        result = _RESULT.decode(payload).r
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedError("update result that cannot be read") from None
    if result not in _INT32:
        raise MalformedError("update result beyond 32 bits")
    return result


def encode_update_abort(message_id: int, reason: int) -> bytes:
    """Writes the device's UpdateAbort: a 4.00 that answers nothing, with one byte."""
    if not 0 <= reason <= 0xFF:
        raise MisuseError(f"reason {reason}")
    return encode_answer(message_id, b"", coap.BAD_REQUEST, bytes((reason,)), confirmable=False)


def decode_update_abort(message: coap.Message) -> int | None:
    """The reason when `message` is an UpdateAbort, else None."""
    if (
        message.code == coap.BAD_REQUEST
        and message.type == coap.NON
        and not message.token
        and len(message.payload) == 1
    ):
        return message.payload[0]
    return None
