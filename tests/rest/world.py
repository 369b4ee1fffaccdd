"""The whole server as `app.py` puts it together, in an empty folder, with a device of Ada's.

Nothing is started and nothing is connected; a new feature is in it without being named here.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.types import ASGIApp

from cyan.app import Parts, build
from cyan.core.config import load_config
from cyan.core.db import migrate
from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId
from cyan.devices.registry import register_device
from cyan.rest.application import build_asgi
from cyan.rest.registry import Registry
from tests.cast import Cast, make_cast, quick_passwords
from tests.clock import HandClock

ADAS_DEVICE = DeviceId("0123456789abcdef01234567")
ADAS_NAME = "lamp-of-ada"


@dataclass(frozen=True, slots=True)
class World:
    """`clock` stands still at the time of the start; the parts have the real one."""

    parts: Parts
    app: ASGIApp
    cast: Cast
    clock: HandClock

    @property
    def registry(self) -> Registry:
        return self.parts.registry

    @property
    def db(self) -> Database:
        return self.parts.database

    def close(self) -> None:
        self.parts.passwords.close()
        self.parts.database.close()


def build_world(folder: Path, **settings: str) -> World:
    """Call it on the loop that will ask."""
    config = load_config({"data": folder, **settings}, {})
    migrate.upgrade(config.database_path)
    parts = build(config)
    clock = HandClock(parts.clock.now())
    passwords = quick_passwords()
    cast = make_cast(parts.database, clock, passwords)
    passwords.close()
    register_device(
        parts.database, parts.clock, ADAS_DEVICE, name=ADAS_NAME, owner=cast.ada.user_id
    )
    return World(parts, build_asgi(parts.registry, parts.tokens, parts.clock), cast, clock)


@asynccontextmanager
async def whole_server(folder: Path) -> AsyncIterator[World]:
    """The same, which ends as a server does: what was published is in the log."""
    world = build_world(folder)
    yield world
    await world.parts.event_log.drain()
    world.close()
