"""The running server acts on what commands do beside it."""

from cyan.accounts import people
from cyan.accounts.passwords import Passwords
from cyan.audit.store import record
from cyan.audit.watch import PAGE, OperatorWatch
from cyan.core.db.engine import Database
from tests.cast import Cast


def noted(db: Database, actor: str, action: str, subject: str) -> None:
    db.write_blocking(lambda connection: record(connection, actor, action, subject, at_ms=1))


def test_each_new_entry_of_the_operator_is_acted_on_once(db: Database) -> None:
    noted(db, "operator", "device.key_forgotten", "device:before")
    seen: list[str] = []
    watch = OperatorWatch(db, {"device.key_forgotten": seen.append})
    watch.look()
    assert seen == [], "what was before the start is done already"

    noted(db, "operator", "device.key_forgotten", "device:a")
    noted(db, "operator", "user.created", "user:b")
    noted(db, "user:c", "device.key_forgotten", "device:d")
    noted(db, "operator", "device.key_forgotten", "device:e")
    watch.look()
    watch.look()
    assert seen == ["a", "e"]


def test_more_entries_than_one_look_takes_are_acted_on_at_the_next(db: Database) -> None:
    seen: list[str] = []
    watch = OperatorWatch(db, {"x.done": seen.append})
    for number in range(PAGE + 50):
        noted(db, "operator", "x.done", f"x:{number}")
    watch.look()
    watch.look()
    assert seen == [str(number) for number in range(PAGE + 50)]


def test_a_password_command_tells_which_tokens_it_revoked(
    db: Database, cast: Cast, passwords: Passwords
) -> None:
    revoked: list[str] = []
    watch = OperatorWatch(db, {"token.revoked": revoked.append})
    people.set_password(
        db, cast.ada.username, "another password", passwords=passwords, revoke_tokens=True
    )
    watch.look()
    assert cast.ada.token_id in revoked
    assert cast.cleo.token_id not in revoked
