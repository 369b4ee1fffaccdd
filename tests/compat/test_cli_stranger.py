"""particle-cli, unchanged, in the hands of a person whose devices these are not."""

from pathlib import Path

import pytest

from tests.compat.clients import ParticleCli
from tests.compat.server import Server, SimulatedDevice

CLEO, PASSWORD = "cleo@example.com", "correct horse battery"


@pytest.fixture(scope="module")
def cleo(
    stock_clients: None, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> ParticleCli:
    """Cleo's CLI, logged in."""
    server.add_user(CLEO, PASSWORD)
    cli = ParticleCli(Path(tmp_path_factory.mktemp("cleo")))
    cli.use(server.ready.api_url, "", CLEO)
    cli.succeed("login", "--username", CLEO, "--password", PASSWORD)
    return cli


@pytest.fixture
def device(server: Server) -> SimulatedDevice:
    """A device of somebody else."""
    return server.own_devices[0]


def test_a_stranger_has_no_devices(cleo: ParticleCli) -> None:
    assert cleo.succeed("list") == ["No devices found."]


def test_device_add_asks_a_stranger_whether_to_request_a_transfer(
    cleo: ParticleCli, device: SimulatedDevice
) -> None:
    outcome = cleo.run("device", "add", device.id, typed="n\n")
    assert "That device belongs to someone else." in outcome.output
    assert outcome.lines[-1].endswith("You cannot claim a device owned by someone else")
    assert outcome.code == 1


def test_device_add_asks_the_owner_for_a_transfer_when_a_stranger_wants_it(
    cleo: ParticleCli, device: SimulatedDevice, server: Server
) -> None:
    outcome = cleo.run("device", "add", device.id, typed="y\n")
    assert outcome.code == 0, outcome
    assert "Transfer requested. You will receive an email" in outcome.output
    assert device.id in server.mail_to(server.ready.username)


@pytest.mark.parametrize(
    "command",
    [
        ("device", "rename", "{id}", "mine"),
        ("device", "remove", "{id}", "--yes"),
        ("function", "call", "{id}", "led", "on"),
        ("variable", "get", "{id}", "answer"),
        ("nyan", "{id}"),
    ],
    ids=" ".join,
)
def test_a_stranger_does_nothing_with_a_device(
    cleo: ParticleCli, device: SimulatedDevice, command: tuple[str, ...]
) -> None:
    outcome = cleo.run(*[word.format(id=device.id) for word in command])
    assert outcome.code == 1
    assert "Permission Denied" in outcome.output


def test_a_stranger_cannot_use_the_name_of_a_device(
    cleo: ParticleCli, device: SimulatedDevice
) -> None:
    outcome = cleo.run("variable", "get", str(device.name), "answer")
    assert outcome.code == 1
    assert "Permission Denied" in outcome.output


def test_a_stranger_hears_only_their_own_events(
    cleo: ParticleCli, cli: ParticleCli, server: Server
) -> None:
    with cleo.subscribed(1) as heard_by_cleo:
        # While she listens, the devices of the other account publish too.
        with cli.subscribed(2 * len(server.own_devices)) as heard_by_the_owner:
            heard_by_the_owner.events()
        cleo.succeed("publish", "own", "event")
        (event,) = heard_by_cleo.events()
    assert (event["name"], event["data"]) == ("own", "event")
