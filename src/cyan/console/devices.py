"""The devices room: all that a person has, found, chosen and acted on."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from starlette.responses import Response

from cyan.console.live import STREAM_LIMIT, stream
from cyan.console.model import ROOT
from cyan.console.needs import Needs
from cyan.console.pages import Page
from cyan.console.platforms import NAMES, platform_name
from cyan.console.roll import PAGE_SIZE, Rolls, View, read_view
from cyan.console.visit import Visit
from cyan.console.watching import MAX_WATCHED
from cyan.core.errors import CyanError
from cyan.core.ids import DeviceId, is_device_id
from cyan.devices.model import Device, UnknownDeviceError
from cyan.devices.releases import release_of
from cyan.devices.transfers import OPEN
from cyan.rest.errors import bad_request

DEVICES: Final = f"{ROOT}/devices"

MAX_CHOSEN: Final = PAGE_SIZE
"""Devices of one action: a page of them."""

NO_VERSION: Final = (None, 0xFFFF)
"""The second is what firmware without one reports (platform-semantics.md §21 row 13)."""

Act = Callable[[Visit, Device], Awaitable[None]]


class Row(msgspec.Struct, frozen=True):
    """A device of the list, ready to be shown: there are many on a page."""

    id: DeviceId
    name: str
    is_online: bool
    heard_ms: int | None
    board: str
    release: str
    version: str
    is_in_safe_mode: bool
    is_for_development: bool


class _RefusedError(Exception):
    """One of the chosen devices did not do it; the text says why."""


class DevicesRoom:
    """The list, and what is done from it."""

    def __init__(self, needs: Needs) -> None:
        self._needs = needs
        self._rolls = Rolls(needs.database, needs.ownership, needs.presence)
        self._acts: dict[str, tuple[Act, str]] = {
            "ping": (self._ping, "answered"),
            "signal": (self._signal_on, "shine in all colors now"),
            "signal-off": (self._signal_off, "are themselves again"),
            "development": (self._development_on, "are marked for development"),
            "development-off": (self._development_off, "are not marked for development any more"),
            "release": (self._release, "are not yours any more"),
        }

    async def list(self, visit: Visit) -> Response:
        """The page, or for the search and the arrows its list."""
        view = read_view(visit.query)
        if visit.is_htmx:
            response = await self._list(visit, view)
            query = view.query(page=view.page)
            response.headers["hx-push-url"] = DEVICES + (f"?{query}" if query else "")
            return response
        values = await self._values(visit, view)
        return visit.page(
            "devices.html",
            platforms=sorted(NAMES.items(), key=_name),
            waiting=self._count_waiting(visit),
            most=MAX_CHOSEN,
            **values,
        )

    async def live(self, visit: Visit) -> Response:
        """The dots of a page's devices, as they change."""
        asked = visit.query.get("ids", "").split(",")
        ids = [DeviceId(text) for text in asked[:MAX_WATCHED] if is_device_id(text)]
        own = self._needs.ownership.devices_of(visit.caller.user_id)
        inner = self._needs.watching.open(
            visit.caller.user_id,
            [device_id for device_id in ids if device_id in own],
            lambda changed: self._look(visit, changed),
        )
        return stream(visit, inner, self._needs.sessions.is_living)

    async def act(self, visit: Visit) -> Response:
        """The same with each chosen device; then the list as it is now."""
        fields = await visit.texts()
        act, past = self._acts.get(fields.get("action", ""), (None, ""))
        if act is None:
            raise bad_request("There is no such action.")
        chosen = await visit.texts_of("id")
        if not chosen:
            raise bad_request("Tick the devices first that it is for.")
        if len(chosen) > MAX_CHOSEN:
            raise bad_request(f"Choose at most {MAX_CHOSEN} devices at once.")
        outcomes = await asyncio.gather(*(self._do(visit, act, text) for text in chosen))
        failed = [outcome for outcome in outcomes if outcome is not None]
        done = len(outcomes) - len(failed)
        response = await self._list(visit, read_view(dict(parse_qsl(fields.get("view", "")))))
        said = f"{done} of {len(outcomes)} {past}."
        if failed:
            said += " " + " ".join(failed[:3]) + (" …" if len(failed) > 3 else "")
        return visit.told(response, said, "bad" if failed and not done else "good")

    async def _do(self, visit: Visit, act: Act, text: str) -> str | None:
        """None when it was done, else why not."""
        try:
            device = self._needs.access.get(visit.caller, text)
        except UnknownDeviceError:
            return "One is not yours any more."
        try:
            await act(visit, device)
        except CyanError as error:
            return f"{device.name}: {error.message}"
        except _RefusedError as refused:
            return f"{device.name}: {refused}"
        return None

    async def _ping(self, _visit: Visit, device: Device) -> None:
        if not await self._needs.calls.is_answering(device):
            raise _RefusedError("no answer.")

    async def _signal_on(self, _visit: Visit, device: Device) -> None:
        await self._needs.calls.signal(device, True)

    async def _signal_off(self, _visit: Visit, device: Device) -> None:
        await self._needs.calls.signal(device, False)

    async def _development_on(self, visit: Visit, device: Device) -> None:
        await self._needs.resource.change(visit.caller, device, {"development": True})

    async def _development_off(self, visit: Visit, device: Device) -> None:
        await self._needs.resource.change(visit.caller, device, {"development": False})

    async def _release(self, visit: Visit, device: Device) -> None:
        await self._needs.claiming.release(visit.caller, device)

    async def _list(self, visit: Visit, view: View) -> Response:
        return visit.part("devices-list.html", **await self._values(visit, view))

    def _count_waiting(self, visit: Visit) -> int:
        """Requests for devices that wait for this person's answer."""
        user_id = visit.caller.user_id
        listed = self._needs.transfers.list_of(visit.caller)
        return sum(one.state == OPEN and one.owner_id == user_id for one in listed)

    async def _values(self, visit: Visit, view: View) -> dict[str, object]:
        roll = await self._rolls.read(visit.caller, view)
        return {
            "roll": roll,
            "view": roll.view,
            "rows": [self._row(device) for device in roll.devices],
            "ids": ",".join(device.id for device in roll.devices),
        }

    def _row(self, device: Device) -> Row:
        version = device.system_version
        return Row(
            id=device.id,
            name=device.name or device.id,
            is_online=self._needs.presence.is_online(device.id),
            heard_ms=self._needs.presence.last_heard_ms(device.id),
            board=platform_name(device.platform_id),
            release="" if version is None else release_of(version),
            version="" if device.product_version in NO_VERSION else str(device.product_version),
            is_in_safe_mode=device.is_in_safe_mode,
            is_for_development=bool(device.development),
        )

    def _look(self, visit: Visit, changed: Collection[DeviceId]) -> Iterator[tuple[str, str]]:
        own = self._needs.ownership.devices_of(visit.caller.user_id)
        for device_id in changed:
            if device_id not in own:
                yield f"dot-{device_id}", visit.part_text("devices-dot.html", state="unknown")
                continue
            online = self._needs.presence.is_online(device_id)
            state = "online" if online else "offline"
            heard_ms = self._needs.presence.last_heard_ms(device_id)
            yield f"dot-{device_id}", visit.part_text("devices-dot.html", state=state)
            yield (
                f"heard-{device_id}",
                visit.part_text(
                    "devices-heard.html", is_part=True, is_online=online, heard_ms=heard_ms
                ),
            )
        online_count = self._rolls.count_online(visit.caller)
        if online_count is not None:
            yield "online-count", str(online_count)


def _name(item: tuple[int, str]) -> str:
    return item[1]


def pages(needs: Needs) -> Iterable[Page]:
    room = DevicesRoom(needs)
    return [
        Page("GET", DEVICES, room.list),
        Page("GET", f"{DEVICES}/live", room.live, counts_as=STREAM_LIMIT),
        Page("POST", f"{DEVICES}/act", room.act),
    ]
