"""What the pages are made of: the same services and access doors as the API has."""

from collections.abc import Callable
from dataclasses import dataclass

from cyan.accounts.service import Accounts
from cyan.calls.service import Calls
from cyan.console.gauges import Gauges
from cyan.console.sessions import Sessions
from cyan.console.watching import Watching
from cyan.core.bus import Bus
from cyan.core.clock import Clock
from cyan.core.config import Config
from cyan.core.db.engine import Database
from cyan.devices.access import DeviceAccess
from cyan.devices.claiming import Claiming
from cyan.devices.labels import Labels
from cyan.devices.ownership import Ownership
from cyan.devices.presence import Presence
from cyan.devices.resource import DeviceResource
from cyan.devices.transfers import Transfers
from cyan.environment.service import Environment
from cyan.events.cursors import Cursors
from cyan.events.history import EventHistory
from cyan.events.hub import Hub
from cyan.events.publishlimit import PublishLimit
from cyan.events.service import EventService
from cyan.firmware.flashing import Flashing
from cyan.health.service import Vitals
from cyan.ledgers.access import LedgerAccess
from cyan.ledgers.definitions import Definitions
from cyan.ledgers.instances import Instances
from cyan.secrets.service import Secrets


@dataclass(frozen=True, slots=True)
class Needs:
    """Everything that a page may use; each page module takes what it needs of it."""

    config: Config
    clock: Clock
    bus: Bus
    database: Database
    accounts: Accounts
    sessions: Sessions
    access: DeviceAccess
    claiming: Claiming
    transfers: Transfers
    environment: Environment
    ledger_access: LedgerAccess
    ledgers: Definitions
    ledger_instances: Instances
    secrets: Secrets
    labels: Labels
    resource: DeviceResource
    ownership: Ownership
    presence: Presence
    calls: Calls
    vitals: Vitals
    flashing: Flashing
    events: EventService
    history: EventHistory
    hub: Hub
    cursors: Cursors
    publish_limit: PublishLimit
    watching: Watching
    gauges: Gauges
    server_key: Callable[[str, str], bytes]
    """The server's key file for boards, by protocol (`udp`, `tcp`) and the host to look up. Raises
    MisuseError for a host that a board cannot store."""
