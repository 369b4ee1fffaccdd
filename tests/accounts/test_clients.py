"""/v1/clients, and the client credentials grant (§5.1, §6)."""

import re

import pytest

from cyan.accounts import clients as module
from cyan.accounts.model import TokensRevoked
from cyan.core.bus import Bus
from cyan.core.db.engine import Database
from tests.accounts.conftest import Desk
from tests.cast import Cast, Person, bearer

INSTALLED = {"name": "Lamp App", "type": "installed"}
WEB = {"name": "w", "type": "web", "redirect_uri": "https://example.com/setup"}


async def create(desk: Desk, person: Person, body: dict[str, str] | None = None) -> dict[str, str]:
    answer = await desk.client.post("/v1/clients", json=body or INSTALLED, headers=person.headers)
    assert answer.status_code == 200
    assert answer.json()["ok"] is True
    return dict(answer.json()["client"])


def credentials(client: dict[str, str]) -> dict[str, str]:
    return {"client_id": client["id"], "client_secret": client["secret"]}


async def test_a_client_is_made_with_a_secret_that_is_shown_once(
    desk: Desk, cast: Cast, db: Database
) -> None:
    made = await create(desk, cast.ada)
    assert re.fullmatch(r"lamp-app-\d{4}", made["id"])
    assert re.fullmatch(r"[0-9a-f]{40}", made["secret"])
    assert {key: made[key] for key in ("name", "type")} == INSTALLED
    listed = (await desk.client.get("/v1/clients", headers=cast.ada.headers)).json()
    assert listed == {
        "ok": True,
        "clients": [{"name": "Lamp App", "type": "installed", "id": made["id"]}],
    }
    stored = db.path.read_bytes() + db.path.with_name(db.path.name + "-wal").read_bytes()
    assert made["secret"].encode() not in stored


async def test_a_web_client_has_a_redirect_uri_and_any_a_scope(desk: Desk, cast: Cast) -> None:
    made = await create(desk, cast.ada, {**WEB, "scope": "customers:create  devices:get"})
    assert made["redirect_uri"] == WEB["redirect_uri"]
    assert made["scope"] == "customers:create devices:get"


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "x" * 65},
        {"name": "a\x07"},
        {"type": "desktop"},
        {"type": "web"},
        {"type": "web", "redirect_uri": "javascript:alert(1)"},
        {"type": "web", "redirect_uri": "https://[broken"},
        {"type": "web", "redirect_uri": "https://example.com/" + "x" * 2048},
        {"scope": "everything"},
        {"scope": "a:b " * 60},
    ],
)
async def test_what_cannot_be_used_is_refused(
    desk: Desk, cast: Cast, change: dict[str, str]
) -> None:
    body = {**INSTALLED, **change}
    answer = await desk.client.post("/v1/clients", json=body, headers=cast.ada.headers)
    assert answer.status_code == 400
    listed = (await desk.client.get("/v1/clients", headers=cast.ada.headers)).json()
    assert listed["clients"] == []


async def test_a_name_without_letters_gets_an_id_too(desk: Desk, cast: Cast) -> None:
    assert (await create(desk, cast.ada, {**INSTALLED, "name": "ランプ"}))["id"][:7] == "client-"


async def test_name_and_scope_can_be_changed(desk: Desk, cast: Cast) -> None:
    made = await create(desk, cast.ada, {**INSTALLED, "scope": "customers:create"})
    path = f"/v1/clients/{made['id']}"
    named = await desk.client.put(path, json={"name": "Lamp 2"}, headers=cast.ada.headers)
    assert named.json()["client"] == {
        "name": "Lamp 2",
        "type": "installed",
        "id": made["id"],
        "scope": "customers:create",
    }
    freed = await desk.client.put(path, json={"scope": "none"}, headers=cast.ada.headers)
    assert "scope" not in freed.json()["client"]
    assert freed.json()["client"]["name"] == "Lamp 2"


async def test_a_stranger_finds_nothing(desk: Desk, cast: Cast) -> None:
    made = await create(desk, cast.ada)
    listed = (await desk.client.get("/v1/clients", headers=cast.cleo.headers)).json()
    assert listed["clients"] == []
    for method, body in (("PUT", {"name": "mine"}), ("DELETE", {})):
        answers = [
            await desk.client.request(
                method, f"/v1/clients/{id_}", json=body, headers=cast.cleo.headers
            )
            for id_ in (made["id"], "lamp-app-0000")
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].text == answers[1].text
    assert (await desk.login(**login_of(cast.ada), **credentials(made))).status_code == 200


def login_of(person: Person) -> dict[str, str]:
    return {"username": person.username, "password": person.password}


async def test_people_log_in_through_a_client_with_its_secret(desk: Desk, cast: Cast) -> None:
    made = await create(desk, cast.ada)
    answer = await desk.login(**login_of(cast.cleo), **credentials(made))
    token = answer.json()["access_token"]
    current = await desk.client.get("/v1/access_tokens/current", headers=bearer(token))
    assert current.json()["client_id"] == made["id"]
    for secret in ("", "0" * 40):
        answer = await desk.login(**login_of(cast.cleo), client_id=made["id"], client_secret=secret)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")


async def test_a_client_gets_a_token_of_its_owner(desk: Desk, cast: Cast, db: Database) -> None:
    made = await create(desk, cast.ada, {**INSTALLED, "scope": "*:*"})
    answer = await desk.login(grant_type="client_credentials", **credentials(made))
    assert answer.status_code == 200
    who = await desk.client.get("/v1/user", headers=bearer(answer.json()["access_token"]))
    assert who.json()["username"] == cast.ada.username
    actors = db.driver.execute(
        "SELECT actor FROM audit_entry WHERE action = 'token.created' ORDER BY id DESC LIMIT 1"
    ).fetchall()
    assert actors == [(f"client:{made['id']}",)]


async def test_its_life_can_be_chosen_and_it_can_be_renewed(desk: Desk, cast: Cast) -> None:
    made = await create(desk, cast.ada)
    first = await desk.login(grant_type="client_credentials", expires_in="60", **credentials(made))
    assert first.json()["expires_in"] == 60
    refresh = {"grant_type": "refresh_token", "refresh_token": first.json()["refresh_token"]}
    assert (await desk.login(**refresh)).status_code == 400  # another client's
    assert (await desk.login(**refresh, **credentials(made))).status_code == 200


async def test_a_client_of_limited_scope_gets_no_token_of_people(desk: Desk, cast: Cast) -> None:
    made = await create(desk, cast.ada, {**INSTALLED, "scope": "customers:create"})
    for fields in ({"grant_type": "client_credentials"}, login_of(cast.ada)):
        answer = await desk.login(**fields, **credentials(made))
        assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
        assert "customers:create" in answer.json()["error_description"]


async def test_a_client_that_was_limited_renews_nothing(desk: Desk, cast: Cast) -> None:
    made = await create(desk, cast.ada)
    first = await desk.login(grant_type="client_credentials", **credentials(made))
    path = f"/v1/clients/{made['id']}"
    await desk.client.put(path, json={"scope": "customers:create"}, headers=cast.ada.headers)
    answer = await desk.login(
        grant_type="refresh_token",
        refresh_token=first.json()["refresh_token"],
        **credentials(made),
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


async def test_the_clients_of_stock_tools_have_no_owner_to_be(desk: Desk, cast: Cast) -> None:
    answer = await desk.login(grant_type="client_credentials")
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


async def test_a_scope_that_is_asked_for_is_refused_not_ignored(desk: Desk, cast: Cast) -> None:
    made = await create(desk, cast.ada)
    answer = await desk.login(
        grant_type="client_credentials", scope="customer=x@example.com", **credentials(made)
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


async def test_a_deleted_client_takes_its_tokens_with_it(desk: Desk, cast: Cast, bus: Bus) -> None:
    told: list[str] = []
    bus.subscribe(TokensRevoked, lambda fact: told.extend(fact.token_ids))
    made = await create(desk, cast.ada)
    token = (await desk.login(**login_of(cast.cleo), **credentials(made))).json()["access_token"]
    path = f"/v1/clients/{made['id']}"
    answer = await desk.client.request("DELETE", path, json={}, headers=cast.ada.headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await desk.client.get("/v1/user", headers=bearer(token))).status_code == 401
    assert len(told) == 1
    assert (await desk.login(**login_of(cast.cleo), **credentials(made))).status_code == 400


async def test_there_are_so_many_and_no_more(
    desk: Desk, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_CLIENTS_PER_USER", 2)
    for _ in range(2):
        await create(desk, cast.ada)
    answer = await desk.client.post("/v1/clients", json=INSTALLED, headers=cast.ada.headers)
    assert answer.status_code == 409
    await create(desk, cast.cleo)


async def test_deeds_are_audited(desk: Desk, cast: Cast, db: Database) -> None:
    made = await create(desk, cast.ada)
    path = f"/v1/clients/{made['id']}"
    await desk.client.put(path, json={"name": "x"}, headers=cast.ada.headers)
    await desk.client.delete(path, headers=cast.ada.headers)
    entries = db.driver.execute(
        "SELECT actor, action FROM audit_entry WHERE subject = ? ORDER BY id",
        (f"client:{made['id']}",),
    ).fetchall()
    actor = f"user:{cast.ada.user_id}"
    assert entries == [
        (actor, "client.created"),
        (actor, "client.changed"),
        (actor, "client.deleted"),
    ]
