"""The stock clients, unchanged: firmware goes to simulated devices of both transports and their
behaviour changes (acceptance rows 19, 21 and 75)."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.compat.clients import ParticleApi, ParticleCli
from tests.compat.rows import proves
from tests.compat.server import Server
from tests.system.processes import simulating

PORCH = """\
PRODUCT_VERSION(%d);
int visits = %d;
int lamp(String arg) { return %d; }
void setup() {
  Particle.variable("visits", visits);
  Particle.function("lamp", lamp);
}
void loop() {}
"""
OVER_TCP = ("photon:0.7:1", "gcc:6.2:1")
DONE_WITHIN_S = 60.0
KNOWN_APPLICATIONS = Path(__file__).parent / "node_modules/particle-cli/assets/knownApps"


def write_porch(folder: Path, number: int) -> Path:
    """Sources of an application whose function and variable tell this number."""
    source = folder / f"porch{number}.ino"
    source.write_text(PORCH % (number, number, number))
    return source


class Person:
    """What the tests ask the API beside the clients."""

    def __init__(self, server: Server) -> None:
        token = server.ready.access_token
        self.http = httpx.Client(
            base_url=server.ready.api_url,
            headers={"authorization": f"Bearer {token}"},
            timeout=60,
        )

    def wait_until_done(self, device_id: str, count: int = 1) -> None:
        """The newest `count` updates of the device are done."""
        path = f"/v1/devices/{device_id}/firmware/updates"
        _wait(
            lambda: (
                [each["state"] for each in self.http.get(path).json()["updates"]][:count]
                == ["done"] * count
            )
        )

    def claim(self, device_id: str) -> None:
        self.http.post("/v1/devices", json={"id": device_id}).raise_for_status()


@pytest.fixture
def person(server: Server) -> Iterator[Person]:
    made = Person(server)
    with made.http:
        yield made


@contextmanager
def board_over_tcp(server: Server, person: Person, kind: str) -> Iterator[str]:
    """The id of another simulated device of the account."""
    assert server.ready.server_keys.tcp is not None
    keys = [Path(server.ready.server_keys.udp), Path(server.ready.server_keys.tcp)]
    copied = [server.data.parent / key.name for key in keys]
    for key, copy in zip(keys, copied, strict=True):
        copy.write_bytes(key.read_bytes())
    arguments = ("--server-key", copied[1], "--mix", kind)
    with simulating(copied[0], *arguments) as simulator:
        (device_id,) = simulator.wait_until_ready()
        person.claim(device_id)
        yield device_id


@proves("flash (sources)", "function call", "variable get")
def test_sources_are_compiled_and_flashed_and_the_behaviour_changes(
    cli: ParticleCli, server: Server, person: Person
) -> None:
    device = server.own_devices[0]
    write_porch(cli.home, 41)
    said = "\n".join(cli.succeed("flash", device.id, "porch41.ino"))
    assert "Flash success!" in said
    person.wait_until_done(device.id)
    assert cli.succeed("function", "call", device.id, "lamp", "on") == ["41"]
    assert cli.succeed("variable", "get", device.id, "visits") == ["41"]


@proves("flash (a binary)")
def test_a_binary_is_flashed_and_the_behaviour_changes(
    cli: ParticleCli, server: Server, person: Person
) -> None:
    device = server.own_devices[1]
    write_porch(cli.home, 42)
    cli.succeed("compile", "argon", "porch42.ino", "--saveTo", "porch42.bin")
    said = "\n".join(cli.succeed("flash", device.id, "porch42.bin"))
    assert "Flash success!" in said
    person.wait_until_done(device.id)
    assert cli.succeed("function", "call", device.id, "lamp", "on") == ["42"]
    assert cli.succeed("variable", "get", device.id, "visits") == ["42"]


@pytest.mark.parametrize("kind", OVER_TCP)
def test_devices_over_tcp_take_sources_alike(
    cli: ParticleCli, server: Server, person: Person, kind: str
) -> None:
    write_porch(cli.home, 43)
    with board_over_tcp(server, person, kind) as device_id:
        said = "\n".join(cli.succeed("flash", device_id, "porch43.ino"))
        assert "Flash success!" in said
        person.wait_until_done(device_id)
        assert cli.succeed("function", "call", device_id, "lamp", "on") == ["43"]
        assert cli.succeed("variable", "get", device_id, "visits") == ["43"]


def test_a_real_binary_of_the_cli_is_flashed_by_its_name(
    cli: ParticleCli, server: Server, person: Person
) -> None:
    device = server.own_devices[0]
    cli.succeed("flash", device.id, "tinker")
    person.wait_until_done(device.id)
    tinker = KNOWN_APPLICATIONS / "argon/tinker/tinker-0.8.0-rc.27-argon.bin"
    shown = person.http.get(f"/v1/devices/{device.id}/firmware/updates").json()["updates"][0]
    assert shown["file"] == tinker.name
    assert 0 < shown["size"] < tinker.stat().st_size, "It goes compressed to who can read that."


def test_a_binary_for_another_platform_is_refused_with_the_reason(
    cli: ParticleCli, server: Server
) -> None:
    write_porch(cli.home, 44)
    cli.succeed("compile", "p2", "porch44.ino", "--saveTo", "porch44.bin")
    outcome = cli.run("flash", server.own_devices[0].id, "porch44.bin")
    assert outcome.code == 1
    shown = outcome.output + outcome.errors
    assert "is made for platform 32 (p2), and the device is platform 12 (argon)" in shown


def test_a_device_of_nobody_is_not_flashed(cli: ParticleCli, server: Server) -> None:
    write_porch(cli.home, 45)
    cli.succeed("compile", "argon", "porch45.ino", "--saveTo", "porch45.bin")
    outcome = cli.run("flash", server.free_device.id, "porch45.bin")
    assert outcome.code == 1


@proves("flashDevice()")
def test_api_js_flashes_a_binary_and_is_told_that_it_started(
    api_js: ParticleApi, cli: ParticleCli, server: Server, person: Person
) -> None:
    device = server.own_devices[1]
    write_porch(cli.home, 46)
    cli.succeed("compile", "argon", "porch46.ino", "--saveTo", "porch46.bin")
    answer = api_js.call(
        "flashDevice",
        deviceId=device.id,
        files={"file": str(cli.home / "porch46.bin")},
        auth=server.ready.access_token,
    )
    assert (answer["statusCode"], answer["body"]["status"]) == (200, "Update started")
    person.wait_until_done(device.id)


def test_api_js_gets_what_the_compiler_said(
    api_js: ParticleApi, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "app.ino").write_text("void setup() {\n")
    answer = api_js.call(
        "flashDevice",
        deviceId=server.own_devices[1].id,
        files={"app.ino": str(tmp_path / "app.ino")},
        auth=server.ready.access_token,
    )
    assert answer["body"]["ok"] is False
    assert answer["body"]["errors"][0].startswith("app.ino:1:14: error: expected '}'")


def _wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + DONE_WITHIN_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)
