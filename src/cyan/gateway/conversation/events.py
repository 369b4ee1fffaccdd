"""Events from a device (device-protocol.md §3.6, §3.11)."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from cyan.core.ids import DeviceId, UserId
from cyan.devices import description
from cyan.events.model import Event, is_reserved
from cyan.gateway.effects import Effect, End, LogEvent, Reply, Save, Work
from cyan.gateway.session import Session
from cyan.wire import coap
from cyan.wire.messages import Publish

SAFE_MODE: Final = "spark/device/safemode"
LAST_RESET: Final = "spark/device/last_reset"
KEY_ERROR: Final = "spark/device/key/error"
SESSION_END: Final = "spark/device/session/end"
UPDATES_ENABLED: Final = "particle/device/updates/enabled"
UPDATES_FORCED: Final = "particle/device/updates/forced"

_TO_STREAMS: Final = frozenset({SAFE_MODE, LAST_RESET, KEY_ERROR, UPDATES_ENABLED, UPDATES_FORCED})
"""System events of a device that people see; the other reserved names mean nothing or are for
the cloud alone (a claim code is a secret)."""


def on_publish(
    session: Session,
    device_id: DeviceId,
    message_id: int,
    publish: Publish,
    *,
    owner_id: UserId | None,
    at_ms: int,
) -> Sequence[Effect]:
    """An event goes into the log and is acknowledged after its commit. Hot path."""
    name = publish.name
    if not name.isprintable():
        # It would break the lines of a stream; the device reports the refusal to its program.
        return (Reply(coap.encode_ack(message_id, coap.BAD_REQUEST)),)
    if is_reserved(name):
        return _on_system_event(session, device_id, message_id, publish, owner_id, at_ms)
    return (LogEvent(_event(session, device_id, message_id, publish, owner_id, at_ms)),)


def _event(
    session: Session,
    device_id: DeviceId,
    message_id: int,
    publish: Publish,
    owner_id: UserId | None,
    at_ms: int,
) -> Event:
    hello = session.hello
    version = hello.product_version if hello is not None else 0xFFFF
    return Event(
        publish.name,
        publish.data,
        at_ms,
        device_id,
        owner_id,
        publish.content_format,
        publish.max_age,
        None,
        0 if version == 0xFFFF else version,
        session.connection_id,
        message_id,
    )


def _on_system_event(
    session: Session,
    device_id: DeviceId,
    message_id: int,
    publish: Publish,
    owner_id: UserId | None,
    at_ms: int,
) -> Sequence[Effect]:
    name, data = publish.name, publish.data or b""
    if name == SESSION_END:
        return (Reply(), End("asked for by the device"))
    if name not in _TO_STREAMS:
        return (Reply(),)
    log = LogEvent(_event(session, device_id, message_id, publish, owner_id, at_ms))
    if name == UPDATES_ENABLED:
        return (Save((_updates(device_id, enabled=_is_true(data)),), None, (log,)),)
    if name == UPDATES_FORCED:
        return (Save((_updates(device_id, forced=_is_true(data)),), None, (log,)),)
    return (log,)


def _updates(
    device_id: DeviceId, *, enabled: bool | None = None, forced: bool | None = None
) -> Work:
    return partial(description.store_updates, device_id=device_id, enabled=enabled, forced=forced)


def _is_true(data: bytes) -> bool:
    return data.strip() == b"true"
