"""Events from a device (device-protocol.md §3.6, §3.11)."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import structlog

from cyan.core.ids import DeviceId, UserId
from cyan.devices import description
from cyan.devices.model import UpdatesSwitched
from cyan.events.model import Event, is_reserved
from cyan.gateway.conversation import claims, oldfirmware, questions, safemode
from cyan.gateway.conversation.about import About, SystemEvent
from cyan.gateway.effects import Announce, Effect, End, LogEvent, Reply, Save
from cyan.gateway.session import Session
from cyan.wire import coap
from cyan.wire.messages import Publish

KEY_ERROR: Final = "spark/device/key/error"
SESSION_END: Final = "spark/device/session/end"
UPDATES_ENABLED: Final = "particle/device/updates/enabled"
UPDATES_FORCED: Final = "particle/device/updates/forced"

MAX_LOGGED_CHARACTERS: Final = 20
"""Of a mask in decimal."""

_log = structlog.get_logger(__name__)


def on_publish(
    session: Session,
    device_id: DeviceId,
    message_id: int,
    publish: Publish,
    *,
    owner_id: UserId | None,
    at_ms: int,
    about: Callable[[], About],
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
    if not is_reserved(name):
        return (log,)
    handle = _SYSTEM_EVENTS.get(name)
    if handle is None:
        # It means nothing, or would do harm to a device that it reached (spark/device/key/restore).
        return (Reply(),)
    return handle(SystemEvent(session, device_id, name, publish.data or b"", log, about()))


def _on_key_error(event: SystemEvent) -> Sequence[Effect]:
    mask = event.data[:MAX_LOGGED_CHARACTERS].decode(errors="replace")
    _log.warning("device.key_error", device_id=event.device_id, mask=mask)
    return (event.log,)


def _on_session_end(event: SystemEvent) -> Sequence[Effect]:
    return (Reply(), End("asked for by the device"))


def _on_updates_enabled(event: SystemEvent) -> Sequence[Effect]:
    return _keep_switches(event, enabled=_is_true(event.data))


def _on_updates_forced(event: SystemEvent) -> Sequence[Effect]:
    return _keep_switches(event, forced=_is_true(event.data))


def _keep_switches(
    event: SystemEvent, *, enabled: bool | None = None, forced: bool | None = None
) -> Sequence[Effect]:
    keep = partial(
        description.store_updates, device_id=event.device_id, enabled=enabled, forced=forced
    )
    told = Announce(UpdatesSwitched(event.device_id, enabled, forced))
    return (Save((keep,), None, (event.log, told)),)


def _is_true(data: bytes) -> bool:
    return data.strip() == b"true"


_SYSTEM_EVENTS: Final[dict[str, Callable[[SystemEvent], Sequence[Effect]]]] = {
    KEY_ERROR: _on_key_error,
    SESSION_END: _on_session_end,
    UPDATES_ENABLED: _on_updates_enabled,
    UPDATES_FORCED: _on_updates_forced,
    claims.CLAIM_CODE: claims.on_claim_code,
    safemode.SAFE_MODE: safemode.on_safe_mode,
    safemode.LAST_RESET: safemode.on_last_reset,
    oldfirmware.MAX_BINARY: oldfirmware.on_max_binary,
    oldfirmware.OTA_CHUNK_SIZE: oldfirmware.on_ota_chunk_size,
    oldfirmware.OTA_RESULT: oldfirmware.on_ota_result,
    oldfirmware.PATCH_VERSION: oldfirmware.on_patch_version,
    **dict.fromkeys(questions.NAMES, questions.on_question),
}
"""What the cloud does with an event of these names; all others that are reserved are acknowledged
and go nowhere."""
