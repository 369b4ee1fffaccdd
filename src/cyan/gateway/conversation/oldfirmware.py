"""What firmware before 2.0 and 3.0 tells in events (device-protocol.md §3.11): kept where updates
need it, and shown to nobody."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog

from cyan.devices import description
from cyan.gateway.conversation.about import SystemEvent
from cyan.gateway.effects import Effect, Reply, Save

MAX_BINARY: Final = "spark/hardware/max_binary"
OTA_CHUNK_SIZE: Final = "spark/hardware/ota_chunk_size"
OTA_RESULT: Final = "spark/device/ota_result"
PATCH_VERSION: Final = "spark/cc3000-patch-version"

MAX_SIZE_DIGITS: Final = 9
"""No board takes a gigabyte."""

MAX_LOGGED_CHARACTERS: Final = 200

_log = structlog.get_logger(__name__)


def on_max_binary(event: SystemEvent) -> Sequence[Effect]:
    size = _size(event.data)
    if size is None:
        return (Reply(),)
    keep = description.store_transfer_limits
    return (Save((partial(keep, device_id=event.device_id, max_binary_bytes=size),)),)


def on_ota_chunk_size(event: SystemEvent) -> Sequence[Effect]:
    size = _size(event.data)
    if size is None:
        return (Reply(),)
    keep = description.store_transfer_limits
    return (Save((partial(keep, device_id=event.device_id, ota_chunk_bytes=size),)),)


def on_patch_version(event: SystemEvent) -> Sequence[Effect]:
    version = _printable(event.data)
    keep = description.store_patch_version
    return (Save((partial(keep, device_id=event.device_id, version=version),)),)


def on_ota_result(event: SystemEvent) -> Sequence[Effect]:
    result = _printable(event.data)[:MAX_LOGGED_CHARACTERS]
    _log.info("device.ota_result", device_id=event.device_id, result=result)
    return (Reply(),)


def _size(data: bytes) -> int | None:
    """Bytes, as decimal digits; None for anything else."""
    digits = data.strip()
    if not digits.isdigit() or len(digits) > MAX_SIZE_DIGITS:
        return None
    return int(digits) or None


def _printable(data: bytes) -> str:
    text = data.decode(errors="replace")
    return "".join(character for character in text if character.isprintable())
