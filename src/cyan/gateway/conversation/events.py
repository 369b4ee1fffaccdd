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
    log = LogEvent(
        Event(
            name,
            publish.data,
            at_ms,
            device_id,
            owner_id,
            publish.content_format,
            publish.max_age,
            None,
            session.product_version,
            session.connection_id,
            message_id,
        )
    )
    return _on_system_event(device_id, publish, log) if is_reserved(name) else (log,)


def _on_system_event(device_id: DeviceId, publish: Publish, log: LogEvent) -> Sequence[Effect]:
    """What the cloud does with a reserved name; `log` puts the event into the log."""
    name, data = publish.name, publish.data or b""
    if name == SESSION_END:
        return (Reply(), End("asked for by the device"))
    if name not in _TO_STREAMS:
        return (Reply(),)
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
