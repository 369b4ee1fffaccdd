"""CBOR (RFC 8949) as devices write structured event data, read into what JSON can show.

Item: one byte with the major type (3 bits) and the additional information (5 bits), then its
argument in 0, 1, 2, 4 or 8 bytes, big-endian. Byte strings become the buffer objects of the
platform: `{"_type": "buffer", "_data": "<base64>"}` (device-protocol.md §3.6).
"""

import base64
import math
import struct

from cyan.wire.errors import MalformedError

MAX_DEPTH = 16
"""Containers within containers, tags included; a bound for recursion, far above real data."""

MAX_ITEMS = 100_000
"""Items of one document, tags and breaks included; each takes at least one byte."""

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_BREAK = object()
_INDEFINITE = 31


def decode(data: bytes) -> Json:
    """The one item that `data` holds. Raises MalformedError, also for anything after it."""
    reader = _Reader(data)
    value = reader.item(0)
    if reader.at != len(data):
        raise MalformedError("bytes after the CBOR item")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._items = 0
        self.at = 0

    def item(self, depth: int) -> Json:
        value = self._item_or_break(depth)
        if value is _BREAK:
            raise MalformedError("CBOR break outside of an indefinite item")
        return value  # type: ignore[return-value]

    def _item_or_break(self, depth: int) -> object:
        self._items += 1
        if depth > MAX_DEPTH or self._items > MAX_ITEMS:
            raise MalformedError("CBOR nested too deeply or too long")
        first = self._take(1)[0]
        major, info = first >> 5, first & 31
        if major == 7:
            return self._simple(info)
        if info == _INDEFINITE:
            return self._indefinite(major, depth)
        argument = self._argument(info)
        match major:
            case 0:
                return argument
            case 1:
                return -1 - argument
            case 2:
                return _buffer(self._take(argument))
            case 3:
                return _text(self._take(argument))
            case 4:
                self._check_count(argument)
                return [self.item(depth + 1) for _ in range(argument)]
            case 5:
                self._check_count(2 * argument)
                return dict(self._pair(depth) for _ in range(argument))
            case _:
                # A tag says how to take the item; JSON has no place for it.
                return self.item(depth + 1)

    def _simple(self, info: int) -> object:
        match info:
            case 20:
                return False
            case 21:
                return True
            case 22 | 23:
                return None
            case 25:
                return _finite(struct.unpack(">e", self._take(2))[0])
            case 26:
                return _finite(struct.unpack(">f", self._take(4))[0])
            case 27:
                return _finite(struct.unpack(">d", self._take(8))[0])
            case 31:
                return _BREAK
            case _:
                raise MalformedError("CBOR simple value without a meaning")

    def _indefinite(self, major: int, depth: int) -> object:
        if major in (2, 3):
            joined = b"".join(self._chunks(major))
            return _buffer(joined) if major == 2 else _text(joined)
        if major == 4:
            values: list[Json] = []
            while (value := self._item_or_break(depth + 1)) is not _BREAK:
                values.append(value)  # type: ignore[arg-type]
            return values
        if major == 5:
            pairs: dict[str, Json] = {}
            while (key := self._item_or_break(depth + 1)) is not _BREAK:
                pairs[_key(key)] = self.item(depth + 1)
            return pairs
        raise MalformedError("CBOR item that cannot be indefinite")

    def _chunks(self, major: int) -> list[bytes]:
        chunks: list[bytes] = []
        while (first := self._take(1)[0]) != 0xFF:
            if first >> 5 != major or first & 31 == _INDEFINITE:
                raise MalformedError("CBOR string chunk of another kind")
            chunks.append(self._take(self._argument(first & 31)))
        return chunks

    def _pair(self, depth: int) -> tuple[str, Json]:
        key = _key(self.item(depth + 1))
        return key, self.item(depth + 1)

    def _argument(self, info: int) -> int:
        if info < 24:
            return info
        if info > 27:
            raise MalformedError("CBOR additional information is reserved")
        return int.from_bytes(self._take(1 << (info - 24)), "big")

    def _check_count(self, count: int) -> None:
        if count > len(self._data) - self.at:
            raise MalformedError("CBOR container is longer than the data")

    def _take(self, count: int) -> bytes:
        taken = self._data[self.at : self.at + count]
        if len(taken) != count:
            raise MalformedError("CBOR ends early")
        self.at += count
        return taken


def _buffer(data: bytes) -> Json:
    return {"_type": "buffer", "_data": base64.b64encode(data).decode()}


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise MalformedError("CBOR text is not UTF-8") from error


def _key(value: object) -> str:
    """JSON has only text as keys; numbers are written out, other kinds are refused."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise MalformedError("CBOR map key that is neither text nor a number")


def _finite(value: float) -> float | None:
    """JSON has no infinity and no NaN."""
    return value if math.isfinite(value) else None
