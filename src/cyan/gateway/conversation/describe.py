"""Describes: what the device runs and offers (device-protocol.md §3.3)."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec
import structlog

from cyan.core.ids import DeviceId
from cyan.devices import description
from cyan.devices.model import DeviceDescribed
from cyan.devices.safemode import is_safe_mode
from cyan.gateway.conversation import diagnostics, safemode
from cyan.gateway.conversation.about import About
from cyan.gateway.effects import Announce, Ask, Effect, Emit, End, Reply, Save, Tell, Work
from cyan.gateway.session import Session
from cyan.wire import coap
from cyan.wire.blockwise import Reassembly
from cyan.wire.describe import (
    ApplicationDescribe,
    SystemDescribe,
    decode_describe,
)
from cyan.wire.errors import MalformedError
from cyan.wire.messages import APPLICATION, DIAGNOSTICS, METRICS, SYSTEM, DescribePost

PENDING_EVENT: Final = "particle/device/updates/pending"
APPLICATION_HASH_EVENT: Final = "spark/device/app-hash"

VITALS_AFTER_S: Final = 2.0
"""From the application describe, the last thing but subscriptions that a new session begins with,
to the question for vitals: what the platform takes (device-protocol.md §3.3.4)."""

_log = structlog.get_logger(__name__)


def on_describe(
    session: Session,
    device_id: DeviceId,
    message: coap.Message,
    post: DescribePost,
    about: Callable[[], About],
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
        return on_described(
            session, device_id, post.flags, post.content_format, payload, about(), reply
        )
    except MalformedError as error:
        _log.warning("device.describe_unreadable", device_id=device_id, error=str(error))
        return (Reply(coap.encode_ack(message.message_id, coap.BAD_REQUEST, message.token)),)


def on_described(
    session: Session,
    device_id: DeviceId,
    flags: int,
    content_format: int,
    payload: bytes,
    about: About,
    reply: bytes | None = None,
    round_trip_ms: int | None = None,
) -> Sequence[Effect]:
    """Keep a whole describe, sent or asked for, then answer with `reply` if it was sent.

    `round_trip_ms` is what the question took, if one was asked. Raises MalformedError when the
    describe cannot be read.
    """
    works: list[Work] = []
    after: list[Effect] = []
    for part in decode_describe(flags, content_format, payload):
        if isinstance(part, SystemDescribe):
            works.append(_on_system(session, device_id, part, about, after))
        elif isinstance(part, ApplicationDescribe):
            works.append(_on_application(session, device_id, part, about, after))
        else:
            keep, tell = diagnostics.on_metrics(device_id, part, about, round_trip_ms)
            works.append(keep)
            after.append(tell)
    if session.has_system and flags != METRICS:
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


def _on_system(
    session: Session,
    device_id: DeviceId,
    system: SystemDescribe,
    about: About,
    after: list[Effect],
) -> Work:
    platform_id = session.hello.platform_id if session.hello else None
    session.has_system = True
    session.set_system_version(system.system_version)
    if system.app_hash is not None and system.app_hash != about.application_hash():
        after.append(Emit(APPLICATION_HASH_EVENT, system.app_hash))
    is_fit = not is_safe_mode(system)
    after.append(Announce(DeviceDescribed(device_id, system, is_fit)))
    if not is_fit:
        text = msgspec.json.encode(system.to_json(platform_id)).decode()
        after.append(safemode.on_unfit_describe(session, text))
    return partial(
        description.store_system, device_id=device_id, system=system, platform_id=platform_id
    )


def _on_application(
    session: Session,
    device_id: DeviceId,
    application: ApplicationDescribe,
    about: About,
    after: list[Effect],
) -> Work:
    # Until the first such event after its boot the device's update status is "unknown", and
    # applications wait for it before they sleep (device-protocol.md §3.11).
    after.append(Tell(PENDING_EVENT, "true" if about.has_pending_update() else "false"))
    if not session.has_application and session.hello and session.hello.flags & DIAGNOSTICS:
        after.append(Ask(METRICS, VITALS_AFTER_S))
    session.has_application = True
    return partial(
        description.store_application,
        device_id=device_id,
        functions=application.functions,
        variables=application.variables,
    )


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
