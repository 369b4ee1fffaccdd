"""Which protocol a device needs, what it takes, what the end of a transfer is for the port."""

from typing import Final

from cyan.core.errors import CyanError
from cyan.core.ports import (
    DeviceRefusedError,
    DeviceTimeoutError,
    Image,
    UpdateInterruptedError,
    UpdateLimits,
)
from cyan.gateway.conversation.ota.current import CurrentTransfer
from cyan.gateway.conversation.ota.legacy import LegacyTransfer
from cyan.gateway.conversation.ota.steps import Failed, Transfer, Why
from cyan.gateway.session import Session
from cyan.wire.messages import (
    CHUNK_OVERHEAD,
    CHUNK_SIZE_STEP,
    COMPRESSED_OTA,
    MAX_CHUNK_SIZE,
    MAX_CHUNKS,
    MIN_CHUNK_SIZE,
    OTA_V3,
)

LEGACY_OVERHEAD: Final = 16
"""Bytes of a legacy chunk's message beside its data (device-protocol.md §5.1)."""

CORE: Final = 0
"""The platform whose last chunk is filled up with zeros (device-protocol.md §5.1)."""


def make_transfer(session: Session, image: Image) -> Transfer:
    """The machine that this device needs.

    Raises DeviceRefusedError when its protocol cannot carry the file.
    """
    limits = limits_of(session)
    if not len(image.data):
        raise DeviceRefusedError("The file is empty.")
    if limits.is_current:
        return CurrentTransfer(
            image.data, image.sha256, limits.chunk_bytes, module_function=image.module_function
        )
    if len(image.data) > limits.chunk_bytes * MAX_CHUNKS:
        raise DeviceRefusedError("The file has more chunks than a device can count.")
    platform_id = session.hello.platform_id if session.hello is not None else None
    return LegacyTransfer(
        image.data,
        limits.chunk_bytes,
        is_stream=session.is_stream,
        pads=platform_id == CORE,
    )


def limits_of(session: Session) -> UpdateLimits:
    """What the device of this session takes."""
    hello = session.hello
    flags = hello.flags if hello is not None else 0
    is_current = bool(flags & OTA_V3)
    told = (hello.ota_chunk_size if hello is not None else None) or MIN_CHUNK_SIZE
    overhead = CHUNK_OVERHEAD if is_current else LEGACY_OVERHEAD
    fits = min(told, MAX_CHUNK_SIZE, session.max_message_size - overhead)
    return UpdateLimits(
        is_current=is_current,
        # Also a device that tells nonsense takes this much.
        chunk_bytes=max(fits // CHUNK_SIZE_STEP * CHUNK_SIZE_STEP, MIN_CHUNK_SIZE),
        max_image_bytes=hello.max_binary_size if hello is not None else None,
        takes_compressed=bool(flags & COMPRESSED_OTA),
    )


def error_of(failed: Failed) -> CyanError:
    """What the port raises for this end."""
    if failed.why is Why.REFUSED:
        return DeviceRefusedError(failed.text, failed.code)
    if failed.why is Why.TIMEOUT:
        return DeviceTimeoutError(failed.text)
    return UpdateInterruptedError(failed.text)
