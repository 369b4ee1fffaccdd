"""particle-cli, unchanged: reading variables and calling functions of a device that is online."""

import pytest

from tests.compat.clients import ParticleCli
from tests.compat.rows import proves
from tests.compat.server import Server

VARIABLES = ["answer (int32)", "temperature (double)", "ready (bool)", "greeting (string)"]


@proves("variable list")
def test_variable_list_names_every_variable_with_its_type(cli: ParticleCli, server: Server) -> None:
    said = [line.strip() for line in cli.succeed("variable", "list")]
    for variable in VARIABLES:
        assert said.count(variable) == len(server.own_devices)


@proves("variable get")
def test_variable_get_reads_every_type(cli: ParticleCli, server: Server) -> None:
    device = server.own_devices[0]
    cli.succeed("function", "call", device.id, "echo", "héllo, world")
    cli.succeed("function", "call", device.id, "led", "off")
    assert cli.succeed("variable", "get", device.id, "answer") == ["42"]
    assert cli.succeed("variable", "get", device.id, "ready") == ["false"]
    assert cli.succeed("variable", "get", device.id, "greeting") == ["héllo, world"]
    (temperature,) = cli.succeed("variable", "get", device.id, "temperature")
    assert 15 <= float(temperature) <= 30


def test_variable_get_works_with_the_name_of_the_device(cli: ParticleCli, server: Server) -> None:
    name = server.own_devices[0].name
    assert name is not None
    assert cli.succeed("variable", "get", name, "answer") == ["42"]


def test_variable_get_all_reads_it_from_every_device(cli: ParticleCli, server: Server) -> None:
    said = cli.succeed("variable", "get", "all", "answer")
    assert sorted(said[1:]) == sorted(f"{device.id}, 42" for device in server.own_devices)


@proves("variable monitor")
def test_variable_monitor_reads_it_again_and_again(cli: ParticleCli, server: Server) -> None:
    with cli.started("variable", "monitor", server.own_devices[0].id, "answer") as reader:
        said = [reader.read_line() for _ in range(4)]
    assert said.count("42") >= 2


def test_variable_get_of_an_unknown_name_fails(cli: ParticleCli, server: Server) -> None:
    outcome = cli.run("variable", "get", server.own_devices[0].id, "nothing")
    assert outcome.code == 1
    assert "Variable" in outcome.output


@proves("function list")
def test_function_list_names_every_function(cli: ParticleCli, server: Server) -> None:
    said = [line.strip() for line in cli.succeed("function", "list")]
    assert said.count("int led (String args)") == len(server.own_devices)
    assert said.count("int echo (String args)") == len(server.own_devices)


@pytest.mark.parametrize(
    ("call", "result"),
    [(("led", "on"), "1"), (("led", "sideways"), "-1"), (("echo", "twelve bytes"), "12")],
)
@proves("function call")
def test_function_call_returns_what_the_device_says(
    cli: ParticleCli, server: Server, call: tuple[str, str], result: str
) -> None:
    assert cli.succeed("function", "call", server.own_devices[1].id, *call) == [result]


def test_function_call_without_an_argument_sends_an_empty_one(
    cli: ParticleCli, server: Server
) -> None:
    assert cli.succeed("function", "call", server.own_devices[1].id, "echo") == ["0"]


def test_function_call_of_an_unknown_name_fails(cli: ParticleCli, server: Server) -> None:
    outcome = cli.run("function", "call", server.own_devices[0].id, "nothing")
    assert outcome.code == 1
    assert outcome.lines[-1] == "Function call failed: Function `nothing` not found"


def test_a_device_of_another_is_not_called(cli: ParticleCli, server: Server) -> None:
    outcome = cli.run("function", "call", server.free_device.id, "led", "on")
    assert (outcome.code, outcome.lines[-1]) == (1, "Permission Denied")
