"""The composition root: configuration to parts, parts to a server that runs."""

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

import structlog
from starlette.types import ASGIApp

from cyan import __version__, observing
from cyan.accounts import api as accounts_api
from cyan.accounts.model import TokensRevoked
from cyan.accounts.passwords import Passwords
from cyan.accounts.people import People
from cyan.accounts.service import Accounts, Policy, make_accounts
from cyan.accounts.tokens import Tokens
from cyan.audit.watch import OperatorWatch, Reaction
from cyan.belongings import account_uses, device_counts
from cyan.calls import api as calls_api
from cyan.calls.service import Calls
from cyan.console import rooms
from cyan.console.application import Front
from cyan.console.gauges import Gauges
from cyan.console.needs import Needs
from cyan.console.pages import Page
from cyan.console.sessions import Sessions
from cyan.console.watching import Watching
from cyan.core import largepages
from cyan.core.bus import Bus
from cyan.core.clock import Clock, SystemClock
from cyan.core.config import Config
from cyan.core.db import migrate
from cyan.core.db.engine import Database
from cyan.core.folder import open_data
from cyan.core.ids import DeviceId, UserId
from cyan.core.mail import Outbox, mailer_of
from cyan.core.ports import Mail
from cyan.core.secrets import Vault, open_vault
from cyan.devices import api as devices_api
from cyan.devices import findapi, platformproducts, provisioningapi, transferapi
from cyan.devices import keys as device_keys
from cyan.devices.access import DeviceAccess
from cyan.devices.claimcodes import ClaimCodes
from cyan.devices.claiming import Claiming
from cyan.devices.flags import ForcedUpdates
from cyan.devices.labels import Labels, read_fields
from cyan.devices.letters import Post, TransferLetters
from cyan.devices.model import DeviceKeyChanged, UpdatesForced
from cyan.devices.ownership import Ownership
from cyan.devices.presence import DeviceOnline, Presence
from cyan.devices.provisioning import Provisioning
from cyan.devices.resource import DeviceResource
from cyan.devices.transfers import Transfers
from cyan.environment import api as environment_api
from cyan.environment.service import Environment
from cyan.events import api as events_api
from cyan.events import historyapi
from cyan.events.cursors import Cursors
from cyan.events.history import EventHistory
from cyan.events.hub import Hub, follow
from cyan.events.jobs import Retention
from cyan.events.log import EventLog
from cyan.events.publishlimit import limit_of
from cyan.events.service import EventService
from cyan.events.store import cursor_key
from cyan.firmware import api as firmware_api
from cyan.firmware import binariesapi, deviceosapi
from cyan.firmware.attempts import Attempts
from cyan.firmware.binaries import Binaries
from cyan.firmware.compiling.service import open_compilers
from cyan.firmware.deviceos import DeviceOs
from cyan.firmware.driving import Means
from cyan.firmware.flashing import Flashing
from cyan.firmware.images import Images
from cyan.firmware.records import Records
from cyan.firmware.repair import Repair
from cyan.garbage import no_collections, settle_memory
from cyan.gateway.adoption import REMEMBER_MS
from cyan.gateway.calls import DeviceLinks
from cyan.gateway.gateway import Gateway
from cyan.gateway.keys import (
    TCP_KEY_FILE,
    UDP_KEY_FILE,
    key_files,
    open_server_key,
    open_stream_key,
    refuse_to_forget,
)
from cyan.gateway.udp import bind, datagram_socket
from cyan.health import api as health_api
from cyan.health.jobs import VitalsRetention
from cyan.health.service import Vitals
from cyan.ledgers import api as ledgers_api
from cyan.ledgers.access import LedgerAccess
from cyan.ledgers.definitions import Definitions
from cyan.ledgers.instances import Instances
from cyan.libraries import api as libraries_api
from cyan.libraries.service import Libraries
from cyan.listening import bind_tcp, bound, raise_file_limit
from cyan.rest import openapi, unbuilt
from cyan.rest.addresses import api_url
from cyan.rest.application import build_asgi
from cyan.rest.forwarding import Forwarding, parse_proxies
from cyan.rest.httpserver import GRACEFUL_STOP_S, http_server
from cyan.rest.ratelimit import limits_of
from cyan.rest.registry import Registry, Route
from cyan.rest.stopping import Stoppable
from cyan.rest.tls import Certificate, open_certificate
from cyan.secrets import api as secrets_api
from cyan.secrets.service import Secrets
from cyan.wire.lightssl.handshake import DEVICE_KEY_BYTES
from cyan.wire.server_key import EC_KEY_BYTES

LogFactory = Callable[[Database, Clock], EventLog]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a running server consists of."""

    config: Config
    clock: Clock
    bus: Bus
    database: Database
    passwords: Passwords
    people: People
    tokens: Tokens
    accounts: Accounts
    ownership: Ownership
    presence: Presence
    event_log: EventLog
    cursors: Cursors
    hub: Hub
    events: EventService
    gateway: Gateway
    vault: Vault
    images: Images
    deviceos: DeviceOs
    binaries: Binaries
    attempts: Attempts
    flashing: Flashing
    registry: Registry
    sessions: Sessions
    gauges: Gauges
    pages: list[Page]
    """Of the console."""
    watching: Watching


def build(config: Config, *, log_factory: LogFactory = EventLog) -> Parts:
    """Make every part, on the loop that will run them. The schema must be up to date."""
    data = open_data(config)
    migrate.check(config.database_path)
    clock, bus = SystemClock(), Bus()
    vault = open_vault(data)
    database = Database(config.database_path)
    refuse_to_forget(data, UDP_KEY_FILE, device_keys.has_any_connected(database, EC_KEY_BYTES))
    refuse_to_forget(data, TCP_KEY_FILE, device_keys.has_any_connected(database, DEVICE_KEY_BYTES))
    passwords = Passwords()
    people, tokens = People(database, passwords), Tokens(database, clock, bus)
    accounts = make_accounts(
        db=database,
        clock=clock,
        bus=bus,
        vault=vault,
        passwords=passwords,
        people=people,
        tokens=tokens,
        outbox=Outbox(mailer_of(config, clock)),
        policy=Policy.of(config, api_url(config, config.http_port)),
        uses=account_uses(),
    )
    ownership, presence = Ownership(database), Presence(database)
    event_log = log_factory(database, clock)
    cursors = Cursors(cursor_key(database))
    hub = Hub(event_log, ownership, cursors, clock)
    events = EventService(event_log, clock)
    gateway = Gateway(
        config=config,
        clock=clock,
        database=database,
        vault=vault,
        server_key=open_server_key(data),
        stream_key=open_stream_key(data),
        events=events,
        hub=hub,
        ownership=ownership,
        devices=presence,
        bus=bus,
    )
    images, deviceos = Images(data, clock), DeviceOs(database, clock)
    binaries = Binaries(database, clock, images, open_compilers(config))
    records = Records(database, clock, bus)
    attempts = Attempts(
        Means(
            db=database,
            clock=clock,
            records=records,
            link=gateway.updates,
            files=images,
            emit=events.emit,
            tell=DeviceLinks(gateway).send_event,
            is_online=presence.is_online,
            owner_of=ownership.owner_of,
            repair=Repair(database, clock, records, deviceos, ownership, events.emit).next,
        ),
        bus,
    )
    parts = Parts(
        config=config,
        clock=clock,
        bus=bus,
        database=database,
        passwords=passwords,
        people=people,
        tokens=tokens,
        accounts=accounts,
        ownership=ownership,
        presence=presence,
        event_log=event_log,
        cursors=cursors,
        hub=hub,
        events=events,
        gateway=gateway,
        vault=vault,
        images=images,
        deviceos=deviceos,
        binaries=binaries,
        attempts=attempts,
        flashing=Flashing(attempts, images, gateway.updates, binaries),
        registry=Registry(),
        sessions=Sessions(database, clock, bus),
        gauges=Gauges(clock, presence, config.database_path),
        pages=[],
        watching=Watching(bus),
    )
    follow(bus, hub)
    bus.subscribe(
        DeviceKeyChanged, lambda fact: gateway.disconnect(fact.device_id, "it has a new key")
    )
    parts.images.needed_by(parts.deviceos.needed_images)
    parts.images.needed_by(parts.binaries.needed_images)
    parts.images.needed_by(records.needed_images)
    parts.registry.add_all(_routes(parts))
    return parts


def _routes(parts: Parts) -> list[Route]:
    access = DeviceAccess(parts.database)
    claiming = Claiming(parts.database, parts.clock, parts.bus, parts.ownership, parts.presence)
    letters = TransferLetters(
        parts.people, _post(parts), api_url(parts.config, parts.config.http_port)
    )
    transfers = Transfers(parts.database, parts.clock, parts.bus, parts.ownership, letters)
    provisioning = Provisioning(
        parts.database, parts.clock, parts.bus, parts.ownership, parts.config.enrolment
    )
    resource = DeviceResource(parts.database, parts.clock, parts.presence)
    labels = Labels(parts.database, parts.clock, parts.vault)
    resource.add_key(devices_api.forced_key(parts.bus))
    resource.add_reader(read_fields)
    resource.add_reader(labels.read_detail, detail_only=True)
    claim_codes = ClaimCodes(parts.database, parts.clock, parts.bus, parts.ownership)
    links = DeviceLinks(parts.gateway)
    calls = Calls(links)
    forced = ForcedUpdates(parts.database, links)
    parts.bus.subscribe(UpdatesForced, forced.on_changed)
    parts.bus.subscribe(DeviceOnline, forced.on_online)
    vitals, history = Vitals(parts.database, links), EventHistory(parts.database, parts.ownership)
    publish_limit = limit_of(parts.config, parts.clock)
    environment = Environment(parts.database, parts.clock)
    ledger_access = LedgerAccess(parts.database, access)
    ledgers = Definitions(parts.database, parts.clock, parts.bus, ledger_access)
    ledger_instances = Instances(parts.database, parts.clock, parts.bus, ledger_access)
    secrets = Secrets(parts.database, parts.vault, parts.clock)
    needs = Needs(
        gauges=parts.gauges,
        server_key=key_files(parts.config),
        config=parts.config,
        clock=parts.clock,
        bus=parts.bus,
        database=parts.database,
        accounts=parts.accounts,
        sessions=parts.sessions,
        access=access,
        claiming=claiming,
        transfers=transfers,
        environment=environment,
        ledger_access=ledger_access,
        ledgers=ledgers,
        ledger_instances=ledger_instances,
        secrets=secrets,
        labels=labels,
        resource=resource,
        ownership=parts.ownership,
        presence=parts.presence,
        calls=calls,
        vitals=vitals,
        flashing=parts.flashing,
        events=parts.events,
        history=history,
        hub=parts.hub,
        cursors=parts.cursors,
        publish_limit=publish_limit,
        watching=parts.watching,
    )
    parts.pages.extend(rooms.pages(needs))
    return [
        *accounts_api.routes(parts.accounts, device_counts(parts.database)),
        *devices_api.routes(access, claiming, transfers, provisioning, resource),
        *provisioningapi.routes(provisioning),
        *platformproducts.routes(),
        *findapi.routes(access, labels),
        *transferapi.routes(transfers, parts.people, access),
        *devices_api.claim_code_routes(claim_codes),
        *calls_api.routes(access, calls, parts.presence, resource),
        *health_api.routes(access, vitals),
        *events_api.routes(
            parts.events,
            parts.hub,
            parts.cursors,
            access,
            publish_limit,
        ),
        *historyapi.routes(history, parts.cursors, access),
        *environment_api.routes(access, environment),
        *ledgers_api.routes(ledger_access, ledgers, ledger_instances),
        *libraries_api.routes(Libraries(parts.database, parts.clock, parts.config.data)),
        *deviceosapi.routes(
            parts.deviceos,
            parts.images,
            parts.config.public_url,
            lambda: parts.binaries.targets,
        ),
        *binariesapi.routes(parts.binaries),
        *firmware_api.routes(access, parts.flashing, resource),
        *secrets_api.routes(secrets),
        *unbuilt.routes(),
        *observing.routes(parts.database, parts.gateway, parts.presence),
        openapi.route(parts.registry, __version__, _public_url(parts.config) or "/"),
    ]


def _public_url(config: Config) -> str:
    return api_url(config, config.http_port) if config.public_url else ""


def _post(parts: Parts) -> Post:
    """Letters of devices as mails."""
    return lambda to, subject, text: parts.accounts.outbox.post(Mail(to, subject, text, "letter"))


def _reactions(parts: Parts) -> dict[str, Reaction]:
    """What the running server does when a command beside it has done something."""

    def on_token_revoked(token_id: str) -> None:
        parts.bus.publish(TokensRevoked((token_id,)))

    def on_key_forgotten(device_id: str) -> None:
        parts.gateway.disconnect(DeviceId(device_id), "its key was forgotten")

    def on_disconnected(device_id: str) -> None:
        parts.gateway.disconnect(DeviceId(device_id), "the operator asked for it")

    return {
        "token.revoked": on_token_revoked,
        "user.unlocked": lambda user_id: parts.accounts.logins.unblock(UserId(user_id)),
        "device.key_forgotten": on_key_forgotten,
        "device.disconnected": on_disconnected,
    }


def _jobs(parts: Parts) -> list[Coroutine[None, None, None]]:
    """What runs for as long as the server does."""
    days, mib = parts.config.event_retention_days, parts.config.event_retention_mib
    return [
        Retention(parts.database, parts.clock, days=days, mib=mib).run(),
        VitalsRetention(parts.database, parts.clock).run(),
        parts.images.run(),
        parts.binaries.run(),
        parts.attempts.run(),
        OperatorWatch(parts.database, _reactions(parts)).run(),
        parts.accounts.outbox.run(),
        largepages.run(),
        parts.gauges.run(),
    ]


class Server:
    """A server that runs: sockets bound, sessions adopted, API answering."""

    def __init__(self, config: Config, *, log_factory: LogFactory = EventLog) -> None:
        self._log_factory = log_factory
        self.config = config
        self.http_port = 0
        self.udp_port = 0
        self.tcp_port = 0
        self._certificate: Certificate | None = None

    @property
    def api_url(self) -> str:
        """Where people reach the API; once it listens. Raises ConfigError."""
        return api_url(self.config, self.http_port)

    def reload(self) -> None:
        """Take the files of the certificate anew."""
        if self._certificate is not None:
            self._certificate.reload()

    async def run(self, on_ready: Callable[[Parts], None], stop: asyncio.Event) -> None:
        """Serve until `stop` is set; `on_ready` is called when devices and people can connect.

        Raises PortError when a port cannot be bound, ConfigError for an unusable data folder.
        """
        config = self.config
        proxies = parse_proxies(config.trusted_proxies)
        self._certificate = open_certificate(config)
        api_url(config, config.http_port)  # a bad one stops the start
        udp = bound(bind, config.host, config.udp_port, "--udp-port")
        tcp = bound(bind_tcp, config.host, config.tcp_port, "--tcp-port")
        http = bound(bind_tcp, config.host, config.http_port, "--http-port")
        self.udp_port, self.tcp_port, self.http_port = (
            opened.getsockname()[1] for opened in (udp, tcp, http)
        )
        raise_file_limit()
        with no_collections():
            # Where a port of 0 took any free one, people are told the one that it is.
            config = dataclasses.replace(
                config,
                http_port=self.http_port,
                udp_port=self.udp_port,
                tcp_port=self.tcp_port,
            )
            parts = build(config, log_factory=self._log_factory)
            recent: dict[bytes, list[int]] = {}
            since_ms = parts.clock.now_ms() - REMEMBER_MS
            for session, message_id in parts.event_log.recent_messages(since_ms):
                recent.setdefault(session, []).append(message_id)
            await parts.gateway.start(datagram_socket(udp), recent, tcp)
        jobs = [asyncio.create_task(job) for job in _jobs(parts)]
        if self._certificate is not None:
            jobs.append(asyncio.create_task(self._certificate.run()))
        limits = limits_of(config, parts.clock)
        application = build_asgi(parts.registry, parts.tokens, parts.clock, limits)
        front: ASGIApp = application
        if config.console == "on":
            console = rooms.console(config, parts.clock, parts.sessions, parts.pages, limits)
            front = Front(console, application)
        forwarding = Forwarding(front, proxies)
        asgi = Stoppable(forwarding)
        server = http_server(
            asgi,
            self._certificate,
            lambda scope: application.answer_now(forwarding.as_sent(scope)),
        )
        serving = asyncio.create_task(server.serve(sockets=[http]))
        try:
            await server.has_started(serving)
            settle_memory()
            _log.info(
                "server.ready",
                http_port=self.http_port,
                udp_port=self.udp_port,
                tcp_port=self.tcp_port,
                api_url=self.api_url,
            )
            on_ready(parts)
            await stop.wait()
        finally:
            _log.info("server.stopping")
            parts.hub.close()
            parts.watching.close()
            parts.gauges.close()
            server.should_exit = True
            await asgi.stop(GRACEFUL_STOP_S)
            await serving
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
            parts.gateway.stop_listening()
            await parts.event_log.drain()
            await parts.gateway.stop()
            await parts.event_log.drain()  # of what the gateway told while it ended
            parts.passwords.close()
            parts.database.close()
            _log.info("server.stopped")
