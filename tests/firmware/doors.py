"""The door of firmware over a real application, with boards of this process."""

from dataclasses import dataclass
from pathlib import Path

import httpx

from cyan.core.config import Config
from cyan.core.ids import DeviceId
from cyan.devices import api as devices_api
from cyan.devices.access import DeviceAccess
from cyan.devices.claiming import Claiming
from cyan.devices.ownership import Ownership
from cyan.devices.presence import Presence
from cyan.devices.provisioning import Provisioning
from cyan.devices.resource import DeviceResource
from cyan.devices.transfers import Transfers
from cyan.firmware import api
from cyan.firmware.binaries import Binaries
from cyan.firmware.compiling.service import open_compilers
from cyan.firmware.flashing import Flashing
from cyan.firmware.images import Images
from cyan.rest.auth import Caller
from tests.cast import Cast, Person
from tests.conftest import Serve
from tests.devices.world import SentLetters
from tests.firmware.world import LAMP, Works, reach


@dataclass
class Door:
    """The API in front of the parts."""

    works: Works
    cleo: Person
    client: httpx.AsyncClient
    binaries: Binaries
    claiming: Claiming

    @property
    def caller(self) -> Caller:
        ada = self.works.ada
        return Caller(ada.user_id, ada.username, ada.token_id, "particle-cli", None)

    async def flash(
        self,
        *files: tuple[str, bytes],
        device: DeviceId = LAMP,
        headers: dict[str, str] | None = None,
        **fields: str,
    ) -> httpx.Response:
        """What the stock CLI sends: file, file2 …"""
        parts = {
            "file" if number == 0 else f"file{number + 1}": (name, data)
            for number, (name, data) in enumerate(files)
        }
        return await self.client.put(
            f"/v1/devices/{device}",
            files=parts,
            data=fields,
            headers=headers or self.works.ada.headers,
        )

    async def put(self, fields: dict[str, str], *, device: DeviceId = LAMP) -> httpx.Response:
        return await self.client.put(
            f"/v1/devices/{device}", json=fields, headers=self.works.ada.headers
        )

    async def update(self, answer: httpx.Response) -> dict[str, object]:
        """The update that an answer has begun, as it is now."""
        body = answer.json()
        found = await self.client.get(
            f"/v1/devices/{body['id']}/firmware/updates/{body['update_id']}",
            headers=self.works.ada.headers,
        )
        shown: dict[str, object] = found.json()
        return shown

    async def updates(self) -> list[dict[str, object]]:
        """Those of the lamp, the newest first."""
        found = await self.client.get(
            f"/v1/devices/{LAMP}/firmware/updates", headers=self.works.ada.headers
        )
        shown: list[dict[str, object]] = found.json()["updates"]
        return shown

    async def until_idle(self) -> None:
        """Nothing is under way any more."""
        await reach(lambda: not self.works.attempts._tasks)

    def give_to(self, person: Person) -> None:
        """The lamp has another owner."""
        at_ms = self.works.clock.now_ms()
        self.works.db.write_blocking(
            lambda connection: connection.exec_driver_sql(
                "UPDATE devices_device SET owner_id = ?, claimed_at_ms = ?",
                (person.user_id, at_ms),
            )
        )


def make_door(works: Works, cast: Cast, serve: Serve, data: Path, compiler: str) -> Door:
    db, clock, bus = works.db, works.clock, works.bus
    ownership, presence, access = Ownership(db), Presence(db), DeviceAccess(db)
    claiming = Claiming(db, clock, bus, ownership, presence)
    resource = DeviceResource(db, clock, presence)
    images = Images(data, clock, reserve_bytes=0)
    config = Config(data=data, simulated_compiler=compiler)
    binaries = Binaries(db, clock, images, open_compilers(config))
    flashing = Flashing(works.attempts, images, works.boards, binaries)
    works.use(images)
    client = serve(
        [
            *devices_api.routes(
                access,
                claiming,
                Transfers(db, clock, bus, ownership, SentLetters()),
                Provisioning(db, clock, bus, ownership, "registered"),
                resource,
            ),
            *api.routes(access, flashing, resource),
        ]
    )
    return Door(works, cast.cleo, client, binaries, claiming)
