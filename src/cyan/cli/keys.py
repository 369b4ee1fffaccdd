"""`cyan keys`: key files for boards."""

from pathlib import Path

import click

from cyan.app import open_data
from cyan.cli.options import data_option
from cyan.core.config import load_config
from cyan.gateway.keys import UDP_KEY_FILE, open_server_key, padded_public_key
from cyan.wire.errors import MisuseError


@click.group()
def keys() -> None:
    """Key files for boards."""


@keys.command()
@click.option("--host", required=True, help="Name or IPv4 address where boards reach this server.")
@click.option("--port", type=int, help="UDP port in the file; boards use 5684 whatever it says.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    required=True,
    help="File to write, for `particle keys server`.",
)
@data_option
def server(host: str, port: int | None, out: Path, data: Path | None) -> None:
    """Write the server's public key with its address, as a board needs it."""
    config = load_config({"data": data})
    is_new = not (config.data / UDP_KEY_FILE).exists()
    key = open_server_key(open_data(config))
    try:
        content = padded_public_key(key, host, config.udp_port if port is None else port)
    except MisuseError as error:
        raise click.ClickException(f"{host!r} cannot be stored on a board: {error}.") from error
    try:
        out.write_bytes(content)
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written: {error.strerror}.") from error
    if is_new:
        # A board with this key reaches no server that has another.
        click.echo(f"There was no server key in {config.data.absolute()}, so a new one was made.")
    click.echo(
        f"Wrote {out} ({len(content)} bytes). With the board in DFU mode:\n"
        f"  particle keys server {out}"
    )
