"""Everything that a person can set, type, call or watch is in the reference."""

import dataclasses
import re
from pathlib import Path

import click
import pytest

from cyan.app import build
from cyan.cli.main import cli
from cyan.core import metrics
from cyan.core.config import Config
from cyan.core.db import migrate
from docs import generate
from tests.docs.pages import reference


def _commands(command: click.Command, path: str) -> list[str]:
    if not isinstance(command, click.Group):
        return [path]
    context = click.Context(command)
    found = [path]
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        found += _commands(child, f"{path} {name}")
    return found


def test_the_reference_is_what_the_code_says() -> None:
    assert generate.finished_pages() == generate.present_pages()


@pytest.mark.parametrize("setting", [field.name for field in dataclasses.fields(Config)])
def test_every_setting_is_there_with_its_variable(setting: str) -> None:
    assert f"| `{setting}` | `CYAN_{setting.upper()}` |" in reference("settings.md")


@pytest.mark.parametrize("command", _commands(cli, "cyan"))
def test_every_command_is_there(command: str) -> None:
    assert f"\n## {command}\n" in reference("commands.md")


async def test_every_route_is_there(tmp_path: Path) -> None:
    config = Config(data=tmp_path)
    migrate.upgrade(config.database_path)
    parts = build(config)
    routes = parts.registry.routes
    parts.passwords.close()
    parts.database.close()
    page = reference("routes.md")
    missing = [r for r in routes if f"| {r.method} | `{r.path}` |" not in page]
    assert missing == []
    assert len(routes) > 100


def test_every_metric_that_the_server_shows_is_there() -> None:
    shown = re.findall(r"^# TYPE (\S+)", metrics.exposition().decode(), re.MULTILINE)
    page = reference("metrics.md")
    # `_created` series come with counters and histograms and are not metrics of their own.
    missing = [m for m in shown if not m.endswith("_created") and f"| `{m}` |" not in page]
    assert missing == []
    assert "cyan_devices_online" in shown


@pytest.mark.parametrize(
    "metric",
    [
        "cyan_handshakes_total",
        "cyan_sessions_adopted_total",
        "cyan_events_total",
        "cyan_devices_online",
    ],
)
def test_the_metrics_that_operators_build_on_keep_their_names(metric: str) -> None:
    assert f"| `{metric}` |" in reference("metrics.md")
