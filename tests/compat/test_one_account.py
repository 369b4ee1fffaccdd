"""One account and one device are enough, and 100 devices are the most (acceptance rows 2, 16, 20 of
platform-semantics.md §22), by particle-cli, unchanged."""

from contextlib import closing

import httpx

from cyan.accounts.people import find_user
from cyan.core.clock import SystemClock
from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId
from cyan.devices.registry import register_device
from tests.compat.clients import ParticleCli
from tests.compat.server import Server

EVE, PASSWORD = "eve@example.com", "correct horse battery"
LIMIT = 100
"""Of the developer plan (platform-semantics.md §2.1)."""


def _sign_up(cli: ParticleCli, server: Server, username: str) -> None:
    """As anybody may, and log in."""
    answer = httpx.post(
        f"{server.ready.api_url}/v1/users", json={"username": username, "password": PASSWORD}
    )
    assert answer.json() == {"ok": True}
    cli.use(server.ready.api_url, "", username)
    cli.succeed("login", "--username", username, "--password", PASSWORD)


def test_who_signs_up_claims_a_device_and_uses_all_of_it(
    fresh_cli: ParticleCli, server: Server
) -> None:
    _sign_up(fresh_cli, server, EVE)
    device = server.free_device.id
    fresh_cli.succeed("device", "add", device)
    assert fresh_cli.succeed("variable", "get", device, "answer")[-1] == "42"
    assert fresh_cli.succeed("function", "call", device, "echo", "grün")[-1] == "5"
    with fresh_cli.subscribed(1, "kettle") as reader:
        fresh_cli.succeed("publish", "kettle", "on")
        (event,) = reader.events()
    assert (event["name"], event["data"]) == ("kettle", "on")
    with fresh_cli.subscribed(1, "heartbeat", "--device", device) as reader:
        (event,) = reader.events()
    assert event["coreid"] == device
    fresh_cli.succeed("device", "remove", device, "--yes")


def test_the_device_over_the_limit_is_refused_until_another_one_is_released(
    fresh_cli: ParticleCli, server: Server
) -> None:
    username = "many@example.com"
    _sign_up(fresh_cli, server, username)
    own = [DeviceId(f"e00fce68{number:016x}") for number in range(LIMIT)]
    with closing(Database(server.data / "cyan.db")) as db:
        user = find_user(db, username)
        assert user is not None
        for device in own:
            register_device(db, SystemClock(), device, owner=user.id)
    over = server.free_device.id
    refused = fresh_cli.run("device", "add", over)
    assert refused.code == 1
    assert f"allows {LIMIT} devices" in refused.output
    fresh_cli.succeed("device", "remove", own[0], "--yes")
    assert fresh_cli.succeed("device", "add", over)[-1] == f"Successfully claimed device {over}"
    fresh_cli.succeed("device", "remove", over, "--yes")
