"""The messages that carry describes (device-protocol.md section 3.3.1); the describes themselves
are in `cyan.wire.describe`."""

from typing import Final

import msgspec

from cyan.wire import coap
from cyan.wire.blockwise import Block, encode_block, find_block
from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.messages.answer import one_byte_token

SYSTEM: Final = 0x01
APPLICATION: Final = 0x02
METRICS: Final = 0x04
"""Describe flags: one raw byte in the Uri-Query. Firmware before 3.3 may combine them."""

_ALL: Final = SYSTEM | APPLICATION | METRICS
_ONE_FLAG: Final = (SYSTEM, APPLICATION, METRICS)


class DescribePost(msgspec.Struct, frozen=True):
    """A device describes itself, whole or in one block of several."""

    flags: int
    payload: bytes
    content_format: int = coap.TEXT
    block: Block | None = None


class DescribeRequest(msgspec.Struct, frozen=True):
    """Describe yourself. `flags` is None without a query; `block` asks for one block of many."""

    flags: int | None
    block: Block | None = None


def decode_describe_post(message: coap.Message) -> DescribePost:
    """Reads `POST d ?flags`."""
    flags = _decode_flags(message)
    if flags is None or not 1 <= flags <= _ALL:
        raise MalformedError(f"describe with flags {flags}")
    content_format = coap.find_option(message, coap.CONTENT_FORMAT) or b""
    return DescribePost(
        flags,
        message.payload,
        coap.decode_uint(content_format),
        find_block(message, coap.BLOCK1),
    )


def encode_describe_post(message_id: int, token: bytes, post: DescribePost) -> bytes:
    """Writes `POST d ?flags` (a new token for each block)."""
    options = [(coap.URI_PATH, b"d")]
    if post.content_format != coap.TEXT:
        options.append((coap.CONTENT_FORMAT, coap.encode_uint(post.content_format)))
    options.append((coap.URI_QUERY, _encode_flags(post.flags)))
    if post.block is not None:
        options.append((coap.BLOCK1, encode_block(post.block)))
    return coap.encode(
        coap.Message(coap.CON, coap.POST, message_id, token, tuple(options), post.payload)
    )


def decode_describe_request(message: coap.Message) -> DescribeRequest:
    """Reads `GET d ?flags`, for the device's side."""
    return DescribeRequest(_decode_flags(message), find_block(message, coap.BLOCK2))


def encode_describe_request(
    message_id: int,
    token: bytes,
    flags: int | None,
    *,
    block_number: int = 0,
    szx: int = 0,
    before_3_3: bool = False,
) -> bytes:
    """Writes `GET d ?flags`; for a later block with its number and the size of the first.

    Firmware `before_3_3` takes flags together, and none at all for system and application.

    Raises:
        MisuseError: Not exactly one flag, for a device that would disconnect.
    """
    options = [(coap.URI_PATH, b"d")]
    if flags in _ONE_FLAG or (before_3_3 and flags is not None):
        options.append((coap.URI_QUERY, _encode_flags(flags)))
    elif not before_3_3:
        raise MisuseError(f"describe request with flags {flags}")
    if block_number:
        options.append((coap.BLOCK2, encode_block(Block(block_number, False, szx))))
    return coap.encode(
        coap.Message(coap.CON, coap.GET, message_id, one_byte_token(token), tuple(options))
    )


def encode_describe_answer(
    message_id: int,
    token: bytes,
    payload: bytes,
    *,
    content_format: int = coap.TEXT,
    block: Block | None = None,
    etag: bytes = b"",
    piggybacked: bool = False,
) -> bytes:
    """Writes the device's separate 2.05, confirmable on every transport; before 2.0 it stood in
    the acknowledgement, whose id is the request's."""
    options = []
    if etag:
        options.append((coap.ETAG, etag))
    if content_format != coap.TEXT:
        options.append((coap.CONTENT_FORMAT, coap.encode_uint(content_format)))
    if block is not None:
        options.append((coap.BLOCK2, encode_block(block)))
    type_ = coap.ACK if piggybacked else coap.CON
    return coap.encode(
        coap.Message(type_, coap.CONTENT, message_id, token, tuple(options), payload)
    )


def _decode_flags(message: coap.Message) -> int | None:
    query = coap.find_option(message, coap.URI_QUERY)
    if query is None:
        return None
    if len(query) != 1:
        raise MalformedError(f"describe flags of {len(query)} bytes")
    return query[0]


def _encode_flags(flags: int) -> bytes:
    if not 1 <= flags <= _ALL:
        raise MisuseError(f"describe flags {flags}")
    return bytes((flags,))
