"""The current protocol of updates, for devices with the Hello flag `OTA_V3` (device-protocol.md
section 5.2): UpdateStart, UpdateChunk, UpdateAck, UpdateFinish and what answers them."""

from collections.abc import Sequence
from struct import Struct
from typing import Final

import msgspec

from cyan.wire import coap
from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.messages.answer import encode_answer, one_byte_token

MIN_CHUNK_SIZE: Final = 512
MAX_CHUNK_SIZE: Final = 1136
CHUNK_SIZE_STEP: Final = 4
"""Bytes of a chunk that a device takes (section 5.2.1)."""

CHUNK_OVERHEAD: Final = 14
"""Bytes of an UpdateChunk beside its data, at most (section 5.2.1)."""

SHA256_BYTES: Final = 32
MODULE_FUNCTION_ASSET: Final = 9

MAX_WINDOW: Final = 0xFFFF
"""Chunks; a device says 131072 / chunk size, 256 at most (section 5.2.1)."""

MAX_BITMAP_BYTES: Final = 1024
"""Room for more chunks than any device has in its window; also what fits in a message."""

_BITMAP_WORD: Final = 4

MAX_STATISTICS: Final = 1024
"""Bytes of JSON after an update, and of a diagnostic payload."""

_NON_POST: Final = b"\x50\x02"
_PAYLOAD_MARKER: Final = 0xFF
_ACK_PATH: Final = b"\xb1A"
_SHORT_ACK: Final = b"\xb1A\xe2\x06\xe9"
_SHORT_ACK_BYTES: Final = 11
_CHUNK_INDEX_EMPTY: Final = 0xE0
_CHUNK_HEAD: Final = b"\xb1C"
_CHUNK_INDEX_ONE: Final = b"\xe1\x06\xe9"
_CHUNK_INDEX_TWO: Final = b"\xe2\x06\xe9"
_pack_head_one: Final = Struct("!2sH5sBc").pack
_pack_head_two: Final = Struct("!2sH5sHc").pack
"""A chunk's message up to its data: type and code, message id, path and option, index, marker."""


class UpdateStart(msgspec.Struct, frozen=True):
    """A file of `file_size` bytes is to come in chunks of `chunk_size`.

        2057 FILE_SIZE   2061 FILE_SHA256   2065 CHUNK_SIZE   2069 DISCARD_DATA
        2077 MODULE_FUNCTION

    With `sha256` the transfer is resumable; `discard_data` has the device forget any part that it
    holds. `module_function` is 9 for an asset and else omitted.
    """

    file_size: int
    chunk_size: int
    sha256: bytes | None = None
    discard_data: bool = False
    module_function: int | None = None


class UpdateStarted(msgspec.Struct, frozen=True):
    """The device is ready: chunks up to `window_size` beyond the last one acknowledged may be under
    way, and the first one is to begin at byte `offset` of the file."""

    window_size: int
    offset: int = 0


class UpdateChunk(msgspec.Struct, frozen=True):
    """One chunk; `index` counts from 1 at the offset that the device named."""

    index: int
    data: bytes


class UpdateAck(msgspec.Struct, frozen=True, gc=False):
    """Chunks 1 to `index` have arrived. Bit i of `bitmap` is set when chunk index + 1 + i has."""

    index: int
    bitmap: int = 0


class UpdateFinish(msgspec.Struct, frozen=True):
    """All chunks are sent, or with `cancel` no more will come."""

    cancel: bool = False
    discard_data: bool = False


class UpdateStatistics(msgspec.Struct, frozen=True):
    """What a device counted in one transfer: chunks received (twice received ones too), received
    twice, those that opened a gap, acknowledgements sent, and milliseconds of work."""

    recv_chunks: int = 0
    dup_chunks: int = 0
    ooo_chunks: int = 0
    sent_acks: int = 0
    proc_time: int = 0


class Diagnostic(msgspec.Struct, frozen=True):
    """Why a device refuses: a Device OS error, which is negative (section 5.6), and a text."""

    code: int
    message: str = ""


_STATISTICS: Final = msgspec.json.Decoder(UpdateStatistics)
_DIAGNOSTIC: Final = msgspec.json.Decoder(Diagnostic)
_INT32: Final = range(-(1 << 31), 1 << 31)


def encode_update_start(message_id: int, token: bytes, start: UpdateStart) -> bytes:
    """Writes `POST S`.

    Raises:
        MisuseError: Sizes that every device refuses.
    """
    if start.file_size <= 0 or not is_chunk_size(start.chunk_size):
        raise MisuseError(f"update of {start.file_size} bytes in chunks of {start.chunk_size}")
    options = [(coap.URI_PATH, b"S"), (coap.FILE_SIZE, coap.encode_uint(start.file_size))]
    if start.sha256 is not None:
        if len(start.sha256) != SHA256_BYTES:
            raise MisuseError(f"SHA-256 of {len(start.sha256)} bytes")
        options.append((coap.FILE_SHA256, start.sha256))
    options.append((coap.CHUNK_SIZE, coap.encode_uint(start.chunk_size)))
    if start.discard_data:
        options.append((coap.DISCARD_DATA, b""))
    if start.module_function is not None:
        options.append((coap.MODULE_FUNCTION, coap.encode_uint(start.module_function)))
    return coap.encode(
        coap.Message(coap.CON, coap.POST, message_id, one_byte_token(token), tuple(options))
    )


def decode_update_start(message: coap.Message) -> UpdateStart:
    """Reads `POST S`, for the device's side. The sizes are the device's to judge."""
    sha256 = coap.find_option(message, coap.FILE_SHA256)
    if sha256 is not None and len(sha256) != SHA256_BYTES:
        raise MalformedError(f"SHA-256 of {len(sha256)} bytes")
    return UpdateStart(
        _number(message, coap.FILE_SIZE, "file size"),
        _number(message, coap.CHUNK_SIZE, "chunk size"),
        sha256,
        coap.find_option(message, coap.DISCARD_DATA) is not None,
        _find_number(message, coap.MODULE_FUNCTION),
    )


def is_chunk_size(size: int) -> bool:
    """Whether a device takes chunks of so many bytes."""
    return MIN_CHUNK_SIZE <= size <= MAX_CHUNK_SIZE and size % CHUNK_SIZE_STEP == 0


def encode_update_started(
    message_id: int, token: bytes, started: UpdateStarted, *, confirmable: bool = True
) -> bytes:
    """Writes the device's separate 2.01."""
    options = (
        (coap.WINDOW_SIZE, coap.encode_uint(started.window_size)),
        (coap.FILE_SIZE, coap.encode_uint(started.offset)),
    )
    type_ = coap.CON if confirmable else coap.NON
    return coap.encode(coap.Message(type_, coap.CREATED, message_id, token, options))


def decode_update_started(message: coap.Message) -> UpdateStarted:
    """Reads the 2.01 that answers UpdateStart."""
    window_size = _number(message, coap.WINDOW_SIZE, "window size")
    if not 1 <= window_size <= MAX_WINDOW:
        raise MalformedError(f"window of {window_size} chunks")
    return UpdateStarted(window_size, _find_number(message, coap.FILE_SIZE) or 0)


def encode_update_chunk(message_id: int, index: int, data: bytes | memoryview) -> bytes:
    """Writes `POST C`, never confirmable and without a token. Hot path: one copy of `data`."""
    if 0 < index <= 0xFF:
        number = _CHUNK_INDEX_ONE + bytes((index,))
    elif 0 < index <= 0xFFFF:
        number = _CHUNK_INDEX_TWO + index.to_bytes(2, "big")
    else:
        raise MisuseError(f"chunk {index}")
    if not data:
        raise MisuseError("chunk without data")
    head = b"\x50\x02" + message_id.to_bytes(2, "big") + _CHUNK_HEAD + number
    return b"\xff".join((head, data))


def encode_update_chunks(
    message_id: int, chunks: Sequence[int], data: memoryview, offset: int, size: int
) -> list[bytes]:
    """Several of them (at least one), with message ids one after the other; chunk 1 begins at
    `offset` of `data`, each has `size` bytes but for the last. Hot path."""
    first = chunks[0]
    begin = offset + (first - 1) * size
    if list(chunks) != list(range(first, first + len(chunks))):
        # Some are sent again.
        start = offset - size
        return [
            encode_update_chunk(message_id + i & 0xFFFF, chunk, data[start + chunk * size :][:size])
            for i, chunk in enumerate(chunks)
        ]
    # A view of each chunk alone would cost as much as all the rest.
    run = bytes(data[begin : begin + len(chunks) * size])
    written = []
    at = 0
    for chunk in chunks:
        if chunk <= 0xFF:
            head = _pack_head_one(b"\x50\x02", message_id, b"\xb1C\xe1\x06\xe9", chunk, b"\xff")
        else:
            head = _pack_head_two(b"\x50\x02", message_id, b"\xb1C\xe2\x06\xe9", chunk, b"\xff")
        written.append(head + run[at : at + size])
        at += size
        message_id = message_id + 1 & 0xFFFF
    return written


def decode_update_chunk(message: coap.Message) -> UpdateChunk:
    """Reads `POST C`, for the device's side. Which index is right is the device's to judge."""
    if not message.payload:
        raise MalformedError("chunk without data")
    return UpdateChunk(_number(message, coap.CHUNK_INDEX, "chunk index"), message.payload)


def encode_update_ack(message_id: int, ack: UpdateAck) -> bytes:
    """Writes `POST A`, never confirmable; the bitmap without the zero words at its end."""
    words = (ack.bitmap.bit_length() + 31) // 32
    options = ((coap.URI_PATH, b"A"), (coap.CHUNK_INDEX, coap.encode_uint(ack.index)))
    payload = ack.bitmap.to_bytes(words * _BITMAP_WORD, "little")
    return coap.encode(coap.Message(coap.NON, coap.POST, message_id, b"", options, payload))


def decode_update_ack(message: coap.Message) -> UpdateAck:
    """Reads `POST A`."""
    bitmap = message.payload
    if len(bitmap) % _BITMAP_WORD or len(bitmap) > MAX_BITMAP_BYTES:
        raise MalformedError(f"bitmap of {len(bitmap)} bytes")
    return UpdateAck(
        _number(message, coap.CHUNK_INDEX, "chunk index"), int.from_bytes(bitmap, "little")
    )


def read_update_ack(content: bytes) -> UpdateAck | None:
    """An UpdateAck in the form in which firmware writes it, from the bytes of the whole message;
    None for whatever else it may be, which is for `coap.decode`. Hot path."""
    if len(content) == _SHORT_ACK_BYTES and content[4:9] == _SHORT_ACK:
        # Nearly all are like this one: an index of two bytes, no gaps.
        return UpdateAck(content[9] << 8 | content[10]) if content[:2] == _NON_POST else None
    if content[4:6] != _ACK_PATH or content[:2] != _NON_POST:
        return None
    size = content[6:7]
    length = size[0] - _CHUNK_INDEX_EMPTY if size else -1
    if not 0 <= length <= coap.MAX_UINT_OPTION or content[7:9] != _CHUNK_INDEX_ONE[1:]:
        return None
    end = 9 + length
    index = int.from_bytes(content[9:end], "big")
    if len(content) == end:
        return UpdateAck(index)
    bitmap = content[end + 1 :]
    if (
        len(content) < end
        or content[end] != _PAYLOAD_MARKER
        or len(bitmap) % _BITMAP_WORD
        or not 0 < len(bitmap) <= MAX_BITMAP_BYTES
    ):
        return None
    return UpdateAck(index, int.from_bytes(bitmap, "little"))


def encode_update_finish(message_id: int, token: bytes, finish: UpdateFinish) -> bytes:
    """Writes `POST F`."""
    options = [(coap.URI_PATH, b"F")]
    if finish.discard_data:
        options.append((coap.DISCARD_DATA, b""))
    if finish.cancel:
        options.append((coap.CANCEL_UPDATE, b""))
    return coap.encode(
        coap.Message(coap.CON, coap.POST, message_id, one_byte_token(token), tuple(options))
    )


def decode_update_finish(message: coap.Message) -> UpdateFinish:
    """Reads `POST F`, for the device's side."""
    return UpdateFinish(
        coap.find_option(message, coap.CANCEL_UPDATE) is not None,
        coap.find_option(message, coap.DISCARD_DATA) is not None,
    )


def encode_update_finished(
    message_id: int,
    token: bytes,
    statistics: UpdateStatistics | None,
    *,
    confirmable: bool = True,
) -> bytes:
    """Writes the device's separate 2.04; without statistics after a cancelled update."""
    payload = b"" if statistics is None else msgspec.json.encode(statistics)
    return encode_answer(message_id, token, coap.CHANGED, payload, confirmable=confirmable)


def decode_update_statistics(payload: bytes) -> UpdateStatistics:
    """The payload of the 2.04 that answers UpdateFinish."""
    if len(payload) > MAX_STATISTICS:
        raise MalformedError(f"update statistics of {len(payload)} bytes")
    try:
        return _STATISTICS.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedError("update statistics that cannot be read") from None


def encode_diagnostic(diagnostic: Diagnostic) -> bytes:
    """The payload of an error response (section 2.6)."""
    return msgspec.json.encode(diagnostic)


def decode_diagnostic(payload: bytes) -> Diagnostic:
    """The payload of an error response of a device: JSON with `code` and `message`."""
    if len(payload) > MAX_STATISTICS:
        raise MalformedError(f"diagnostic payload of {len(payload)} bytes")
    try:
        diagnostic = _DIAGNOSTIC.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedError("diagnostic payload that cannot be read") from None
    if diagnostic.code not in _INT32:
        raise MalformedError("diagnostic code beyond 32 bits")
    return diagnostic


def _find_number(message: coap.Message, option: int) -> int | None:
    value = coap.find_option(message, option)
    return None if value is None else coap.decode_uint(value)


def _number(message: coap.Message, option: int, name: str) -> int:
    value = _find_number(message, option)
    if value is None:
        raise MalformedError(f"update message without {name}")
    return value
