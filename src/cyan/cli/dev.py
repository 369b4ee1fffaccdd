"""`cyan dev`: everything on a laptop: a server, an account, simulated devices online."""

import asyncio
import json
import secrets
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from cyan.accounts import people
from cyan.accounts.tokens import issue_token
from cyan.app import Parts, Server
from cyan.cli.options import read_config, server_options
from cyan.cli.running import only_one, run
from cyan.cli.simulator import Simulator
from cyan.core import log
from cyan.core.clock import SystemClock
from cyan.core.config import Config
from cyan.core.db import migrate
from cyan.core.db.engine import Database
from cyan.core.folder import open_data
from cyan.core.ids import UserId, parse_device_id
from cyan.devices import registry
from cyan.gateway.keys import open_server_key, open_stream_key, padded_public_key
from cyan.sim.identity import Identity, make_identities
from cyan.sim.statefolder import read_seed

USERNAME: Final = "dev@cyan.local"
CLIENT: Final = "particle-cli"
KEY_FILE: Final = "server_udp_public.der"
TCP_KEY_FILE: Final = "server_tcp_public.der"
TOLD_FILE: Final = "password_told"
"""Made once the password was printed; until then each start makes a new one and prints that."""
SIM_FOLDER: Final = "sim"

LOOPBACK: Final = "127.0.0.1"
_DOCUMENTATION_ADDRESS: Final = "192.0.2.1"
"""Never a host (RFC 5737 §3)."""

_EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104


@dataclass(frozen=True, slots=True)
class _Account:
    user_id: UserId
    password: str | None
    """None when it was printed at an earlier start."""
    access_token: str


@click.command()
@server_options
@click.option("--devices", type=int, help="Simulated devices (CYAN_DEVICES; default 3).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line when ready.")
def dev(as_json: bool, **options: Any) -> None:
    """Run everything at once: the server, an account and a few simulated devices."""
    on_ones_own_desk = {
        "enrolment": "open",
        "sign_up": "open",
        "limit_loopback": "no",
        "simulated_compiler": "all",
    }
    config = read_config(options, defaults=on_ones_own_desk)
    log.configure(config.log_format, config.log_level)
    with only_one(open_data(config)):
        migrate.upgrade(config.database_path)
        (config.data / SIM_FOLDER).mkdir(mode=0o700, exist_ok=True)
        identities = (
            make_identities(read_seed(config.data / SIM_FOLDER, None), config.devices)
            if config.devices
            else []
        )
        db = Database(config.database_path)
        try:
            account = _prepare_account(db, config.data / TOLD_FILE)
            names = _prepare_devices(db, account.user_id, identities)
        finally:
            db.close()
        run(lambda stop: _serve(config, account, identities, names, as_json, stop))


def _prepare_account(db: Database, told: Path) -> _Account:
    """The account, and its password as long as no start has come so far as to tell it."""
    found = people.find_user(db, USERNAME)
    password = None if found is not None and told.exists() else secrets.token_urlsafe(12)
    if found is None:
        assert password is not None
        # Whoever starts a server on their own machine operates it.
        user_id = people.create_user(db, USERNAME, password, is_operator=True, actor="server")
    else:
        user_id = found.id
        if password is not None:
            people.set_password(db, USERNAME, password, actor="server")
    token = issue_token(db, user_id, CLIENT)
    return _Account(user_id, password, token.access_token)


def _prepare_devices(
    db: Database, owner: UserId, identities: list[Identity]
) -> dict[str, str | None]:
    """Register the simulated devices, all owned but the last; their names by id."""
    names: dict[str, str | None] = {}
    clock = SystemClock()
    for identity in identities:
        device_id = parse_device_id(identity.device_id)
        known = registry.find_device(db, device_id)
        if known is None:
            is_last = identity is identities[-1]
            known = registry.register_device(
                db,
                clock,
                device_id,
                name=None if is_last else identity.name,
                owner=None if is_last else owner,
                public_key=registry.read_public_key(identity.public_key_pem.encode()),
            )
        names[identity.device_id] = known.name
    return names


async def _serve(
    config: Config,
    account: _Account,
    identities: list[Identity],
    names: dict[str, str | None],
    as_json: bool,
    stop: asyncio.Event,
) -> None:
    server = Server(config)
    ready = asyncio.Event()

    def on_ready(_parts: Parts) -> None:
        ready.set()

    serving = asyncio.create_task(server.run(on_ready, stop))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if serving.done():
        await serving
        return
    host = LOOPBACK if config.host in _EVERYWHERE else config.host
    board_host = config.public_host or _host_for_boards(config.host)
    key_file = (config.data / KEY_FILE).absolute()
    key = open_server_key(config.data)
    key_file.write_bytes(padded_public_key(key, board_host, server.udp_port))
    tcp_key_file = (config.data / TCP_KEY_FILE).absolute()
    tcp_key = open_stream_key(config.data)
    tcp_key_file.write_bytes(padded_public_key(tcp_key, board_host, server.tcp_port))
    simulator = None
    if identities:
        simulator = await Simulator.start(
            len(identities),
            host=host,
            port=server.udp_port,
            key_file=key_file,
            state=config.data / SIM_FOLDER,
        )
    try:
        if simulator is not None:
            await simulator.wait_until_online(serving)
        if not serving.done():
            _tell(server, account, key_file, tcp_key_file, identities, names, as_json)
            (config.data / TOLD_FILE).touch(mode=0o600)
        await serving
    finally:
        if simulator is not None:
            await simulator.end()


def _host_for_boards(host: str) -> str:
    """What a board can store of the listening address: a name or an IPv4 address."""
    if host in _EVERYWHERE:
        return _own_address()
    return socket.gethostname() if ":" in host else host


def _own_address() -> str:
    """The address of this machine on its default route; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_DOCUMENTATION_ADDRESS, 9))
        except OSError:
            return LOOPBACK
        return str(probe.getsockname()[0])


def _tell(
    server: Server,
    account: _Account,
    key_file: Path,
    tcp_key_file: Path,
    identities: list[Identity],
    names: dict[str, str | None],
    as_json: bool,
) -> None:
    api_url = server.api_url
    if as_json:
        line = {
            "api_url": api_url,
            "username": USERNAME,
            "password": account.password,
            "access_token": account.access_token,
            "udp_port": server.udp_port,
            "tcp_port": server.tcp_port,
            "server_keys": {"udp": str(key_file), "tcp": str(tcp_key_file)},
            "devices": [
                {"id": i.device_id, "name": names[i.device_id], "transport": "udp"}
                for i in identities
            ],
        }
        click.echo(json.dumps(line))
        return
    password = account.password
    login = f"particle login --username {USERNAME}" + (
        f" --password '{password}'" if password else ""
    )
    forgotten = f"as printed at the first start ({sys.argv[0]} user passwd {USERNAME} sets another)"
    rows = "\n".join(
        f"            {i.device_id}  {names[i.device_id] or '(nobody owns it yet)'}"
        for i in identities
    )
    console = f"  Console   {api_url}/console\n" if server.config.console == "on" else ""
    click.echo(
        f"\nCyan is running. Stop it with Ctrl-C.\n\n"
        f"{console}"
        f"  API       {api_url}\n"
        f"  Devices   UDP port {server.udp_port}, server key {key_file}\n"
        f"            TCP port {server.tcp_port}, server key {tcp_key_file} (Core, Photon, P1)\n"
        f"  Account   {USERNAME}\n"
        f"  Password  {password or forgotten}\n"
        f"  Token     {account.access_token}\n"
        + (f"  Simulated\n{rows}\n" if rows else "")
        + f"\nPoint the stock CLI at this server:\n\n"
        f"  particle profile cyan\n"
        f"  particle profile set apiUrl {api_url}\n"
        f"  {login}\n"
        f"  particle list\n"
    )
