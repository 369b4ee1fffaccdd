"""`cyan plan`: how many devices accounts may have."""

from pathlib import Path

import click
from sqlalchemy import Connection

from cyan.accounts import people
from cyan.audit import store as audit
from cyan.cli.options import data_option, open_database
from cyan.core.clock import SystemClock
from cyan.plans import editing
from cyan.plans.model import Plan

MAX_DEVICES = 10_000_000
"""More than a server can have."""


@click.group()
def plan() -> None:
    """Plans: how many devices accounts may have."""


@plan.command("list")
@data_option
def list_(data: Path | None) -> None:
    """List all plans, and the accounts that have another than developer."""
    db = open_database(data)
    try:
        plans = editing.list_plans(db)
        given = editing.list_given(db)
        names = {person.id: person.username for person in people.list_users(db)}
    finally:
        db.close()
    for each in plans:
        limit = each.max_developer_devices
        allowed = "any number of" if limit is None else str(limit)
        click.echo(f"{each.word}  {each.title}  {allowed} devices")
    for user_id, word in given.items():
        click.echo(f"{names.get(user_id, user_id)} has {word}")


@plan.command("set")
@click.argument("word")
@click.option(
    "--devices", type=click.IntRange(0, MAX_DEVICES), help="Devices that an account may have."
)
@click.option("--unlimited", is_flag=True, help="As many as it wants.")
@click.option("--title", help="What people read. A plan that is there keeps its own.")
@data_option
def set_(
    word: str, devices: int | None, unlimited: bool, title: str | None, data: Path | None
) -> None:
    """Make a plan, or change it: WORD is its name. Every account begins with developer.

    It counts at once. Who has more devices than allowed keeps them.
    """
    if unlimited == (devices is not None):
        raise click.UsageError("Give either --devices or --unlimited.")
    db, at_ms = open_database(data), SystemClock().now_ms()
    try:
        if title is None:
            titles = {each.word: each.title for each in editing.list_plans(db)}
            title = titles.get(word, word.capitalize())
        made = Plan(word, title, devices)

        def work(connection: Connection) -> None:
            editing.set_plan(connection, made)
            detail: dict[str, object] = {"title": made.title, "devices": devices}
            subject = f"plan:{word}"
            audit.record(connection, audit.OPERATOR, "plan.set", subject, detail, at_ms=at_ms)

        db.write_blocking(work)
    finally:
        db.close()
    allowed = "any number of" if devices is None else str(devices)
    click.echo(f"An account with the plan {word} may have {allowed} devices.")


@plan.command()
@click.argument("username")
@click.argument("word")
@data_option
def give(username: str, word: str, data: Path | None) -> None:
    """Put the account USERNAME on the plan WORD."""
    db, at_ms = open_database(data), SystemClock().now_ms()
    try:
        found = people.find_user(db, username)
        if found is None:
            raise click.ClickException(f"There is no account {username}. See `cyan user list`.")
        user_id = found.id

        def work(connection: Connection) -> None:
            editing.give_plan(connection, user_id, word)
            audit.record(
                connection,
                audit.OPERATOR,
                "plan.given",
                f"user:{user_id}",
                {"plan": word},
                at_ms=at_ms,
            )

        db.write_blocking(work)
    finally:
        db.close()
    click.echo(f"{username} has the plan {word} now.")
