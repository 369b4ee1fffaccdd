"""Describes: what the device runs and offers (device-protocol.md §3.3)."""

from collections.abc import Sequence
from functools import partial

import structlog

from cyan.core.ids import DeviceId
from cyan.devices import description
from cyan.gateway.effects import Ask, Effect, End, Reply, Save, Tell, Work
from cyan.gateway.session import Session
from cyan.wire import coap
from cyan.wire.blockwise import Reassembly
from cyan.wire.describe import (
    ApplicationDescribe,
    SystemDescribe,
    decode_describe,
)
from cyan.wire.errors import MalformedError
from cyan.wire.messages import APPLICATION, SYSTEM, DescribePost

PENDING_EVENT = "particle/device/updates/pending"

_log = structlog.get_logger(__name__)


def on_describe(
    session: Session, device_id: DeviceId, message: coap.Message, post: DescribePost
) -> Sequence[Effect]:
    """Each block is acknowledged; the whole is kept before its last block is.

    The device takes any acknowledgement for success, an error code too. When a block is missing
    the session is therefore ended: the device will describe itself anew. A whole describe that
    cannot be read would be the same again after each handshake, so that one is logged.
    """
    reply = (
        b""
        if not message.token
        else coap.encode_ack(message.message_id, coap.CHANGED, message.token)
    )
    try:
        payload = _whole(session, post)
        if payload is None:
            return (Reply(reply),)
    except MalformedError as error:
        return (End(f"describe: {error}"),)
    try:
        found = on_described(session, device_id, post.flags, post.content_format, payload, reply)
    except MalformedError as error:
        _log.warning("device.describe_unreadable", device_id=device_id, error=str(error))
        return (Reply(coap.encode_ack(message.message_id, coap.BAD_REQUEST, message.token)),)
    return found


def on_described(
    session: Session,
    device_id: DeviceId,
    flags: int,
    content_format: int,
    payload: bytes,
    reply: bytes | None = None,
) -> Sequence[Effect]:
    """Keep a whole describe, sent or asked for, then answer with `reply` if it was sent.

    Raises MalformedError when it cannot be read.
    """
    works: list[Work] = []
    after: list[Effect] = []
    for part in decode_describe(flags, content_format, payload):
        if isinstance(part, SystemDescribe):
            session.has_system = True
            works.append(_store_system(session, device_id, part))
        elif isinstance(part, ApplicationDescribe):
            session.has_application = True
            works.append(
                partial(
                    description.store_application,
                    device_id=device_id,
                    functions=part.functions,
                    variables=part.variables,
                )
            )
            # Until the first such event after its boot the device's update status is "unknown",
            # and applications wait for it before they sleep (device-protocol.md §3.11).
            after.append(Tell(PENDING_EVENT, "false"))
    if session.has_system:
        after += still_to_ask(session)
    return (Save(tuple(works), reply, tuple(after)),)


def still_to_ask(session: Session) -> Sequence[Effect]:
    """Ask firmware that does not describe itself for what it has not told yet.

    One flag at a time: firmware from 3.3 on disconnects at two (§3.3.1). The oldest tells both at
    once.
    """
    if session.hello is None or session.describes_itself:
        return ()
    if not session.has_system:
        return (Ask(SYSTEM),)
    return () if session.has_application else (Ask(APPLICATION),)


def _whole(session: Session, post: DescribePost) -> bytes | None:
    """The describe once its last block has come; None before."""
    if post.block is None or (post.block.number == 0 and not post.block.more):
        session.blocks = None
        return post.payload
    if session.blocks is None:
        session.blocks = Reassembly()
    whole = session.blocks.feed(post.flags, post.block, post.payload)
    if whole is not None:
        session.blocks = None
    return whole


def _store_system(session: Session, device_id: DeviceId, system: SystemDescribe) -> Work:
    platform_id = session.hello.platform_id if session.hello else None
    return partial(
        description.store_system, device_id=device_id, system=system, platform_id=platform_id
    )
