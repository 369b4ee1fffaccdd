"""Ledgers: what a device asks about its own, and writes (device-protocol.md §6)."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec
import structlog

from cyan.core.ids import DeviceId
from cyan.events import cbor
from cyan.gateway.effects import Effect, Reply, Save
from cyan.gateway.session import Session
from cyan.ledgers import sync
from cyan.ledgers.cbor import encode
from cyan.ledgers.model import Direction, Scope
from cyan.ledgers.sync import DeviceLedgers, Listener, Synced
from cyan.wire import coap
from cyan.wire import ledger as wire
from cyan.wire.blockwise import SZX_1024, Block, Reassembly
from cyan.wire.errors import MalformedError
from cyan.wire.messages import LedgerPost, encode_ledger_answer

BLOCK_BYTES: Final = 1024
"""The one size of block that firmware takes (device-protocol.md §2.5)."""

MAX_TRANSFERS: Final = 1024
"""Devices whose requests or responses are on their way in blocks; 33 KiB each at most. The oldest
gives way: its device begins again some time later."""

ETAG_BYTES: Final = 8

_CODES: Final = {
    wire.NOT_FOUND: coap.NOT_FOUND,
    wire.INVALID_SYNC_DIRECTION: coap.FORBIDDEN,
    wire.SCOPE_CHANGED: coap.BAD_REQUEST,
    wire.INVALID_DATA: coap.BAD_REQUEST,
    wire.TOO_LARGE_DATA: coap.REQUEST_ENTITY_TOO_LARGE,
    wire.ERROR: coap.BAD_REQUEST,
}
_SCOPES: Final = {Scope.DEVICE: wire.DEVICE_SCOPE, Scope.OWNER: wire.OWNER_SCOPE}
_DIRECTIONS: Final = {
    Direction.UPSTREAM: wire.DEVICE_TO_CLOUD,
    Direction.DOWNSTREAM: wire.CLOUD_TO_DEVICE,
}

_log = structlog.get_logger(__name__)


class _RefusedError(Exception):
    """The device gets this result; it asks anew what it knows of the ledger, or tries later."""

    def __init__(self, result: int, text: str) -> None:
        super().__init__(text)
        self.result = result
        self.text = text


class _Transfer:
    """What is on its way with one device, which sends and asks for one thing at a time."""

    __slots__ = ("answer", "etag", "tag", "upload")

    def __init__(self) -> None:
        self.upload = Reassembly()
        self.tag = b""
        self.answer = b""
        self.etag = b""


class LedgerConversation:
    """Answers the ledger messages of all devices. Used on the loop only."""

    def __init__(self, ledgers: DeviceLedgers, now_ms: Callable[[], int]) -> None:
        self._ledgers = ledgers
        self._now_ms = now_ms
        self._transfers: OrderedDict[bytes, _Transfer] = OrderedDict()

    def on_post(
        self, session: Session, device_id: DeviceId, message: coap.Message, post: LedgerPost
    ) -> Sequence[Effect]:
        """A request, a block of one, or the wish for one more block of the answer."""
        answer = partial(self._answer, session, message)
        try:
            if post.wanted is not None and post.etag:
                return (Reply(self._next_block(session, message, post.etag, post.wanted)),)
            payload = self._whole(session, post)
            if payload is None:
                return (Reply(coap.encode_ack(message.message_id, coap.CONTINUE, message.token)),)
            request = wire.decode_request(payload)
            match request:
                case wire.GetInfo(names):
                    return self._on_get_info(session, device_id, names, answer)
                case wire.SetData():
                    return self._on_set_data(device_id, request, answer)
                case wire.GetData():
                    return (Reply(answer(self._read(device_id, request))),)
                case wire.Subscribe(ledgers):
                    return self._on_subscribe(session, device_id, ledgers, answer)
            raise _RefusedError(wire.ERROR, "that is for the cloud to ask")
        except _RefusedError as refused:
            _log.info("device.ledger_refused", device_id=device_id, reason=refused.text)
            result, text = refused.result, refused.text
        except MalformedError as error:
            _log.info("device.ledger_malformed", device_id=device_id, error=str(error))
            result, text = wire.ERROR, "the request cannot be read"
        failure = wire.encode_failure(result, text)
        code = _CODES[result]
        return (Reply(encode_ledger_answer(message.message_id, message.token, code, failure)),)

    # -- requests ------------------------------------------------------------------------------

    def _on_get_info(
        self,
        session: Session,
        device_id: DeviceId,
        names: tuple[str, ...],
        answer: Callable[[bytes], bytes],
    ) -> Sequence[Effect]:
        """From now on the device is told when a ledger is made or changed: its firmware knows that
        message, which would cost older firmware its session (§2.1)."""
        found = [self._ledgers.find(device_id, name) for name in names]
        infos = [self._info(synced) for synced in found if synced is not None]
        reply = answer(wire.encode_info(infos))
        known = self._ledgers.find_listener(device_id)
        if known is not None and known.connection_id == session.connection_id:
            return (Reply(reply),)
        return (_listening(session, device_id, (), reply),)

    def _on_subscribe(
        self,
        session: Session,
        device_id: DeviceId,
        ledgers: tuple[wire.Ref, ...],
        answer: Callable[[bytes], bytes],
    ) -> Sequence[Effect]:
        """Kept before it is answered: the device does not say it again in this session."""
        found = [self._find(device_id, ledger, Direction.DOWNSTREAM) for ledger in ledgers]
        stamps = [wire.Stamped(each.ledger.name, self._stamp(each)) for each in found]
        names = tuple(each.ledger.name for each in found)
        return (_listening(session, device_id, names, answer(wire.encode_subscribed(stamps))),)

    def _on_set_data(
        self, device_id: DeviceId, request: wire.SetData, answer: Callable[[bytes], bytes]
    ) -> Sequence[Effect]:
        """Kept before it is answered. What arrives last counts: only this device writes it."""
        synced = self._find(device_id, request.ledger, Direction.UPSTREAM)
        if len(request.data) > wire.MAX_DATA:
            raise _RefusedError(wire.TOO_LARGE_DATA, f"more than {wire.MAX_DATA} bytes")
        try:
            data = cbor.decode(request.data) if request.data else {}
        except MalformedError as error:
            raise _RefusedError(wire.INVALID_DATA, "not CBOR that JSON can show") from error
        if not isinstance(data, dict):
            raise _RefusedError(wire.INVALID_DATA, "not a map")
        write = partial(
            sync.write,
            synced=synced,
            data=data,
            size_bytes=len(request.data),
            at_ms=self._now_ms(),
        )
        return (Save((write,), answer(wire.encode_data_set())),)

    def _read(self, device_id: DeviceId, request: wire.GetData) -> bytes:
        synced = self._find(device_id, request.ledger, Direction.DOWNSTREAM)
        held = self._ledgers.held(synced)
        if held is None:
            return wire.encode_data(None, None)
        if request.last_updated is not None and request.last_updated >= held.updated_at_ms:
            return wire.encode_data(held.updated_at_ms, None)
        return wire.encode_data(held.updated_at_ms, encode(msgspec.json.decode(held.data)))

    def _find(self, device_id: DeviceId, ref: wire.Ref, direction: Direction) -> Synced:
        synced = self._ledgers.find(device_id, ref.name)
        if synced is None:
            raise _RefusedError(wire.NOT_FOUND, "no such ledger")
        if synced.ledger.direction is not direction:
            raise _RefusedError(wire.INVALID_SYNC_DIRECTION, "the ledger goes the other way")
        if synced.scope_id != ref.scope_id:
            raise _RefusedError(wire.SCOPE_CHANGED, "another ledger of this name")
        return synced

    def _info(self, synced: Synced) -> wire.Info:
        direction = synced.ledger.direction
        assert direction is not None
        return wire.Info(
            synced.ledger.name,
            synced.scope_id,
            _SCOPES[synced.ledger.scope],
            _DIRECTIONS[direction],
            self._stamp(synced),
        )

    def _stamp(self, synced: Synced) -> int | None:
        held = self._ledgers.held(synced)
        return None if held is None else held.updated_at_ms

    # -- blocks --------------------------------------------------------------------------------

    def _whole(self, session: Session, post: LedgerPost) -> bytes | None:
        """The request once its last block has come; None before."""
        block = post.block
        if block is None or (block.number == 0 and not block.more):
            return post.payload
        transfer = self._transfer(session)
        if block.number == 0:
            transfer.tag = post.tag
        elif post.tag != transfer.tag:
            raise MalformedError("a block of another request")
        if block.number * block.size_bytes > wire.MAX_REQUEST:
            raise _RefusedError(wire.TOO_LARGE_DATA, f"more than {wire.MAX_DATA} bytes")
        return transfer.upload.feed(0, block, post.payload)

    def _answer(self, session: Session, message: coap.Message, body: bytes) -> bytes:
        """The answer, or its first block: the device asks for the others."""
        if len(body) <= BLOCK_BYTES:
            return encode_ledger_answer(message.message_id, message.token, coap.CHANGED, body)
        transfer = self._transfer(session)
        transfer.answer = body
        transfer.etag = hashlib.sha256(body).digest()[:ETAG_BYTES]
        return self._next_block(session, message, transfer.etag, Block(0, False, SZX_1024))

    def _next_block(
        self, session: Session, message: coap.Message, etag: bytes, wanted: Block
    ) -> bytes:
        transfer = self._transfers.get(session.connection_id)
        start = wanted.number * BLOCK_BYTES
        if (
            transfer is None
            or etag != transfer.etag
            or wanted.szx != SZX_1024
            or start >= len(transfer.answer)
        ):
            raise MalformedError("a block of an answer that is not there")
        piece = transfer.answer[start : start + BLOCK_BYTES]
        block = Block(wanted.number, start + BLOCK_BYTES < len(transfer.answer), SZX_1024)
        return encode_ledger_answer(
            message.message_id, message.token, coap.CHANGED, piece, block=block, etag=etag
        )

    def _transfer(self, session: Session) -> _Transfer:
        transfer = self._transfers.setdefault(session.connection_id, _Transfer())
        self._transfers.move_to_end(session.connection_id)
        if len(self._transfers) > MAX_TRANSFERS:
            self._transfers.popitem(last=False)
        return transfer


def _listening(session: Session, device_id: DeviceId, names: tuple[str, ...], reply: bytes) -> Save:
    listener = Listener(device_id, session.connection_id, names)
    return Save((partial(sync.listen, listener=listener),), reply)
