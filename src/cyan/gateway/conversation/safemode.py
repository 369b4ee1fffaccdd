"""Safe mode, as a device says it and as its describe shows it (device-protocol.md §5.8).

People see `spark/status/safe-mode` with the describe once for each start of the device: with the
describe if that shows why, else with the event.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

from cyan.devices import description
from cyan.devices.model import DeviceStarted
from cyan.gateway.conversation.about import SystemEvent
from cyan.gateway.effects import Announce, Effect, Emit, Save
from cyan.gateway.session import Session

SAFE_MODE: Final = "spark/device/safemode"
LAST_RESET: Final = "spark/device/last_reset"
STATUS_EVENT: Final = "spark/status/safe-mode"

MAX_REASON_BYTES: Final = 64
"""Of a word or two, like `panic, hard_fault`."""


def on_unfit_describe(session: Session, describe: str) -> Emit:
    """The describe shows that the application cannot run."""
    session.told_safe_mode = True
    return Emit(STATUS_EVENT, describe)


def on_safe_mode(event: SystemEvent) -> Sequence[Effect]:
    """The device says so itself; it may have been told to, or lack assets."""
    after: list[Effect] = [event.log]
    describe = event.about.system_describe()
    if not event.session.told_safe_mode and describe is not None:
        after.append(Emit(STATUS_EVENT, describe))
    event.session.told_safe_mode = False
    said = partial(
        description.store_safe_mode, device_id=event.device_id, at_ms=event.about.now_ms()
    )
    return (Save((said,), None, tuple(after)),)


def on_last_reset(event: SystemEvent) -> Sequence[Effect]:
    """Once for each start; a session that goes on after it shows nothing else of it."""
    started = partial(
        description.store_reset, device_id=event.device_id, at_ms=event.about.now_ms()
    )
    reason = event.data[:MAX_REASON_BYTES].decode(errors="replace")
    told = Announce(DeviceStarted(event.device_id, reason))
    return (Save((started,), None, (event.log, told)),)
