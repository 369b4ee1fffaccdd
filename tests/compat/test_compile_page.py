"""The way of docs/howto/compile-firmware.md, typed as it stands there: from a source to a simulated
device that does what it says."""

import re
import shlex
import time
from pathlib import Path

from tests.compat.clients import ParticleCli
from tests.compat.rows import proves
from tests.compat.server import Server

PAGE = Path(__file__).parents[2] / "docs/howto/compile-firmware.md"
RESTARTED_WITHIN_S = 40


def _blocks(language: str) -> list[str]:
    parts = PAGE.read_text().split("```")[1::2]
    return [part.partition("\n")[2] for part in parts if part.partition("\n")[0] == language]


def _lines(name: str) -> list[list[str]]:
    """The CLI's arguments of every line of the page."""
    lines = [shlex.split(line) for block in _blocks("") for line in block.splitlines()]
    return [
        [name if word == "<name>" else word for word in line[1:]]
        for line in lines
        if line[:1] == ["particle"]
    ]


@proves("flash (sources)")
def test_the_page_leads_from_source_to_changed_behaviour(cli: ParticleCli, server: Server) -> None:
    device = server.own_devices[0]
    (source,) = _blocks("cpp")
    (cli.home / "thermometer.ino").write_text(source)
    flash, *calls, compile_, inspect, flash_again = _lines(str(device.name))
    assert cli.run("variable", "get", str(device.name), "celsius").code != 0
    assert "Flash success!" in cli.succeed(*flash)
    _wait_for(cli, str(device.name), "celsius", "21.5")
    said = [cli.succeed(*call)[-1] for call in calls]
    assert said == ["21.5", "1", "true"]
    with cli.subscribed(1, "thermometer/celsius") as reader:
        (event,) = reader.events()
    assert re.fullmatch(r"21\.5 after \d+ turns", event["data"])
    assert event["coreid"] == device.id
    assert any("Compile succeeded." in line for line in cli.succeed(*compile_))
    assert any("at version 2" in line for line in cli.succeed(*inspect))
    assert "Flash success!" in cli.succeed(*flash_again)
    _wait_for(cli, str(device.name), "lamp", "false")


def test_a_source_with_errors_changes_nothing(cli: ParticleCli, server: Server) -> None:
    name = str(server.own_devices[1].name)
    (cli.home / "broken.ino").write_text("void setup() {\n  blink()\n}\n")
    outcome = cli.run("flash", name, "broken.ino")
    assert outcome.code == 1
    shown = outcome.output + outcome.errors
    assert "broken.ino:2:9: error: expected ';' before '}' token" in shown
    assert cli.succeed("variable", "get", name, "answer")[-1] == "42"


def _wait_for(cli: ParticleCli, device: str, variable: str, value: str) -> None:
    """Until the device has restarted and shows this."""
    deadline = time.monotonic() + RESTARTED_WITHIN_S
    while time.monotonic() < deadline:
        outcome = cli.run("variable", "get", device, variable)
        if outcome.code == 0 and outcome.lines[-1:] == [value]:
            return
        time.sleep(0.5)
    raise AssertionError(f"{variable} of {device} did not become {value}: {outcome}")
