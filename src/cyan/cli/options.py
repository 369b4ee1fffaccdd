"""Options that several commands share, and reading the configuration from them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from cyan.core.config import Config, load_config
from cyan.core.db import migrate
from cyan.core.db.engine import Database

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def data_option(command: Decorated) -> Decorated:
    return click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder of everything that lasts (CYAN_DATA; default ./data).",
    )(command)


def server_options(command: Decorated) -> Decorated:
    """The options of the commands that serve."""
    for decorate in (
        data_option,
        click.option("--host", help="Address to listen on (CYAN_HOST; default 127.0.0.1)."),
        click.option("--http-port", type=int, help="CYAN_HTTP_PORT; default 8080, 0 any free."),
        click.option("--udp-port", type=int, help="CYAN_UDP_PORT; default 5684, 0 any free."),
        click.option("--tcp-port", type=int, help="CYAN_TCP_PORT; default 5683, 0 any free."),
        click.option("--enrolment", help="CYAN_ENROLMENT: registered or open."),
        click.option(
            "--config",
            type=click.Path(path_type=Path, dir_okay=False),
            help="A TOML file with settings (CYAN_CONFIG).",
        ),
    ):
        command = decorate(command)
    return command


def read_config(options: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> Config:
    """The configuration of a command; raises ConfigError."""
    given = dict(options)
    file = given.pop("config", None)
    return load_config(given, file=file, defaults=defaults)


def open_database(data: Path | None) -> Database:
    """The database of a command beside (or without) a running server. Raises SchemaOldError."""
    config = load_config({"data": data})
    migrate.check(config.database_path)
    return Database(config.database_path)
