"""The operator's page: gateway, storage, refused devices and why, figures over the last hour."""

import platform
import shutil
from typing import Final

import msgspec
from sqlalchemy import Connection, func, select
from starlette.responses import Response

from cyan import __version__
from cyan.accounts.store import users
from cyan.console.gauges import INTERVAL_S, Gauges
from cyan.console.live import STREAM_LIMIT, stream
from cyan.console.model import ROOT
from cyan.console.needs import Needs
from cyan.console.pages import Access, Page
from cyan.console.refused import told
from cyan.console.visit import Visit
from cyan.core.metrics import REGISTRY
from cyan.devices.store import devices_device
from cyan.events import store as events_store

SERVER: Final = f"{ROOT}/server"

_SINCE_THE_START: Final = (
    "cyan_handshakes",
    "cyan_handshakes_ended",
    "cyan_sessions_adopted",
    "cyan_devices_refused",
    "cyan_datagrams_dropped",
    "cyan_events",
    "cyan_events_refused",
    "cyan_events_undelivered",
    "cyan_calls",
    "cyan_updates_ended",
    "cyan_logins",
    "cyan_http_rate_limited",
)
"""The counters of the page, in this order; what each counts is said where it is declared."""

_DEVICES = select(func.count()).select_from(devices_device)
_PEOPLE = select(func.count()).select_from(users)


class Total(msgspec.Struct, frozen=True):
    """A counter's value since the start."""

    name: str
    label: str
    value: int


class Count(msgspec.Struct, frozen=True):
    """A counter with all its labels."""

    name: str
    help: str
    totals: list[Total]


def pages(needs: Needs) -> list[Page]:
    room = _Server(needs)
    return [
        Page("GET", SERVER, room.show, Access.OPERATOR),
        Page("GET", f"{SERVER}/live", room.live, Access.OPERATOR, STREAM_LIMIT),
    ]


class _Server:
    def __init__(self, needs: Needs) -> None:
        self._needs = needs
        self._gauges: Gauges = needs.gauges

    async def show(self, visit: Visit) -> Response:
        # Counting a large fleet takes milliseconds: in the writer's thread, not on the loop.
        devices, people, log_bytes = await self._needs.database.write(_look)
        return visit.page(
            "server.html",
            **self._figures(),
            config=self._needs.config,
            version=__version__,
            python=platform.python_version(),
            devices=devices,
            people=people,
            log_bytes=log_bytes,
            disk=shutil.disk_usage(self._needs.config.data),
            refused=told(self._needs.database),
            counts=counts(),
        )

    async def live(self, visit: Visit) -> Response:
        """The figures anew after each sample."""
        opened = self._gauges.open(
            "figures", lambda: visit.part_text("server-figures.html", **self._figures())
        )
        return stream(visit, opened, self._needs.sessions.is_living)

    def _figures(self) -> dict[str, object]:
        if not self._gauges.samples:
            self._gauges.sample()
        samples = list(self._gauges.samples)
        events, requests, cpu = (
            self._gauges.rates(name) for name in ("events", "requests", "cpu_s")
        )
        return {
            "now": samples[-1],
            "online": [float(one.online) for one in samples],
            "memory": [float(one.memory_bytes) for one in samples],
            "events": events,
            "requests": requests,
            "cpu": [share * 100 for share in cpu],
            "minutes": max(1, round(len(samples) * INTERVAL_S / 60)),
        }


def counts() -> list[Count]:
    """The counters of the page that have counted anything."""
    found: dict[str, Count] = {}
    for family in REGISTRY.collect():
        if family.name in _SINCE_THE_START:
            totals = [
                Total(family.name, " ".join(one.labels.values()), int(one.value))
                for one in family.samples
                if one.value and one.name.endswith("_total")
            ]
            if totals:
                found[family.name] = Count(family.name, family.documentation, totals)
    return [found[name] for name in _SINCE_THE_START if name in found]


def _look(connection: Connection) -> tuple[int, int, int]:
    """Devices, accounts, and how large the event log is."""
    return (
        connection.execute(_DEVICES).scalar_one(),
        connection.execute(_PEOPLE).scalar_one(),
        events_store.stretch_bytes(connection),
    )
