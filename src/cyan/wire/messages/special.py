"""Names of the events that device and cloud send each other about the device itself
(device-protocol.md section 3.11, platform-semantics.md section 6.5).

All of them begin with `spark` or `particle`; which of the two is history.
"""

from typing import Final

# From the device.
CLAIM_CODE: Final = "spark/device/claim/code"
SAFE_MODE: Final = "spark/device/safemode"
LAST_RESET: Final = "spark/device/last_reset"
KEY_ERROR: Final = "spark/device/key/error"
SESSION_END: Final = "spark/device/session/end"
UPDATES_ENABLED: Final = "particle/device/updates/enabled"
UPDATES_FORCED: Final = "particle/device/updates/forced"
"""Both ways: the cloud sets it, the device tells what it has."""

# From the device before 3.0.
MAX_BINARY: Final = "spark/hardware/max_binary"
OTA_CHUNK_SIZE: Final = "spark/hardware/ota_chunk_size"
"""Decimal numbers: what Hello tells since 3.0."""
OTA_RESULT: Final = "spark/device/ota_result"
"""JSON `{"r":<code>, …}`."""
IDENTITY: Final = "spark/device/ident/0"
CC3000_PATCH_VERSION: Final = "spark/cc3000-patch-version"
"""Of the Core's radio."""

# Asked by the device, answered to it alone under the same name.
QUESTIONS: Final = ("name", "ip", "random")
QUESTION_PREFIXES: Final = ("particle/device/", "spark/device/")
"""`spark/` from older programs."""

# To the device.
CLAIMED_PREFIX: Final = "spark/device/claim/"
"""Whatever follows: the device forgets its claim code."""
RESET: Final = "spark/device/reset"
UPDATES_PENDING: Final = "particle/device/updates/pending"
KEY_RESTORE: Final = "spark/device/key/restore"
"""Repoints the device at Particle's cloud: never sent."""


def question_of(name: str) -> str | None:
    """What a device asks with an event of this name (one of `QUESTIONS`), None if nothing."""
    for prefix in QUESTION_PREFIXES:
        if name.startswith(prefix) and name[len(prefix) :] in QUESTIONS:
            return name[len(prefix) :]
    return None
