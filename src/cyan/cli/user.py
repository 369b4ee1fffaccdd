"""`cyan user`: accounts."""

import secrets
from pathlib import Path

import click

from cyan.accounts import people
from cyan.cli.options import data_option, open_database
from cyan.core.clock import iso_ms


@click.group()
def user() -> None:
    """Accounts of people."""


@user.command()
@click.argument("username")
@click.option("--password", help="Asked for when it is left out.")
@click.option("--random-password", is_flag=True, help="Make one and print it once.")
@click.option("--operator", is_flag=True, help="May see health and counts of everything.")
@data_option
def add(
    username: str, password: str | None, random_password: bool, operator: bool, data: Path | None
) -> None:
    """Make an account; USERNAME is an e-mail address."""
    chosen, shown = _password(password, random_password)
    db = open_database(data)
    try:
        user_id = people.create_user(db, username, chosen, is_operator=operator)
    finally:
        db.close()
    click.echo(f"Made {username} ({user_id}).{shown}")


@user.command("list")
@data_option
def list_(data: Path | None) -> None:
    """List all accounts."""
    db = open_database(data)
    try:
        for person in people.list_users(db):
            mark = "  operator" if person.is_operator else ""
            click.echo(f"{person.id}  {iso_ms(person.created_at_ms)}  {person.username}{mark}")
    finally:
        db.close()


@user.command()
@click.argument("username")
@click.option("--password", help="Asked for when it is left out.")
@click.option("--random-password", is_flag=True, help="Make one and print it once.")
@click.option("--revoke-tokens", is_flag=True, help="Also end every login of the account.")
@data_option
def passwd(
    username: str,
    password: str | None,
    random_password: bool,
    revoke_tokens: bool,
    data: Path | None,
) -> None:
    """Set the password of an account."""
    chosen, shown = _password(password, random_password)
    db = open_database(data)
    try:
        people.set_password(db, username, chosen, revoke_tokens=revoke_tokens)
    finally:
        db.close()
    click.echo(f"Set the password of {username}.{shown}")


def _password(given: str | None, random: bool) -> tuple[str, str]:
    """The password, and what to print of it."""
    if given is not None and random:
        raise click.UsageError("Give --password or --random-password, not both.")
    if random:
        made = secrets.token_urlsafe(12)
        return made, f" Password: {made}"
    if given is None:
        given = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return given, ""
