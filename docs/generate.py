"""Writes docs/reference from the code, or with --check tells whether it is up to date."""

import argparse
import ast
import asyncio
import contextlib
import dataclasses
import importlib
import inspect
import io
import os
import pkgutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import get_type_hints
from unittest import mock

import click
import msgspec
from prometheus_client.metrics import MetricWrapperBase

import cyan
from cyan.app import build
from cyan.cli.main import cli
from cyan.core.config import ENV_PREFIX, Config
from cyan.core.db import migrate
from cyan.core.metrics import REGISTRY
from cyan.rest.auth import Auth
from cyan.rest.metrics import AnswerCounts
from cyan.rest.openapi import document
from cyan.rest.registry import Route
from cyan.sim import options

sys.path.insert(0, str(Path(__file__).parents[1]))  # it is run as a file

from docs.apipage import api_page
from docs.clientspage import clients_page
from docs.tables import prose, table

REFERENCE = Path(__file__).parent / "reference"
OPENAPI = "openapi.json"
SOURCE = Path(cyan.__path__[0])

_HEAD = "<!-- Written by `make docs` from the code; changes here are lost. -->\n"
_TOKEN_WORDS = {
    Auth.TOKEN: "yes",
    Auth.OPTIONAL: "if given",
    Auth.NONE: "no",
    Auth.OWN: "its own way",
}


def _pages(routes: list[Route]) -> dict[str, str]:
    return {
        "README.md": _index(),
        "settings.md": _settings(),
        "commands.md": _commands(),
        "routes.md": _route_page(routes),
        "api.md": api_page(_openapi(routes)),
        "clients.md": clients_page(),
        "metrics.md": _metrics(),
        "facts.md": _facts(),
        "audit.md": _audit(),
    }


def finished_pages() -> dict[str, str]:
    """Every file as it is on disk: pages with a note that they are not written by hand."""
    routes = _routes()
    pages = {name: text.replace("\n", "\n\n" + _HEAD, 1) for name, text in _pages(routes).items()}
    file = msgspec.json.format(msgspec.json.encode(_openapi(routes)), indent=1).decode()
    return {**pages, OPENAPI: file + "\n"}


def present_pages() -> dict[str, str]:
    """Every file of the reference as it is on disk."""
    files = [*REFERENCE.glob("*.md"), *REFERENCE.glob("*.json")]
    return {path.name: path.read_text() for path in files}


def _openapi(routes: list[Route]) -> dict[str, object]:
    return document(routes, version=cyan.__version__)


def _index() -> str:
    return (
        "# Reference\n\n"
        "- [Settings](settings.md): configuration file and environment\n"
        "- [Commands](commands.md): `cyan` and its options\n"
        "- [Routes](routes.md): every path of the API, and what is not built yet\n"
        "- [The API](api.md): what each route takes and answers; the same as\n"
        "  [OpenAPI file](openapi.json), which the server gives at `/openapi.json`\n"
        "- [Clients](clients.md): which commands and methods of Particle's clients work\n"
        "- [Metrics](metrics.md): what `/metrics` has for Prometheus\n"
        "- [Facts](facts.md): what parts of the server tell each other\n"
        "- [Audit](audit.md): which deeds of people are written down\n"
    )


def _settings() -> str:
    rows = []
    for setting in dataclasses.fields(Config):
        low, high = setting.metadata["low"], setting.metadata["high"]
        bounds = "" if low is None else f"{low} or more" if high is None else f"{low} to {high}"
        default = f"`{setting.default}`" if str(setting.default) else "empty"
        variable = f"`{ENV_PREFIX}{setting.name.upper()}`"
        rows.append((f"`{setting.name}`", variable, default, bounds, setting.metadata["help"]))
    return (
        "# Settings\n\n"
        "From the defaults, then a TOML file that `CYAN_CONFIG` names, then the environment, then\n"
        "options of the command; later ones win. An unknown key or a bad value stops the start.\n\n"
        + table(("Key", "In the environment", "Default", "Bounds", "What it is"), rows)
    )


def _commands() -> str:
    parts = ["# Commands\n"]
    for path, command in _walk(cli, "cyan"):
        parts.append(f"\n## {path}\n\n{prose(command.help)}\n")
        if path == "cyan sim":
            parts.append(f"\n```\n{_simulator_options()}\n```\n")
            continue
        rows = []
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                name = ", ".join(f"`{option}`" for option in parameter.opts)
                rows.append((name, _option_value(parameter), parameter.help or ""))
            else:
                rows.append((f"`{parameter.human_readable_name}`", "argument", ""))
        if rows:
            parts.append("\n" + table(("Option", "Value", "What it does"), rows))
    return "".join(parts)


def _walk(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from _walk(child, f"{path} {name}")


def _simulator_options() -> str:
    """What `cyan sim --help` lists; it has a command line of its own."""
    said = io.StringIO()
    page_width = mock.patch.dict(os.environ, {"COLUMNS": "100"})
    with page_width, contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        options.parse(["--help"])
    return said.getvalue().partition("options:\n")[2].rstrip()


def _option_value(option: click.Option) -> str:
    if option.is_flag:
        return "flag"
    shown = option.type.name
    if isinstance(option.default, str | int | float) and option.show_default:
        shown += f", {option.default} unless given"
    return shown + (", needed" if option.required else "")


def _routes() -> list[Route]:
    """The routes of a server that is put together as always, over an empty folder."""

    async def put_together() -> list[Route]:
        with tempfile.TemporaryDirectory() as folder:
            config = Config(data=Path(folder))
            migrate.upgrade(config.database_path)
            parts = build(config)
            parts.passwords.close()
            parts.database.close()
            return parts.registry.routes

    return asyncio.run(put_together())


def _route_page(routes: list[Route]) -> str:
    built = [route for route in routes if route.is_built]
    missing = [route for route in routes if not route.is_built]
    columns = ("Method", "Path", "Token", "What it does")
    return (
        "# Routes\n\n"
        + table(columns, (_route_row(route) for route in _in_order(built)))
        + "\n## Not built yet\n\n"
        "These check the token and answer 501, saying what is missing. Other paths answer 404.\n\n"
        + table(
            ("Method", "Path", "What is missing"), (_missing_row(r) for r in _in_order(missing))
        )
    )


def _in_order(routes: Iterable[Route]) -> list[Route]:
    return sorted(routes, key=lambda route: (route.path, route.method))


def _route_row(route: Route) -> tuple[str, ...]:
    summary = route.summary or prose(inspect.getdoc(route.endpoint)).split("\n")[0]
    return (route.method, f"`{route.path}`", _TOKEN_WORDS[route.auth], summary)


def _missing_row(route: Route) -> tuple[str, ...]:
    return (route.method, f"`{route.path}`", route.summary)


def _metrics() -> str:
    for _ in _modules():
        pass  # importing a module declares its metrics
    rows = []
    for collector in REGISTRY._collector_to_names:
        assert isinstance(collector, MetricWrapperBase | AnswerCounts), collector
        for family in collector.describe():
            name = family.name + ("_total" if family.type == "counter" else "")
            named = collector if isinstance(collector, MetricWrapperBase) else family
            labels = ", ".join(f"`{label}`" for label in getattr(named, "_labelnames", ()))
            rows.append((f"`{name}`", family.type, labels, family.documentation))
    return "# Metrics\n\n" + table(("Metric", "Type", "Labels", "What it counts"), sorted(rows))


def _facts() -> str:
    found: dict[str, type] = {}
    for module, tree in _modules():
        for call in (*_calls(tree, "publish"), *_calls(tree, "Announce")):
            if call.args and isinstance(made := call.args[0], ast.Call):
                kind = getattr(module, getattr(made.func, "id", ""), None)
                if isinstance(kind, type):
                    found[f"{kind.__module__}.{kind.__name__}"] = kind
    rows = []
    for name, kind in sorted(found.items()):
        fields = ", ".join(f"`{field}`" for field in get_type_hints(kind))
        rows.append((f"`{name.removeprefix('cyan.')}`", fields, prose(inspect.getdoc(kind))))
    return (
        "# Facts\n\n"
        "What already happened, told on the bus inside the process. A fact can be lost; the\n"
        "database is the truth.\n\n" + table(("Fact", "Fields", "When"), rows)
    )


def _audit() -> str:
    rows = set()
    for module, tree in _modules():
        for call in _calls(tree, "record"):
            actions = [*call.args, *(keyword.value for keyword in call.keywords)]
            for action in actions:
                if isinstance(action, ast.Constant) and isinstance(action.value, str):
                    place = module.__name__.removeprefix("cyan.").replace(".", "/") + ".py"
                    rows.add((f"`{action.value}`", f"`{place}`"))
                    break
    return (
        "# Audit\n\n"
        "Deeds that leave an entry in the table `audit_entry`, in the same transaction.\n\n"
        + table(("Action", "Written by"), sorted(rows))
    )


def _modules() -> Iterator[tuple[ModuleType, ast.Module]]:
    """Every module of the package but those that run when imported, with its syntax tree."""
    for found in sorted(pkgutil.walk_packages(cyan.__path__, "cyan."), key=lambda m: m.name):
        if found.name.endswith("__main__") or ".migrations" in found.name:
            continue
        module = importlib.import_module(found.name)
        assert module.__file__ is not None
        yield module, ast.parse(Path(module.__file__).read_text())


def _calls(tree: ast.Module, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            if getattr(called, "attr", getattr(called, "id", None)) == name:
                yield node


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it would")
    check = parser.parse_args().check
    wanted = finished_pages()
    present = present_pages()
    if wanted == present:
        return 0
    differing = sorted(name for name in wanted | present if wanted.get(name) != present.get(name))
    if check:
        print(f"docs/reference is not up to date: {', '.join(differing)}. Run `make docs`.")
        return 1
    for name in present.keys() - wanted.keys():
        (REFERENCE / name).unlink()
    for name, text in wanted.items():
        (REFERENCE / name).write_text(text)
    print(f"Written: {', '.join(differing)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
