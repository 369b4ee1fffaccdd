"""`cyan keys`: key files for boards."""

from pathlib import Path

import click

from cyan.cli.options import data_option
from cyan.core.config import load_config
from cyan.core.folder import open_data
from cyan.gateway.keys import (
    TCP_KEY_FILE,
    UDP_KEY_FILE,
    open_server_key,
    open_stream_key,
    padded_public_key,
)
from cyan.wire.errors import MisuseError


@click.group()
def keys() -> None:
    """Key files for boards."""


@keys.command()
@click.option("--host", required=True, help="Name or IPv4 address where boards reach this server.")
@click.option("--port", type=int, help="Port in the file; boards use 5684 (UDP) and 5683 (TCP).")
@click.option(
    "--protocol",
    type=click.Choice(("udp", "tcp")),
    default="udp",
    show_default=True,
    help="udp for all boards but Core, Photon and P1, which take tcp.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    required=True,
    help="File to write, for `particle keys server`.",
)
@data_option
def server(host: str, port: int | None, protocol: str, out: Path, data: Path | None) -> None:
    """Write the server's public key with its address, as a board needs it."""
    config = load_config({"data": data})
    is_tcp = protocol == "tcp"
    is_new = not (config.data / (TCP_KEY_FILE if is_tcp else UDP_KEY_FILE)).exists()
    folder = open_data(config)
    key = open_stream_key(folder) if is_tcp else open_server_key(folder)
    if port is None:
        port = config.tcp_port if is_tcp else config.udp_port
    try:
        content = padded_public_key(key, host, port)
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
        f"  particle keys server {out}{' --protocol tcp' if is_tcp else ''}"
    )
