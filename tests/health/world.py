"""What a test of vitals needs: the parts, and a way to say that a device sent some."""

from dataclasses import dataclass

import httpx

from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId
from cyan.health import service
from tests.calls.fake_link import FakeLink
from tests.cast import Cast, Person
from tests.clock import HandClock

BORON = DeviceId("e00fce680000000000000001")


@dataclass
class World:
    """One server, one device."""

    db: Database
    clock: HandClock
    cast: Cast
    link: FakeLink
    client: httpx.AsyncClient

    def send(self, payload: str, device_id: DeviceId = BORON) -> None:
        """The device sent vitals that read like this, now."""
        at_ms = self.clock.now_ms()
        self.db.write_blocking(
            lambda connection: service.keep(connection, device_id, payload, at_ms)
        )

    async def get(
        self, tail: str = "", person: Person | None = None, **headers: str
    ) -> httpx.Response:
        who = person or self.cast.ada
        return await self.client.get(
            f"/v1/diagnostics/{BORON}{tail}", headers={**who.headers, **headers}
        )
