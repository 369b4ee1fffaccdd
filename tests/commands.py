"""Commands of `cyan`, run in this process over a data folder of their own."""

from pathlib import Path

import click
from click.testing import CliRunner, Result

from cyan.accounts.people import create_user
from cyan.core.db import migrate
from cyan.core.db.engine import Database
from tests.cast import quick_passwords


def make_data(folder: Path) -> Path:
    """A migrated database with Ada in it."""
    migrate.upgrade(folder / "cyan.db")
    passwords = quick_passwords()
    db = Database(folder / "cyan.db")
    create_user(db, "ada@example.com", "ada's password", passwords=passwords)
    db.close()
    passwords.close()
    return folder


def run(command: click.Command, data: Path, *arguments: str, **environment: str) -> Result:
    """What it said and how it ended. Raises what it raised."""
    result = CliRunner().invoke(command, [*arguments, "--data", str(data)], env=environment)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result
