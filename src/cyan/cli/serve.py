"""`cyan serve`: the server for good."""

import asyncio
import signal
from typing import Any

import click

from cyan.app import Server
from cyan.cli.options import read_config, server_options
from cyan.cli.running import only_one, run
from cyan.cli.systemd import notify
from cyan.core import log
from cyan.core.db import migrate
from cyan.core.folder import open_data


@click.command()
@server_options
def serve(**options: Any) -> None:
    """Serve devices and people. Refuses an old schema: run `cyan upgrade` first.

    SIGHUP reads the files of the certificate anew; they are also looked at every 10 s.
    """
    config = read_config(options)
    log.configure(config.log_format, config.log_level)
    with only_one(open_data(config)):
        migrate.check(config.database_path)
        server = Server(config)

        async def main(stop: asyncio.Event) -> None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, server.reload)
            await server.run(lambda parts: notify("READY=1"), stop)

        run(main)
