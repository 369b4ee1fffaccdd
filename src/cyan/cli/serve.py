"""`cyan serve`: the server for good."""

import asyncio
from typing import Any

import click

from cyan.app import Server, open_data
from cyan.cli.options import read_config, server_options
from cyan.cli.running import only_one, run
from cyan.core import log
from cyan.core.db import migrate


@click.command()
@server_options
def serve(**options: Any) -> None:
    """Serve devices and people. Refuses an old schema: run `cyan migrate` first."""
    config = read_config(options)
    log.configure(config.log_format, config.log_level)
    with only_one(open_data(config)):
        migrate.check(config.database_path)
        server = Server(config)

        async def main(stop: asyncio.Event) -> None:
            await server.run(lambda parts: None, stop)

        run(main)
