"""`cyan user`: accounts."""

import asyncio
import secrets
from pathlib import Path

import click

from cyan.accounts import ownaccount, people, recovery, signup
from cyan.cli.options import data_option, open_database
from cyan.core.clock import SystemClock, iso_ms
from cyan.core.config import load_config
from cyan.core.mail import FAILURES, mailer_of


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


@user.command()
@click.argument("username")
@click.option("--days", type=click.IntRange(1, 365), default=7, help="How long it is good for.")
@click.option("--mail", is_flag=True, help="Send it to USERNAME too.")
@data_option
def invite(username: str, days: int, mail: bool, data: Path | None) -> None:
    """Let somebody sign up; USERNAME is their e-mail address. Prints the code once."""
    config, clock = load_config({"data": data}), SystemClock()
    db = open_database(data)
    try:
        code, ends_at_ms = signup.invite(db, clock, username, days * 24 * 3600)
    finally:
        db.close()
    # Before the mail, which can fail: it is the only place where the code stands.
    click.echo(f"Invited {username} until {iso_ms(ends_at_ms)}. Code: {code}")
    if config.sign_up != "invited":
        click.echo(
            f"By this command's settings sign_up is {config.sign_up}: no code is asked for or "
            "taken. Set CYAN_SIGN_UP=invited for the server.",
            err=True,
        )
    if mail:
        letter = signup.invitation_mail(username, code, ends_at_ms)
        try:
            asyncio.run(mailer_of(config, clock).send(letter))
        except FAILURES as error:
            raise click.ClickException(
                f"The mail was not sent: {error}. Look at the smtp_ settings, and give {username}"
                " the code in another way: it is good."
            ) from error


@user.command()
@click.argument("username")
@data_option
def delete(username: str, data: Path | None) -> None:
    """Delete an account that owns no devices, with its tokens and OAuth clients."""
    from cyan.belongings import account_uses

    db = open_database(data)
    try:
        user_id = ownaccount.delete_user(db, SystemClock(), username, account_uses())
    finally:
        db.close()
    click.echo(f"Deleted {username} ({user_id}).")


@user.command("mfa-off")
@click.argument("username")
@data_option
def mfa_off(username: str, data: Path | None) -> None:
    """Turn the second factor of an account off, for who lost the app that makes the codes."""
    db = open_database(data)
    try:
        was_on = recovery.turn_second_factor_off(db, SystemClock(), username)
    finally:
        db.close()
    click.echo(f"{username} logs in with the password alone{'' if was_on else ', as before'}.")


@user.command()
@click.argument("username")
@data_option
def unlock(username: str, data: Path | None) -> None:
    """Let an account log in again at once that had too many failed logins."""
    db = open_database(data)
    try:
        recovery.unlock(db, SystemClock(), username)
    finally:
        db.close()
    click.echo(f"A running server lets {username} try again within a second or two.")


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
