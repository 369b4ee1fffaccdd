"""`cyan sim`: the fleet simulator."""

import sys

import click

from cyan.sim import options, run


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sim(arguments: tuple[str, ...]) -> None:
    """Simulate a fleet of devices (`cyan sim --help` tells how)."""
    sys.exit(run.main(options.parse(list(arguments))))
