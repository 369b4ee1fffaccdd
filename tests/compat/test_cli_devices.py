"""particle-cli, unchanged: the devices of a person, and how a device becomes theirs."""

import pytest

from tests.compat.clients import ParticleCli
from tests.compat.rows import proves
from tests.compat.server import Server, SimulatedDevice
from tests.compat.test_api_js_setup import public_key

UNKNOWN_ID = "0123456789abcdef01234567"


@pytest.fixture
def claimed(cli: ParticleCli, server: Server) -> SimulatedDevice:
    """The free device, claimed; another test may have claimed it before, which does no harm."""
    device = server.free_device
    cli.succeed("device", "add", device.id)
    return device


@proves("list")
def test_list_shows_the_devices_with_what_they_offer(cli: ParticleCli, server: Server) -> None:
    said = "\n".join(cli.succeed("list"))
    for device in server.own_devices:
        assert f"{device.name} [{device.id}] (" in said
    assert said.count(" is online") >= len(server.own_devices)
    for offered in ("answer (int32)", "temperature (double)", "ready (bool)", "greeting (string)"):
        assert offered in said
    assert "int led (String args)" in said


def test_list_by_name_shows_that_device_only(cli: ParticleCli, server: Server) -> None:
    first, second = server.own_devices[:2]
    assert first.name is not None
    said = "\n".join(cli.succeed("list", first.name))
    assert first.id in said
    assert second.id not in said


@proves("device add")
def test_device_add_claims_a_device_that_is_online(cli: ParticleCli, server: Server) -> None:
    device = server.free_device
    said = cli.succeed("device", "add", device.id.upper())
    assert said[-1] == f"Successfully claimed device {device.id.upper()}"
    assert device.id in "\n".join(cli.succeed("list"))


def test_device_add_of_an_unknown_id_fails(cli: ParticleCli) -> None:
    outcome = cli.run("device", "add", UNKNOWN_ID)
    assert outcome.code == 1
    assert outcome.lines[-1].startswith("Failed to claim device: ")


@proves("device rename")
def test_device_rename_gives_a_name_that_works_in_place_of_the_id(
    cli: ParticleCli, claimed: SimulatedDevice
) -> None:
    said = cli.succeed("device", "rename", claimed.id, "garden")
    assert said[-1] == f"Successfully renamed device {claimed.id} to: garden"
    assert f"garden [{claimed.id}] (" in "\n".join(cli.succeed("list"))
    assert cli.succeed("variable", "get", "garden", "answer") == ["42"]


@proves("device remove")
def test_device_remove_releases_it(cli: ParticleCli, claimed: SimulatedDevice) -> None:
    assert cli.succeed("device", "remove", claimed.id, "--yes")[-1] == "Okay!"
    assert claimed.id not in "\n".join(cli.succeed("list"))


def test_a_device_of_nobody_is_not_told_apart_from_none(cli: ParticleCli) -> None:
    outcome = cli.run("device", "rename", UNKNOWN_ID, "garden")
    assert (outcome.code, outcome.lines[-1]) == (1, "Permission Denied")


@pytest.mark.parametrize("switch", [(), ("on",), ("off",)])
@proves("nyan")
def test_nyan_signals_a_device(cli: ParticleCli, server: Server, switch: tuple[str, ...]) -> None:
    assert cli.succeed("nyan", server.own_devices[0].id, *switch) == []


def test_nyan_of_an_unknown_device_fails(cli: ParticleCli) -> None:
    assert cli.run("nyan", UNKNOWN_ID).code == 1


@proves("keys send")
def test_keys_send_makes_a_device_known(cli: ParticleCli, server: Server) -> None:
    (cli.home / "device.pub.pem").write_text(public_key())
    said = cli.succeed("keys", "send", "e00fce68" + "0" * 15 + "2", "device.pub.pem")
    assert "submitting public key succeeded!" in said
