"""The card of firmware in the room of a device: something is dropped in, and goes, or did not."""

from collections.abc import AsyncIterator
from typing import Final

from starlette.datastructures import UploadFile
from starlette.responses import Response

from cyan.console.device import ONE
from cyan.console.needs import Needs
from cyan.console.pages import Page
from cyan.console.refusals import describe
from cyan.console.updates import UPDATES_SHOWN, of_attempts
from cyan.console.visit import Visit
from cyan.core.errors import CyanError
from cyan.devices.api import MAX_FIRMWARE_BYTES
from cyan.devices.model import Device
from cyan.firmware.compiling.model import CompileError
from cyan.firmware.flashing import Upload
from cyan.firmware.model import AttemptEndedError
from cyan.firmware.uploads import File
from cyan.rest.errors import bad_request

MORE: Final = 50
"""Updates of the history that are shown together."""


class FirmwareRoom:
    """Sends firmware, and looks back."""

    def __init__(self, needs: Needs) -> None:
        self._needs = needs

    async def flash(self, visit: Visit) -> Response:
        """Returns once bytes flow, with the form as it is for the next one; why not is said in
        it."""
        device = self._device(visit)
        files = tuple([file async for file in _uploads(visit)])
        if not files:
            raise bad_request("Choose a file first.")
        error, said = None, ""
        try:
            flashed = await self._needs.flashing.flash(visit.caller, device, Upload(files=files))
            said = flashed.compiler_output or ""
        except CompileError as refused:
            error, said = refused.message, refused.errors
        except CyanError as refused:
            error = describe(refused)[1]
            if describe(refused)[0] == 500:
                raise
        return visit.part("device-flash.html", device=device, error=error, said=said)

    async def cancel(self, visit: Visit) -> Response:
        """End what is under way, and what is to follow it: which one it is may change while a
        person decides, so that none is named."""
        device = self._device(visit)
        flashing = self._needs.flashing
        under_way = [attempt for attempt in flashing.latest(device, limit=MORE) if attempt.is_open]
        if not under_way:
            raise AttemptEndedError
        first = min(under_way, key=lambda attempt: (attempt.created_at_ms, attempt.position))
        await flashing.cancel(visit.caller.user_id, device, first.id)
        updates = of_attempts(flashing.latest(device, limit=UPDATES_SHOWN))
        part = visit.part("device-updates.html", device=device, updates=updates)
        return visit.told(part, "The update is cancelled.")

    async def history(self, visit: Visit) -> Response:
        """All that was sent, and how it went."""
        device = self._device(visit)
        before = visit.query.get("before")
        flashing = self._needs.flashing
        found = flashing.latest(
            device, before=flashing.get(device, before) if before else None, limit=MORE
        )
        return visit.page(
            "device-history.html",
            device=device,
            updates=of_attempts(found),
            before=found[-1].id if len(found) == MORE else "",
        )

    def _device(self, visit: Visit) -> Device:
        return self._needs.access.get(visit.caller, visit.path["device"])


async def _uploads(visit: Visit) -> AsyncIterator[File]:
    value = (await visit.body()).get("file")
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, UploadFile) and each.filename:
            yield File(each.filename, await each.read())


def pages(needs: Needs) -> list[Page]:
    room = FirmwareRoom(needs)
    return [
        Page("POST", f"{ONE}/flash", room.flash, max_body_bytes=MAX_FIRMWARE_BYTES),
        Page("POST", f"{ONE}/updates/cancel", room.cancel),
        Page("GET", f"{ONE}/updates", room.history),
    ]
