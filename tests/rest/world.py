"""Everything that has routes, built over one database, with a device of Ada's in it."""

from dataclasses import dataclass

from starlette.types import ASGIApp

from cyan.accounts import api as accounts_api
from cyan.accounts.people import People
from cyan.accounts.tokens import Tokens
from cyan.calls import api as calls_api
from cyan.calls.service import Calls
from cyan.core.bus import Bus
from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId
from cyan.core.ports import DeviceOfflineError, LinkState
from cyan.devices import api as devices_api
from cyan.devices.access import DeviceAccess
from cyan.devices.claimcodes import ClaimCodes
from cyan.devices.claiming import Claiming
from cyan.devices.ownership import Ownership
from cyan.devices.registry import register_device
from cyan.devices.resource import DeviceResource
from cyan.health import api as health_api
from cyan.health.service import Vitals
from cyan.rest import unbuilt
from cyan.rest.application import build_asgi
from cyan.rest.registry import Registry
from tests.cast import Cast
from tests.clock import HandClock

ADAS_DEVICE = DeviceId("0123456789abcdef01234567")


class NothingConnected:
    """Presence and link of a server to which no device is connected."""

    def is_online(self, device_id: DeviceId) -> bool:
        return False

    def last_heard_ms(self, device_id: DeviceId) -> int | None:
        return None

    def last_handshake_ms(self, device_id: DeviceId) -> int | None:
        return None

    def last_ip(self, device_id: DeviceId) -> str | None:
        return None

    def state(self, device_id: DeviceId) -> LinkState | None:
        return None

    async def call_function(self, device_id: DeviceId, name: str, argument: str) -> int:
        raise DeviceOfflineError

    async def read_variable(self, device_id: DeviceId, name: str) -> bytes:
        raise DeviceOfflineError

    async def ping(self, device_id: DeviceId) -> None:
        raise DeviceOfflineError

    async def signal(self, device_id: DeviceId, on: bool) -> None:
        raise DeviceOfflineError

    def send_event(self, device_id: DeviceId, name: str, data: bytes | None) -> bool:
        return False

    def request_vitals(self, device_id: DeviceId) -> None:
        raise DeviceOfflineError


@dataclass(frozen=True, slots=True)
class World:
    registry: Registry
    app: ASGIApp
    cast: Cast
    db: Database
    clock: HandClock


def build_world(
    db: Database, clock: HandClock, bus: Bus, people: People, tokens: Tokens, cast: Cast
) -> World:
    register_device(db, clock, ADAS_DEVICE, name="lamp", owner=cast.ada.user_id)
    nothing = NothingConnected()
    ownership = Ownership(db)
    access = DeviceAccess(db)
    resource = DeviceResource(db, clock, nothing)
    registry = Registry()
    registry.add_all(accounts_api.routes(people, tokens))
    registry.add_all(
        devices_api.routes(access, Claiming(db, clock, bus, ownership, nothing), resource)
    )
    registry.add_all(devices_api.claim_code_routes(ClaimCodes(db, clock, bus, ownership)))
    registry.add_all(calls_api.routes(access, Calls(nothing), nothing, resource))
    registry.add_all(health_api.routes(access, Vitals(db, nothing)))
    registry.add_all(unbuilt.routes())
    return World(registry, build_asgi(registry, tokens, clock), cast, db, clock)
