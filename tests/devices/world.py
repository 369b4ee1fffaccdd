"""The parts behind the device routes, put together as the program does it, with Ada and Cleo."""

from dataclasses import dataclass, field

import httpx

from cyan.accounts.people import People
from cyan.calls import api as calls_api
from cyan.calls.service import Calls
from cyan.core.bus import Bus
from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId, UserId
from cyan.core.secrets import Vault
from cyan.devices import api as devices_api
from cyan.devices import (
    claimcodes,
    description,
    findapi,
    platformproducts,
    provisioningapi,
    registry,
    transferapi,
)
from cyan.devices.access import DeviceAccess
from cyan.devices.claimcodes import ClaimCodes, Outcome
from cyan.devices.claiming import Claiming
from cyan.devices.flags import ForcedUpdates
from cyan.devices.keys import REGISTERED
from cyan.devices.labels import Labels, read_fields
from cyan.devices.model import (
    Device,
    DeviceClaimed,
    DeviceKeyChanged,
    DeviceReleased,
    UpdatesForced,
)
from cyan.devices.ownership import Ownership
from cyan.devices.presence import DeviceOnline, Presence
from cyan.devices.provisioning import Provisioning
from cyan.devices.resource import DeviceResource
from cyan.devices.transfers import Transfer, Transfers
from tests.calls.fake_link import FakeDevice, FakeLink
from tests.cast import Cast, Person
from tests.clock import HandClock
from tests.conftest import Serve

BORON = 13
PHOTON = 6
PERMISSION_DENIED = {
    "error": "Permission Denied",
    "info": "I didn't recognize that device name or ID, try opening /v1/devices",
}


def device_id(number: int) -> DeviceId:
    return DeviceId(f"e00fce68{number:016x}")


class SentLetters:
    """What people were told of transfer requests."""

    def __init__(self) -> None:
        self.requested: list[tuple[Transfer, str]] = []
        self.decided: list[Transfer] = []

    def transfer_requested(self, transfer: Transfer, secret: str) -> None:
        self.requested.append((transfer, secret))

    def transfer_decided(self, transfer: Transfer) -> None:
        self.decided.append(transfer)


@dataclass
class World:
    """Everything, and what was told on the bus."""

    db: Database
    clock: HandClock
    bus: Bus
    cast: Cast
    presence: Presence
    ownership: Ownership
    access: DeviceAccess
    claiming: Claiming
    claim_codes: ClaimCodes
    resource: DeviceResource
    letters: SentLetters
    vault: Vault
    link: FakeLink
    client: httpx.AsyncClient
    claimed: list[DeviceClaimed] = field(default_factory=list)
    rekeyed: list[DeviceKeyChanged] = field(default_factory=list)
    released: list[DeviceReleased] = field(default_factory=list)

    def register(
        self, number: int, owner: Person | None = None, *, name: str | None = None
    ) -> DeviceId:
        """A known device, the owner's if given; it was never online."""
        made = registry.register_device(
            self.db,
            self.clock,
            device_id(number),
            name=name,
            owner=None if owner is None else owner.user_id,
        )
        self.ownership.refresh(made.id)
        return made.id

    def connect(
        self,
        number: int,
        functions: tuple[str, ...] = (),
        variables: dict[str, int] | None = None,
        *,
        platform_id: int = BORON,
        system_version: int | None = 6200,
    ) -> FakeDevice:
        """The device comes online and describes itself."""
        at_ms = self.clock.now_ms()
        known = device_id(number)
        self.db.write_blocking(
            lambda connection: description.store_hello(
                connection,
                known,
                platform_id=platform_id,
                product_id=platform_id,
                product_version=0xFFFF,
                system_version=system_version,
                at_ms=at_ms,
                ip_address="192.0.2.7",
            )
        )
        self.db.write_blocking(
            lambda connection: description.store_application(
                connection, known, functions, variables or {}
            )
        )
        return self.link.connect(known)

    async def present(self, number: int, code: str) -> Outcome:
        """The device presents a claim code."""
        at_ms, known = self.clock.now_ms(), device_id(number)
        outcome = await self.db.write(
            lambda connection: claimcodes.use(connection, code, known, at_ms)
        )
        self.claim_codes.on_used(known, outcome)
        return outcome

    def stored(self, number: int) -> Device:
        found = registry.find_device(self.db, device_id(number))
        assert found is not None
        return found

    def owner_of(self, number: int) -> UserId | None:
        """The stored owner, which is also what events are routed by."""
        owner = self.stored(number).owner_id
        assert self.ownership.owner_of(device_id(number)) == owner
        return owner


def make_world(
    db: Database, clock: HandClock, bus: Bus, cast: Cast, serve: Serve, people: People
) -> World:
    presence = Presence(db)
    ownership = Ownership(db)
    access = DeviceAccess(db)
    claiming = Claiming(db, clock, bus, ownership, presence)
    claim_codes = ClaimCodes(db, clock, bus, ownership)
    resource = DeviceResource(db, clock, presence)
    resource.add_key(devices_api.forced_key(bus))
    letters = SentLetters()
    transfers = Transfers(db, clock, bus, ownership, letters)
    vault = Vault(bytes(32))
    labels = Labels(db, clock, vault)
    resource.add_reader(read_fields)
    resource.add_reader(labels.read_detail, detail_only=True)
    provisioning = Provisioning(db, clock, bus, ownership, REGISTERED)
    link = FakeLink(clock, presence)
    forced = ForcedUpdates(db, link)
    bus.subscribe(UpdatesForced, forced.on_changed)
    bus.subscribe(DeviceOnline, forced.on_online)
    client = serve(
        [
            *devices_api.routes(access, claiming, transfers, provisioning, resource),
            *provisioningapi.routes(provisioning),
            *platformproducts.routes(),
            *findapi.routes(access, labels),
            *transferapi.routes(transfers, people, access),
            *devices_api.claim_code_routes(claim_codes),
            *calls_api.routes(access, Calls(link), presence, resource),
        ]
    )
    world = World(
        db=db,
        clock=clock,
        bus=bus,
        cast=cast,
        presence=presence,
        ownership=ownership,
        access=access,
        claiming=claiming,
        claim_codes=claim_codes,
        resource=resource,
        letters=letters,
        vault=vault,
        link=link,
        client=client,
    )
    bus.subscribe(DeviceClaimed, world.claimed.append)
    bus.subscribe(DeviceKeyChanged, world.rekeyed.append)
    bus.subscribe(DeviceReleased, world.released.append)
    return world
