"""/v1/secrets: set, listed, replaced, deleted, and never read back (rest-api-core.md §18)."""

from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from cyan.audit.store import list_entries
from cyan.core.clock import iso_ms
from cyan.core.db.engine import Database
from cyan.core.secrets import SealBrokenError, Vault, open_vault
from cyan.secrets import api, service
from cyan.secrets.model import MAX_VALUE_BYTES, UnknownSecretError
from cyan.secrets.service import Secrets
from tests.cast import Cast
from tests.clock import HandClock
from tests.conftest import Serve

VALUE = "hunter2-hunter2"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return open_vault(tmp_path)


@pytest.fixture
def secrets(db: Database, vault: Vault, clock: HandClock) -> Secrets:
    return Secrets(db, vault, clock)


@pytest.fixture
def client(secrets: Secrets, serve: Serve, cast: Cast) -> httpx.AsyncClient:
    client = serve(api.routes(secrets))
    client.headers.update(cast.ada.headers)
    return client


async def put(client: httpx.AsyncClient, name: str, value: object = VALUE) -> httpx.Response:
    """As the CLI does it."""
    return await client.put(f"/v1/secrets/{name}", json={"secret": {"value": value}})


async def test_a_secret_is_made_and_told_without_its_value(
    client: httpx.AsyncClient, cast: Cast, clock: HandClock
) -> None:
    answer = await put(client, "API_KEY")
    assert answer.status_code == 200
    now = iso_ms(clock.now_ms())
    told: dict[str, object] = {
        "name": "API_KEY",
        "created_at": now,
        "updated_at": now,
        "created_by": cast.ada.user_id,
        "updated_by": cast.ada.user_id,
        "last_accessed_at": None,
        "integrations": [],
        "logic_functions": [],
    }
    assert answer.json() == {"secret": told}
    assert (await client.get("/v1/secrets/API_KEY")).json() == {"secret": told}
    assert (await client.get("/v1/secrets")).json() == {"secrets": [told]}


@pytest.mark.parametrize(
    "body", [{"name": "KEY", "value": "v"}, {"secret": {"name": "KEY", "value": "v"}}]
)
async def test_post_takes_both_spellings_and_answers_201(
    client: httpx.AsyncClient, body: dict[str, object]
) -> None:
    answer = await client.post("/v1/secrets", json=body)
    assert answer.status_code == 201
    assert answer.json()["secret"]["name"] == "KEY"


async def test_post_does_not_replace(client: httpx.AsyncClient) -> None:
    await put(client, "KEY")
    answer = await client.post("/v1/secrets", json={"name": "KEY", "value": "other"})
    assert answer.status_code == 409
    assert "already" in answer.json()["error"]


async def test_a_new_value_replaces_the_old_one(
    client: httpx.AsyncClient, secrets: Secrets, cast: Cast, clock: HandClock
) -> None:
    await put(client, "KEY", "old")
    made = iso_ms(clock.now_ms())
    clock.advance(60)
    told = (await put(client, "KEY", "new")).json()["secret"]
    assert (told["created_at"], told["updated_at"]) == (made, iso_ms(clock.now_ms()))
    assert await secrets.reveal(cast.ada.user_id, "KEY") == "new"


async def test_use_is_noted(
    client: httpx.AsyncClient, secrets: Secrets, cast: Cast, clock: HandClock
) -> None:
    await put(client, "KEY", "grün")
    clock.advance(5)
    assert await secrets.reveal(cast.ada.user_id, "KEY") == "grün"
    told = (await client.get("/v1/secrets/KEY")).json()["secret"]
    assert told["last_accessed_at"] == iso_ms(clock.now_ms())


@pytest.mark.parametrize("name", ["lower", "1ST", "WITH-DASH", "A" * 129, "Ä"])
async def test_a_bad_name_is_refused_with_the_rule(client: httpx.AsyncClient, name: str) -> None:
    answer = await put(client, name)
    assert answer.status_code == 400
    assert "capital letters" in answer.json()["error"]


@pytest.mark.parametrize("value", ["", 7, None, {"a": 1}, "x" * (MAX_VALUE_BYTES + 1)])
async def test_a_bad_value_is_refused_with_the_rule(
    client: httpx.AsyncClient, value: object
) -> None:
    answer = await put(client, "KEY", value)
    assert answer.status_code == 400
    assert (await client.get("/v1/secrets")).json() == {"secrets": []}


async def test_a_body_that_is_no_object_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.put("/v1/secrets/KEY", json={"secret": "value"})
    assert answer.status_code == 400


async def test_the_number_of_secrets_is_bounded(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_SECRETS", 2)
    assert [(await put(client, name)).status_code for name in "ABC"] == [200, 200, 409]
    assert (await put(client, "A", "again")).status_code == 200


async def test_a_deleted_secret_is_gone(
    client: httpx.AsyncClient, secrets: Secrets, cast: Cast
) -> None:
    await put(client, "KEY")
    assert (await client.delete("/v1/secrets/KEY")).status_code == 204
    assert (await client.get("/v1/secrets/KEY")).status_code == 404
    assert (await client.delete("/v1/secrets/KEY")).status_code == 404
    with pytest.raises(UnknownSecretError):
        await secrets.reveal(cast.ada.user_id, "KEY")


async def test_a_stranger_sees_and_changes_nothing(
    client: httpx.AsyncClient, secrets: Secrets, cast: Cast
) -> None:
    await put(client, "KEY")
    cleo = cast.cleo.headers
    assert (await client.get("/v1/secrets", headers=cleo)).json() == {"secrets": []}
    unknown = await client.get("/v1/secrets/NO_SUCH", headers=cleo)
    hidden = await client.get("/v1/secrets/KEY", headers=cleo)
    assert (hidden.status_code, hidden.json()) == (unknown.status_code, unknown.json())
    assert (await client.delete("/v1/secrets/KEY", headers=cleo)).status_code == 404
    await client.put("/v1/secrets/KEY", headers=cleo, json={"value": "hers"})
    assert await secrets.reveal(cast.ada.user_id, "KEY") == VALUE
    assert await secrets.reveal(cast.cleo.user_id, "KEY") == "hers"


async def test_what_lies_in_the_database_tells_nothing(
    client: httpx.AsyncClient, db: Database, vault: Vault, cast: Cast
) -> None:
    await put(client, "KEY")
    row = db.row(text("SELECT sealed FROM secrets_secret"))
    assert row is not None
    assert VALUE.encode() not in row.sealed
    with pytest.raises(SealBrokenError):
        vault.open(row.sealed, f"secrets:{cast.cleo.user_id}:KEY".encode())


async def test_setting_and_deleting_are_recorded_without_the_value(
    client: httpx.AsyncClient, db: Database, cast: Cast
) -> None:
    await put(client, "KEY")
    await client.delete("/v1/secrets/KEY")
    entries = list_entries(db, actor=f"user:{cast.ada.user_id}")
    assert [entry.action for entry in entries] == ["secret.deleted", "secret.set"]
    assert {entry.subject for entry in entries} == {f"secret:{cast.ada.user_id}/KEY"}
    assert all(entry.detail is None for entry in entries)
