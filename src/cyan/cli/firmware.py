"""`cyan firmware`: releases of Device OS, which the server sends to devices, and to tools."""

from pathlib import Path

import click

from cyan.cli.options import data_option, open_database
from cyan.core.clock import SystemClock, iso_ms
from cyan.core.errors import InvalidError
from cyan.firmware.deviceos import DeviceOs
from cyan.firmware.deviceosimport import keep_modules, read_files
from cyan.firmware.deviceosmodel import NO_RELEASE, release_order
from cyan.firmware.images import Images
from cyan.wire.module import PLATFORM_NAMES

_NONE = "-"
"""Shown, and given, for the release of a module that has none."""


@click.group()
def firmware() -> None:
    """Releases of Device OS, which devices in safe mode and the stock tools get from here."""


@firmware.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--release", help="The release that all of FILES belong to, like 6.2.0.")
@data_option
def import_(files: tuple[Path, ...], release: str | None, data: Path | None) -> None:
    """Take system parts, boot loaders, radio stacks and network processors from FILES: binaries,
    folders and zips as Device OS is released in.

    The release is told by --release, else by the name of the file, folder or zip (@6.2.0), else by
    the version of the system part of the same platform. The same module of the same release takes
    the place of the one before. Applications are left aside.
    """
    if release is not None:
        release_order(release)
    try:
        reading = read_files(files, release)
    except OSError as error:
        raise click.ClickException(f"{error.filename} cannot be read: {error.strerror}.") from error
    db = open_database(data)
    try:
        clock = SystemClock()
        modules = keep_modules(Images(db.path.parent, clock), reading.found)
        DeviceOs(db, clock).put_blocking(modules)
    finally:
        db.close()
    for skipped in reading.skipped:
        click.echo(f"Left aside {skipped.name}: {skipped.reason}", err=True)
    for module in modules:
        click.echo(f"{module.release or _NONE}  {module.name}  version {module.version}")
    click.echo(f"Imported {len(modules)} modules of Device OS. A running server has them at once.")


@firmware.command("list")
@data_option
def list_(data: Path | None) -> None:
    """List the modules of Device OS that are here, by release."""
    db = open_database(data)
    try:
        for module in DeviceOs(db, SystemClock()).list_modules():
            click.echo(
                f"{module.release or _NONE}  {module.name}  version {module.version}"
                f"  {module.image.size_bytes} bytes  {iso_ms(module.imported_at_ms)}"
            )
    finally:
        db.close()


@firmware.command()
@click.argument("release")
@click.option("--platform", help="Of this platform only: its name, like boron, or number.")
@data_option
def remove(release: str, platform: str | None, data: Path | None) -> None:
    """Remove a RELEASE of Device OS, like 6.2.0; - for modules that have none.

    The running server deletes files that nothing needs any more within two hours.
    """
    platform_id = None if platform is None else _platform_id(platform)
    db = open_database(data)
    try:
        name = NO_RELEASE if release == _NONE else release
        removed = DeviceOs(db, SystemClock()).remove_blocking(name, platform_id)
    finally:
        db.close()
    if not removed:
        of = "" if platform is None else f" for {platform}"
        raise click.ClickException(
            f"There is no release {release}{of} here. `cyan firmware list` shows what there is."
        )
    click.echo(f"Removed {removed} modules of {release}.")


def _platform_id(text: str) -> int:
    for number, name in PLATFORM_NAMES.items():
        if text in (name, str(number)):
            return number
    raise InvalidError(
        f"There is no platform {text}. Known are {', '.join(PLATFORM_NAMES.values())}."
    )
