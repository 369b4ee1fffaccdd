"""DELETE /v1/user, and the operator's command for it (§7)."""

import pytest
from sqlalchemy import Connection

import cyan.app  # noqa: F401 - its imports make every table known
from cyan.accounts.model import AccountInUseError, UnknownUserError
from cyan.accounts.ownaccount import delete_user
from cyan.belongings import OwnRows, account_uses
from cyan.core.db.engine import Database
from cyan.core.db.schema import metadata
from cyan.core.ids import DeviceId, UserId
from cyan.devices.registry import register_device
from tests.accounts.conftest import Desk, Make
from tests.accounts.test_second_factor import ENABLE
from tests.cast import Cast, Person
from tests.clock import HandClock

LAMP = DeviceId("0123456789abcdef01234567")


async def delete(desk: Desk, person: Person, password: str | None = None) -> int:
    body = {"password": person.password if password is None else password}
    answer = await desk.client.request("DELETE", "/v1/user", json=body, headers=person.headers)
    return answer.status_code


async def test_a_deleted_account_is_gone_with_its_logins_and_only_it(
    desk: Desk, cast: Cast
) -> None:
    assert await delete(desk, cast.ada) == 200
    assert (await desk.client.get("/v1/user", headers=cast.ada.headers)).status_code == 401
    login = await desk.login(username=cast.ada.username, password=cast.ada.password)
    assert login.status_code == 400
    assert (await desk.client.get("/v1/user", headers=cast.cleo.headers)).status_code == 200


async def test_the_name_is_free_again_and_the_new_account_has_nothing_of_the_old(
    desk: Desk, cast: Cast
) -> None:
    info = {"account_info": {"first_name": "Ada"}}
    await desk.client.put("/v1/user", json=info, headers=cast.ada.headers)
    await delete(desk, cast.ada)
    body = {"username": cast.ada.username, "password": "somebody else's"}
    assert (await desk.client.post("/v1/users", json=body)).status_code == 200
    token = (await desk.login(**body)).json()["access_token"]
    who = await desk.client.get("/v1/user", headers={"authorization": f"Bearer {token}"})
    assert who.json()["account_info"]["first_name"] == ""


async def test_everything_of_an_account_goes(desk: Desk, cast: Cast, db: Database) -> None:
    headers = cast.ada.headers
    await desk.client.put("/v1/user", json={"account_info": {}}, headers=headers)
    await desk.client.post("/v1/user/password-reset", json={"username": cast.ada.username})
    await desk.mails()
    client = {"name": "lamp", "type": "installed"}
    await desk.client.post("/v1/clients", json=client, headers=headers)
    await desk.client.get(ENABLE, headers=headers)
    assert await delete(desk, cast.ada) == 200
    for table, column in (
        ("accounts_user", "id"),
        ("accounts_token", "user_id"),
        ("accounts_profile", "user_id"),
        ("accounts_totp", "user_id"),
        ("accounts_reset", "user_id"),
        ("accounts_client", "owner_id"),
    ):
        query = f"SELECT count(*) FROM {table} WHERE {column} = ?"
        assert db.driver.execute(query, (cast.ada.user_id,)).fetchone() == (0,)


@pytest.mark.parametrize("guess", ["", "a guess"])
async def test_the_password_is_needed(desk: Desk, cast: Cast, guess: str) -> None:
    assert await delete(desk, cast.ada, guess) in (400, 403)
    assert (await desk.client.get("/v1/user", headers=cast.ada.headers)).status_code == 200


async def test_an_account_that_owns_devices_stays(
    make_desk: Make, cast: Cast, db: Database, clock: HandClock
) -> None:
    desk = make_desk(uses=tuple(account_uses()))
    register_device(db, clock, LAMP, name="lamp", owner=cast.ada.user_id)
    body = {"password": cast.ada.password}
    answer = await desk.client.request("DELETE", "/v1/user", json=body, headers=cast.ada.headers)
    assert answer.status_code == 409
    assert "1 devices" in answer.json()["error"]
    assert await delete(desk, cast.cleo) == 200


async def test_ledgers_go_with_what_stands_in_them(
    make_desk: Make, cast: Cast, db: Database
) -> None:
    def write(connection: Connection) -> None:
        for ledger, owner in (("a", cast.ada.user_id), ("c", cast.cleo.user_id)):
            connection.exec_driver_sql(
                "INSERT INTO ledgers_definition (id, owner_id, name, description, scope,"
                " created_at_ms, updated_at_ms) VALUES (?, ?, 'l', '', 'Owner', 1, 1)",
                (ledger, owner),
            )
            connection.exec_driver_sql(
                "INSERT INTO ledgers_instance VALUES (?, 'x', 1, '{}', 2, 1, 1)", (ledger,)
            )

    db.write_blocking(write)
    assert await delete(make_desk(uses=tuple(account_uses())), cast.ada) == 200
    for query in ("SELECT id FROM ledgers_definition", "SELECT ledger_id FROM ledgers_instance"):
        assert db.driver.execute(query).fetchall() == [("c",)]


def test_every_table_that_names_an_account_is_thought_of() -> None:
    gone = {
        (column.table.name, column.name)
        for use in account_uses()
        if isinstance(use, OwnRows)
        for column in use.columns
    }
    named = {
        (table.name, column.name)
        for table in metadata.tables.values()
        for column in table.columns
        if column.name in ("owner_id", "user_id", "requester_id")
        if not table.name.startswith("accounts_")
    }
    # A device is released first; who had what done to it, and what it said, stays with it.
    stays = {("devices_device", "owner_id"), ("events_event", "owner_id")}
    assert named - gone == stays | {("firmware_attempts", "user_id")}


async def test_libraries_and_secrets_go_and_those_of_others_stay(
    make_desk: Make, cast: Cast, db: Database
) -> None:
    def write(connection: Connection) -> None:
        for key, owner in (("a", cast.ada.user_id), ("c", cast.cleo.user_id)):
            connection.exec_driver_sql(
                "INSERT INTO libraries_upload VALUES (?, 'lamp', '1.0.0', '{}', x'00', ?, 1, 1)",
                (owner, key),
            )
            connection.exec_driver_sql(
                "INSERT INTO secrets_secret VALUES (?, 'KEY', x'00', 1, 1, ?, ?, NULL)",
                (owner, owner, owner),
            )

    db.write_blocking(write)
    assert await delete(make_desk(uses=tuple(account_uses())), cast.ada) == 200
    for table in ("libraries_upload", "secrets_secret"):
        left = db.driver.execute(f"SELECT owner_id FROM {table}").fetchall()
        assert left == [(cast.cleo.user_id,)]


async def test_what_features_have_of_the_account_goes_in_the_same_transaction(
    make_desk: Make, cast: Cast, db: Database
) -> None:
    class Diary:
        forgotten: list[UserId]

        def __init__(self) -> None:
            self.forgotten = []

        def reason_to_stay(self, connection: Connection, user_id: UserId) -> str | None:
            return None

        def forget(self, connection: Connection, user_id: UserId) -> None:
            still = connection.exec_driver_sql(
                "SELECT count(*) FROM accounts_user WHERE id = ?", (user_id,)
            )
            assert still.scalar() == 1
            self.forgotten.append(user_id)

    diary = Diary()
    assert await delete(make_desk(uses=(diary, *account_uses())), cast.ada) == 200
    assert set(diary.forgotten) == {cast.ada.user_id}


async def test_an_operators_account_is_deleted_by_the_command_only(
    desk: Desk, cast: Cast, db: Database, clock: HandClock
) -> None:
    assert await delete(desk, cast.operator) == 403
    assert delete_user(db, clock, cast.operator.username, []) == cast.operator.user_id
    assert (await desk.client.get("/v1/user", headers=cast.operator.headers)).status_code == 401


def test_the_command_keeps_the_same_rules(db: Database, clock: HandClock, cast: Cast) -> None:
    register_device(db, clock, LAMP, name="lamp", owner=cast.ada.user_id)
    with pytest.raises(AccountInUseError, match="Release them first"):
        delete_user(db, clock, cast.ada.username, account_uses())
    with pytest.raises(UnknownUserError):
        delete_user(db, clock, "nobody@example.com", account_uses())


async def test_a_deletion_is_audited(desk: Desk, cast: Cast, db: Database) -> None:
    await delete(desk, cast.ada)
    found = db.driver.execute(
        "SELECT actor, subject FROM audit_entry WHERE action = 'user.deleted'"
    ).fetchall()
    assert found == [(f"user:{cast.ada.user_id}", f"user:{cast.ada.user_id}")]
