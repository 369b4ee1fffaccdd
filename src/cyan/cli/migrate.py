"""`cyan migrate`: bring the database up to date."""

from pathlib import Path

import click

from cyan.cli.options import data_option
from cyan.cli.running import only_one
from cyan.core.config import load_config
from cyan.core.db import migrate as schema
from cyan.core.folder import open_data


@click.command()
@data_option
def migrate(data: Path | None) -> None:
    """Make a database, or bring it up to date without a backup: `cyan upgrade` makes one.

    The server must not run.
    """
    config = load_config({"data": data})
    with only_one(open_data(config)):
        before = schema.upgrade(config.database_path)
    now = schema.head()
    if before == now:
        click.echo(f"The schema is up to date ({now}).")
    else:
        click.echo(f"The schema went from {before or 'nothing'} to {now}.")
