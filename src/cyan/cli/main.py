"""The command `cyan`: its subcommands, and how their errors are told."""

import importlib
import sys
from typing import Final

import click

from cyan import __version__
from cyan.core.errors import CyanError

COMMANDS: Final = {
    "dev": "cyan.cli.dev:dev",
    "serve": "cyan.cli.serve:serve",
    "migrate": "cyan.cli.migrate:migrate",
    "upgrade": "cyan.cli.upgrade:upgrade",
    "backup": "cyan.cli.backup:backup",
    "restore": "cyan.cli.restore:restore",
    "user": "cyan.cli.user:user",
    "plan": "cyan.cli.plan:plan",
    "device": "cyan.cli.device:device",
    "firmware": "cyan.cli.firmware:firmware",
    "keys": "cyan.cli.keys:keys",
    "sim": "cyan.cli.sim:sim",
    "doctor": "cyan.cli.doctor:doctor",
}


class _Lazy(click.Group):
    """Imports a command's module when it is asked for, so that each starts quickly."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, name = place.split(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cyan")
def cli() -> None:
    """Cyan, a device cloud that you run yourself."""


def main() -> None:
    """Entry point. An error that a person can mend is one line, not a traceback."""
    try:
        cli()
    except CyanError as error:
        click.echo(f"cyan: {error.message}", err=True)
        sys.exit(2)
