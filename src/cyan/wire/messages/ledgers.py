"""The messages that carry what is said of ledgers (device-protocol.md sections 2.5 and 6.1); the
requests and responses themselves are in `cyan.wire.ledger`.

    POST L, [ETag] Uri-Path `L` [Block2] [Block1] [Request-Tag], payload

A device sends a long request in blocks (Block1, Request-Tag), and asks for the later blocks of a
long response with its ETag (Block2) and without a payload.
"""

from typing import Final

import msgspec

from cyan.wire import coap
from cyan.wire.blockwise import Block, encode_block, find_block
from cyan.wire.errors import MalformedError
from cyan.wire.messages.answer import one_byte_token

PATH: Final = b"L"
MAX_TAG: Final = 8
"""Bytes of an ETag or Request-Tag."""


class LedgerPost(msgspec.Struct, frozen=True):
    """A request about ledgers, whole or one block of it, or for one more block of the response."""

    payload: bytes
    block: Block | None = None
    tag: bytes = b""
    """The same in all blocks of one request."""
    wanted: Block | None = None
    """The block of the response that is asked for."""
    etag: bytes = b""
    """Of the response of which more is asked for."""


def decode_ledger_post(message: coap.Message) -> LedgerPost:
    """Reads `POST L`."""
    tag = coap.find_option(message, coap.REQUEST_TAG) or b""
    etag = coap.find_option(message, coap.ETAG) or b""
    if len(tag) > MAX_TAG or len(etag) > MAX_TAG:
        raise MalformedError("ledger message with a long tag")
    block, wanted = find_block(message, coap.BLOCK1), find_block(message, coap.BLOCK2)
    return LedgerPost(message.payload, block, tag, wanted, etag)


def encode_ledger_post(message_id: int, token: bytes, post: LedgerPost) -> bytes:
    """Writes `POST L`, of either side; a server's is always whole."""
    options: list[tuple[int, bytes]] = []
    if post.etag:
        options.append((coap.ETAG, post.etag))
    options.append((coap.URI_PATH, PATH))
    if post.wanted is not None:
        options.append((coap.BLOCK2, encode_block(post.wanted)))
    if post.block is not None:
        options.append((coap.BLOCK1, encode_block(post.block)))
    if post.tag:
        options.append((coap.REQUEST_TAG, post.tag))
    return coap.encode(
        coap.Message(
            coap.CON, coap.POST, message_id, one_byte_token(token), tuple(options), post.payload
        )
    )


def encode_ledger_answer(
    message_id: int,
    token: bytes,
    code: int,
    payload: bytes,
    *,
    block: Block | None = None,
    etag: bytes = b"",
) -> bytes:
    """Writes the server's answer, in the acknowledgement; one block of it with the ETag of all."""
    options = []
    if block is not None:
        options = [(coap.ETAG, etag), (coap.BLOCK2, encode_block(block))]
    return coap.encode(coap.Message(coap.ACK, code, message_id, token, tuple(options), payload))
