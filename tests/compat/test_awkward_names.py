"""A device whose name does not fit into a path: particle-cli puts there what it is given."""

from collections.abc import Iterator

import pytest

from tests.compat.clients import ParticleCli
from tests.compat.server import Server, SimulatedDevice


@pytest.fixture
def device(cli: ParticleCli, server: Server) -> Iterator[SimulatedDevice]:
    device = server.own_devices[0]
    cli.succeed("device", "rename", device.id, "lamp #2?")
    yield device
    cli.succeed("device", "rename", device.id, "lamp")


def test_the_cli_reaches_it_by_its_id(cli: ParticleCli, device: SimulatedDevice) -> None:
    assert cli.succeed("variable", "get", device.id, "answer") == ["42"]


def test_the_cli_reaches_it_by_its_percent_encoded_name(
    cli: ParticleCli, device: SimulatedDevice
) -> None:
    assert cli.succeed("variable", "get", "lamp%20%232%3F", "answer") == ["42"]


def test_the_cli_does_not_reach_it_by_the_bare_name(
    cli: ParticleCli, device: SimulatedDevice
) -> None:
    assert cli.run("variable", "get", "lamp #2?", "answer").code == 1
