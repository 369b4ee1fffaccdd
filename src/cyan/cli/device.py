"""`cyan device`: the registry of devices, from the operator's side."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from cyan.accounts import people
from cyan.cli.options import data_option, open_database
from cyan.core.clock import SystemClock
from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId, UserId, parse_device_id
from cyan.core.secrets import open_vault
from cyan.devices import importing, provisioning, registry
from cyan.devices.model import UnknownDeviceError


@click.group()
def device() -> None:
    """Devices that this server knows."""


@device.command()
@click.argument("device_id")
@click.option("--name", help="A name; an owned device gets one by itself.")
@click.option("--owner", help="Username of the account that it belongs to.")
@click.option(
    "--key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Its public key (PEM or DER). Without it the first key seen is pinned.",
)
@data_option
def add(
    device_id: str, name: str | None, owner: str | None, key: Path | None, data: Path | None
) -> None:
    """Register a device; DEVICE_ID is 24 hex digits."""
    parsed = parse_device_id(device_id)
    public_key = registry.read_public_key(key.read_bytes()) if key is not None else None
    db = open_database(data)
    try:
        owner_id: UserId | None = None
        if owner is not None:
            owner_id = _account(db, owner)
        made = registry.register_device(
            db, SystemClock(), parsed, name=name, owner=owner_id, public_key=public_key
        )
    finally:
        db.close()
    pinned = "its key is pinned" if public_key else "the first key seen will be pinned"
    click.echo(f"Registered {made.id}{f' as {made.name}' if made.name else ''}; {pinned}.")


@device.command("list")
@data_option
def list_(data: Path | None) -> None:
    """List all registered devices."""
    db = open_database(data)
    try:
        names = {person.id: person.username for person in people.list_users(db)}
        for known in registry.list_devices(db):
            owner = names.get(known.owner_id, "-") if known.owner_id else "-"
            click.echo(f"{known.id}  {known.name or '-'}  {owner}")
    finally:
        db.close()


@device.command()
@click.argument("device_id")
@click.option("--forget", is_flag=True, help="Forget the key: the next one seen is pinned.")
@data_option
def key(device_id: str, forget: bool, data: Path | None) -> None:
    """Show the public key that is pinned to a device, or forget it."""
    parsed = parse_device_id(device_id)
    db = open_database(data)
    try:
        with _known(parsed):
            if forget:
                registry.forget_key(db, SystemClock(), parsed)
                click.echo(f"Forgot the key of {parsed}. The next that it shows will be pinned.")
                return
            found = registry.show_key(db, parsed)
    finally:
        db.close()
    if found is None:
        click.echo(f"No key is pinned to {parsed} yet.")
    else:
        encoded = base64.b64encode(found.public_key).decode()
        click.echo(f"SHA-256 {found.fingerprint}\nSPKI    {encoded}")


@device.command()
@click.argument("device_id")
@data_option
def disconnect(device_id: str, data: Path | None) -> None:
    """End a device's session: it comes back at once with a full handshake, and describes itself."""
    parsed = parse_device_id(device_id)
    db = open_database(data)
    try:
        with _known(parsed):
            registry.disconnect(db, SystemClock(), parsed)
    finally:
        db.close()
    click.echo(f"The running server ends the session of {parsed} within a second.")


@device.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@data_option
def import_(file: Path, data: Path | None) -> None:
    """Take device ids and what stands on their labels from a CSV FILE.

    Its first line names the columns: device_id, and as far as they are known serial_number,
    mobile_secret, iccid, imei, mac_wifi and platform_id. Devices that are not known become so. When
    a line is wrong, nothing is imported.
    """
    try:
        labels = importing.read_labels(file.read_text("utf-8").splitlines())
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{file} is not text in UTF-8.") from error
    db = open_database(data)
    try:
        done = importing.import_labels(db, SystemClock(), open_vault(db.path.parent), labels)
    finally:
        db.close()
    click.echo(f"Imported {done.devices} devices; {done.registered} of them were not known before.")


@device.command()
@click.argument("username")
@click.option("--revoke", is_flag=True, help="Take the right away.")
@data_option
def registrar(username: str, revoke: bool, data: Path | None) -> None:
    """Let the account USERNAME make new devices known over the API, as a factory needs it."""
    db = open_database(data)
    try:
        user_id = _account(db, username)
        change = provisioning.revoke_registrar if revoke else provisioning.grant_registrar
        change(db, SystemClock(), user_id)
    finally:
        db.close()
    may = "cannot make devices known any more" if revoke else "may make devices known"
    click.echo(f"{username} {may}.")


@contextmanager
def _known(device_id: DeviceId) -> Iterator[None]:
    """Say what to do when there is no such device."""
    try:
        yield
    except UnknownDeviceError as error:
        raise click.ClickException(
            f"{device_id} is not registered here. `cyan device list` shows those that are."
        ) from error


def _account(db: Database, username: str) -> UserId:
    found = people.find_user(db, username)
    if found is None:
        raise click.ClickException(f"There is no account {username}. See `cyan user list`.")
    return found.id
