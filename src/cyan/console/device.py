"""The room of one device: what it can do, what it says, how it is."""

from collections.abc import Awaitable, Collection, Iterator
from hashlib import sha256
from typing import Final

import msgspec
from starlette.responses import Response

from cyan.calls.model import (
    ArgumentTooLongError,
    UnknownFunctionError,
    UnknownVariableError,
    UnreadableVariableError,
)
from cyan.console.devices import DEVICES, NO_VERSION
from cyan.console.events import newest, open_tail
from cyan.console.live import STREAM_LIMIT, stream
from cyan.console.needs import Needs
from cyan.console.pages import Page
from cyan.console.platforms import platform_name
from cyan.console.refusals import describe
from cyan.console.together import Together
from cyan.console.updates import UPDATES_SHOWN, Update, of_attempts
from cyan.console.visit import Visit
from cyan.console.watching import TooManyPagesError
from cyan.core.errors import InvalidError
from cyan.core.ids import DeviceId
from cyan.core.ports import DeviceOfflineError, DeviceRefusedError, DeviceTimeoutError
from cyan.devices import registry
from cyan.devices.flags import read_flag
from cyan.devices.model import Device, UnknownDeviceError
from cyan.devices.naming import NameTakenError
from cyan.devices.releases import release_of
from cyan.devices.resource import TYPE_NAMES, UNKNOWN_TYPE
from cyan.events.streams import StreamFilter

ONE: Final = f"{DEVICES}/{{device}}"

_UNANSWERED: Final = (
    DeviceOfflineError,
    DeviceTimeoutError,
    DeviceRefusedError,
    UnknownFunctionError,
    UnknownVariableError,
    ArgumentTooLongError,
    UnreadableVariableError,
)
"""What is said beside the button that was pressed."""


class DeviceRoom:
    """What is shown of one device and done with it. Every endpoint asks the access door first."""

    def __init__(self, needs: Needs) -> None:
        self._needs = needs

    async def show(self, visit: Visit) -> Response:
        device = self._device(visit)
        lines, after = await newest(self._needs, visit, device.id)
        return visit.page(
            "device.html",
            lines=lines,
            after=after,
            shown=_abilities(device),
            **self._state(device),
            updates=self._updates(device),
            facts=self._facts(device),
            variables=_variables(device),
        )

    async def live(self, visit: Visit) -> Response:
        """What changes by itself: how it is, what it can do, its updates, its events as they come.

        `shown` in the address tells which functions and variables the page has; they are sent when
        there are others, because nobody shall lose what they are typing.
        """
        device = self._device(visit)
        user_id = visit.caller.user_id
        tail = open_tail(self._needs, visit, StreamFilter(user_id, device.id, ""))
        shown = visit.query.get("shown", "")

        def look(_changed: Collection[DeviceId]) -> Iterator[tuple[str, str]]:
            nonlocal shown
            try:
                now = self._needs.access.get(visit.caller, device.id)
            except UnknownDeviceError:
                yield "state", visit.part_text("device-gone.html")
                return
            yield "state", visit.part_text("device-state.html", **self._state(now))
            yield (
                "updates",
                visit.part_text("device-updates.html", device=now, updates=self._updates(now)),
            )
            yield "facts", visit.part_text("device-facts.html", device=now, facts=self._facts(now))
            if _abilities(now) != shown:
                shown = _abilities(now)
                yield (
                    "abilities",
                    visit.part_text("device-abilities.html", device=now, variables=_variables(now)),
                )

        try:
            state = self._needs.watching.open(user_id, [device.id], look)
        except TooManyPagesError:
            tail.close()
            raise
        return stream(visit, Together([state, tail]), self._needs.sessions.is_living)

    async def call(self, visit: Visit) -> Response:
        device, fields = self._device(visit), await visit.texts()
        name, argument = fields.get("function", ""), fields.get("argument", "")
        return await _answer(visit, self._needs.calls.call_function(device, name, argument))

    async def read(self, visit: Visit) -> Response:
        device, fields = self._device(visit), await visit.texts()
        name = fields.get("variable", "")
        return await _answer(visit, self._needs.calls.read_variable(device, name))

    async def ping(self, visit: Visit) -> Response:
        device = self._device(visit)
        started = visit.clock.monotonic()
        if await self._needs.calls.is_answering(device):
            took_ms = (visit.clock.monotonic() - started) * 1000
            return visit.told(Response(status_code=204), f"It answered within {took_ms:.0f} ms.")
        return visit.told(Response(status_code=204), "It does not answer.", "bad")

    async def signal(self, visit: Visit) -> Response:
        device, fields = self._device(visit), await visit.texts()
        on = fields.get("on") == "yes"
        await self._needs.calls.signal(device, on)
        said = "Its light shows all colors now." if on else "Its light is itself again."
        return visit.told(visit.part("device-signal.html", device=device, on=on), said)

    async def rename(self, visit: Visit) -> Response:
        """What is wrong with a name is said in the form."""
        device, name = self._device(visit), (await visit.texts()).get("name", "")
        try:
            await self._needs.resource.change(visit.caller, device, {"name": name})
        except (InvalidError, NameTakenError) as error:
            return visit.part("device-rename.html", device=device, name=name, error=error.message)
        return visit.go(f"{DEVICES}/{device.id}", "It has its new name.")

    async def write_notes(self, visit: Visit) -> Response:
        device, notes = self._device(visit), (await visit.texts()).get("notes", "")
        try:
            await self._needs.resource.change(visit.caller, device, {"notes": notes or None})
        except InvalidError as error:
            return visit.part("device-notes.html", device=device, notes=notes, error=error.message)
        part = visit.part("device-notes.html", device=device, notes=notes, error=None)
        return visit.told(part, "The notes are saved.")

    async def set_flags(self, visit: Visit) -> Response:
        """Switches of its owner: what is ticked is on."""
        device, fields = self._device(visit), await visit.texts()
        name = fields.get("flag", "")
        if name not in ("development", "firmware_updates_forced"):
            raise InvalidError("There is no such switch.")
        on = read_flag(name, fields.get("on", "false"))
        await self._needs.resource.change(visit.caller, device, {name: on})
        part = visit.part("device-flags.html", device=self._device(visit))
        return visit.told(part, _SWITCHED[name, on])

    async def release(self, visit: Visit) -> Response:
        device = self._device(visit)
        await self._needs.claiming.release(visit.caller, device)
        return visit.go(DEVICES, f"{device.name} is not yours any more.")

    def _device(self, visit: Visit) -> Device:
        """Raises UnknownDeviceError."""
        return self._needs.access.get(visit.caller, visit.path["device"])

    def _state(self, device: Device) -> dict[str, object]:
        presence = self._needs.presence
        return {
            "device": device,
            "online": presence.is_online(device.id),
            "heard_ms": presence.last_heard_ms(device.id),
            "since_ms": presence.last_handshake_ms(device.id) or device.last_handshake_at_ms,
        }

    def _updates(self, device: Device) -> list[Update]:
        attempts = self._needs.flashing.latest(device, limit=UPDATES_SHOWN)
        return of_attempts(attempts, self._needs.watching.progress(device.id))

    def _facts(self, device: Device) -> list[tuple[str, str | None]]:
        """What is known of it, in words."""
        key = registry.show_key(self._needs.database, device.id)
        presence = self._needs.presence
        version = device.system_version
        shown = {
            "Device id": device.id,
            "Board": platform_name(device.platform_id),
            "Device OS": None if version is None else release_of(version),
            "Product version": (
                None if device.product_version in NO_VERSION else str(device.product_version)
            ),
            "Application": device.application_hash,
            "Address": presence.last_ip(device.id) or device.last_ip_address,
            "Serial number": device.serial_number,
            "IMEI": device.imei,
            "ICCID": device.iccid,
            "Modem": device.modem_firmware,
            "Key": None if key is None else key.fingerprint,
        }
        return [(name, value) for name, value in shown.items() if value]


_SWITCHED: Final = {
    ("development", True): "It is marked for development.",
    ("development", False): "It is not marked for development any more.",
    ("firmware_updates_forced", True): "It takes updates in any case now.",
    ("firmware_updates_forced", False): "Its application decides again whether it takes updates.",
}


async def _answer(visit: Visit, answer: Awaitable[int | bool | float | str]) -> Response:
    """What the device answered, or in its place why it did not; and how long it took."""
    started = visit.clock.monotonic()
    value, error = None, None
    try:
        value = await answer
    except _UNANSWERED as refused:
        error = describe(refused)[1]
    took_ms = round((visit.clock.monotonic() - started) * 1000)
    shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return visit.part("device-answer.html", value=shown, error=error, took_ms=took_ms)


def _variables(device: Device) -> list[tuple[str, str]]:
    """Names and types."""
    types = device.variables.items()
    return [(name, TYPE_NAMES.get(code, UNKNOWN_TYPE)) for name, code in types]


def _abilities(device: Device) -> str:
    """Another text for other functions and variables."""
    told = msgspec.json.encode((device.functions, device.variables))
    return sha256(told).hexdigest()[:16]


def pages(needs: Needs) -> list[Page]:
    room = DeviceRoom(needs)
    return [
        Page("GET", ONE, room.show),
        Page("GET", f"{ONE}/live", room.live, counts_as=STREAM_LIMIT),
        Page("POST", f"{ONE}/call", room.call),
        Page("POST", f"{ONE}/read", room.read),
        Page("POST", f"{ONE}/ping", room.ping),
        Page("POST", f"{ONE}/signal", room.signal),
        Page("POST", f"{ONE}/name", room.rename),
        Page("POST", f"{ONE}/notes", room.write_notes),
        Page("POST", f"{ONE}/flags", room.set_flags),
        Page("POST", f"{ONE}/release", room.release),
    ]
