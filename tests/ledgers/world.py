"""What the tests of ledgers say again and again."""

from dataclasses import dataclass
from typing import Any

import httpx

from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId
from tests.cast import Cast
from tests.clock import HandClock

LAMP = DeviceId("e00fce680000000000000001")
PUMP = DeviceId("e00fce680000000000000002")
BASE = "/v1/ledgers"


@dataclass
class World:
    """One server. The client is Ada's unless told otherwise."""

    db: Database
    clock: HandClock
    cast: Cast
    client: httpx.AsyncClient
    facts: list[object]

    async def make(
        self, name: str, scope: str = "Device", direction: str | None = "Downstream"
    ) -> httpx.Response:
        fields = {"name": name, "scope": scope, "direction": direction, "description": "of a test"}
        return await self.client.post(BASE, json={"ledger": fields})

    async def put(
        self, name: str, value: str, data: object, mode: str | None = None
    ) -> httpx.Response:
        return await self.client.put(
            f"{BASE}/{name}/instances/{value}",
            json={"instance": {"data": data}},
            params={} if mode is None else {"set_mode": mode},
        )

    async def get(self, tail: str, status: int = 200) -> Any:
        answer = await self.client.get(BASE + tail)
        assert answer.status_code == status, answer.text
        return answer.json()
