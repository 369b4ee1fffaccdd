"""The vitals of a device as small charts, and the last ones in words."""

import asyncio
from ipaddress import IPv4Address
from typing import Final

import msgspec
from starlette.responses import Response

from cyan.console.device import ONE
from cyan.console.needs import Needs
from cyan.console.pages import Page
from cyan.console.visit import Visit
from cyan.core.clock import iso_ms
from cyan.core.errors import InvalidError
from cyan.devices.model import Device
from cyan.health.fields import FIELDS, SERVICE_FIELDS
from cyan.health.model import NoVitalsError, Record, flatten
from cyan.health.service import Vitals
from cyan.health.shapes import SummaryReply
from cyan.health.summary import summarize

SPANS: Final = {"1": "1 hour", "24": "1 day", "168": "7 days", "720": "30 days"}
"""Hours that can be looked back, as many as are kept."""

SAMPLES: Final = 60
"""Points of a chart."""

PATIENCE_S: Final = 5.0
"""How long an asked device's answer is waited for before the page says that it has not come yet."""

_MINUTE_MS: Final = 60_000

_STEPS: Final = 25

_ADDRESSES: Final = ("device.network.ip.address", "device.network.ip.gateway")
"""One number of 32 bits, the first octet in its highest bits (`HAL_IPAddress` of Device OS); signed
where firmware says so."""

_CHARTS: Final = {
    "signalStrength": ("Signal strength", "%", 0.0, 100.0),
    "signalQuality": ("Signal quality", "%", 0.0, 100.0),
    "memoryUsed": ("Memory used", "%", 0.0, 100.0),
    "batteryCharge": ("Battery", "%", 0.0, 100.0),
    "roundTrip": ("Round trip", "ms", 0.0, None),
}


class Chart(msgspec.Struct, frozen=True):
    """One value over the time, None where nothing is known of a stretch."""

    title: str
    units: str
    values: list[float | None]
    last: float
    low: float | None
    high: float | None


class VitalsRoom:
    """The card of vitals in the room of a device."""

    def __init__(self, needs: Needs) -> None:
        self._needs = needs

    async def show(self, visit: Visit) -> Response:
        return await self._card(visit, self._device(visit), visit.query.get("hours", "24"))

    async def ask(self, visit: Visit) -> Response:
        """Ask the device, and wait a little for what it says."""
        device, fields = self._device(visit), await visit.texts()
        vitals = self._needs.vitals
        before = now = _last(vitals, device)
        vitals.request(device)
        for _ in range(_STEPS):
            await asyncio.sleep(PATIENCE_S / _STEPS)
            now = _last(vitals, device)
            if now != before:
                break
        card = await self._card(visit, device, fields.get("hours", "24"))
        if now == before:
            return visit.told(card, "It was asked and has not answered yet.", "info")
        return card

    async def _card(self, visit: Visit, device: Device, hours: str) -> Response:
        if hours not in SPANS:
            raise InvalidError(f"hours is one of {', '.join(SPANS)}.")
        to_ms = visit.clock.now_ms()
        from_ms = to_ms - int(hours) * 3_600_000
        vitals = self._needs.vitals
        records = vitals.list_between(device, from_ms, to_ms)
        if records:
            # A chart begins with what it shows first, or a new device would be a dot in its corner.
            from_ms = min(records[0].at_ms, to_ms - _MINUTE_MS)
        # A month of records takes a tenth of a second, which others shall not wait.
        charts = await asyncio.to_thread(_charts, device, records, from_ms, to_ms)
        last = _last(vitals, device)
        return visit.part(
            "device-vitals.html",
            device=device,
            spans=SPANS,
            hours=hours,
            charts=charts,
            last=last,
            leaves=[] if last is None else _leaves(last),
        )

    def _device(self, visit: Visit) -> Device:
        return self._needs.access.get(visit.caller, visit.path["device"])


def _last(vitals: Vitals, device: Device) -> Record | None:
    try:
        return vitals.get_last(device)
    except NoVitalsError:
        return None


def _charts(device: Device, records: list[Record], from_ms: int, to_ms: int) -> list[Chart]:
    """Those of which anything is known."""
    summed = msgspec.convert(summarize(device.id, records, from_ms, to_ms, SAMPLES), SummaryReply)
    step_ms = summed.bucketSize * 1000
    samples = {sample.timestamp: sample for sample in summed.samples}
    stretches = [samples.get(iso_ms(at_ms)) for at_ms in range(from_ms, to_ms, step_ms)]
    found = []
    for name, (title, units, low, high) in _CHARTS.items():
        values = [None if sample is None else getattr(sample, name) for sample in stretches]
        known = [value for value in values if value is not None]
        if known:
            # One alone is drawn as a line, or it would be a dot that nobody sees.
            drawn: list[float | None] = [*known, *known] if len(known) == 1 else values
            found.append(Chart(title, units, drawn, known[-1], low, high))
    return found


def _leaves(record: Record) -> list[tuple[str, str]]:
    """What the device measured, in words; without what it could not measure."""
    values = flatten(record.payload)
    return [
        (field.title, f"{in_words(field.path, values[field.path])} {field.units or ''}".rstrip())
        for field in (*FIELDS, *SERVICE_FIELDS)
        if field.path in values
    ]


def in_words(path: str, value: object) -> str:
    """A measured value as people write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if path in _ADDRESSES and isinstance(value, int):
        return str(IPv4Address(value & 0xFFFF_FFFF))
    return str(value)


def pages(needs: Needs) -> list[Page]:
    room = VitalsRoom(needs)
    return [
        Page("GET", f"{ONE}/vitals", room.show),
        Page("POST", f"{ONE}/vitals", room.ask),
    ]
