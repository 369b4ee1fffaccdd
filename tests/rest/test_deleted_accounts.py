"""Requests that were let in before their account was deleted, and come to write after it."""

import re

import msgspec
import pytest
from sqlalchemy import text

from cyan.accounts.ownaccount import delete_user
from cyan.belongings import account_uses
from cyan.rest.application import build_asgi
from cyan.rest.auth import Caller
from tests.cast import Person, bearer
from tests.rest.access_table import TABLE
from tests.rest.asgi import Answer, ask
from tests.rest.world import ADAS_DEVICE, World

GIVES: dict[tuple[str, str], dict[str, object]] = {
    ("POST", "/v1/clients"): {"name": "lamp app", "type": "installed"},
    ("PUT", "/v1/user"): {"account_info": {"first_name": "Cleo"}},
    ("POST", "/v1/secrets"): {"secret": {"name": "KEY", "value": "hers"}},
    ("PUT", "/v1/secrets/KEY"): {"value": "hers"},
    ("PUT", "/v1/env/KEY"): {"value": "hers"},
    ("PATCH", "/v1/env"): {"ops": [{"op": "Set", "key": "LEVEL", "value": "hers"}]},
    ("POST", "/v1/ledgers"): {"name": "hers", "scope": "Owner", "direction": "Downstream"},
    ("POST", "/v1/device_claims"): {},
    ("POST", "/v1/devices"): {"id": ADAS_DEVICE, "request_transfer": True},
}
"""What gives an account something that lasts, and a body that succeeds."""


class StillIn:
    """Takes every token for that of one person, whose account may be gone meanwhile."""

    def __init__(self, person: Person) -> None:
        self._caller = Caller(person.user_id, person.username, person.token_id, "app", None)

    def authenticate(self, token: str) -> Caller:
        return self._caller


async def _ask(world: World, method: str, path: str, fields: dict[str, object]) -> Answer:
    app = build_asgi(world.registry, StillIn(world.cast.cleo), world.parts.clock)
    headers = {**bearer("0" * 40), "content-type": "application/json"}
    return await ask(app, method, path, headers, msgspec.json.encode(fields))


def _delete_cleo(world: World) -> None:
    delete_user(world.db, world.clock, world.cast.cleo.username, account_uses())


def _tables_of_cleo(world: World) -> set[str]:
    """Where something of hers is; the audit remembers, and past events go with time."""
    names = world.db.rows(text("SELECT name FROM sqlite_master WHERE type = 'table'"))
    tables = {row.name for row in names if not row.name.startswith(("audit_", "events_"))}
    return {
        table
        for table in tables
        if any(
            world.cast.cleo.user_id in map(str, row)
            for row in world.db.rows(text(f'SELECT * FROM "{table}"'))
        )
    }


@pytest.mark.parametrize("route", GIVES, ids=" ".join)
async def test_who_has_an_account_gets_it(world: World, route: tuple[str, str]) -> None:
    before = _tables_of_cleo(world)
    assert (await _ask(world, *route, GIVES[route])).status in (200, 201)
    assert _tables_of_cleo(world) > before


@pytest.mark.parametrize("route", GIVES, ids=" ".join)
async def test_a_deleted_account_gets_nothing_any_more(
    world: World, route: tuple[str, str]
) -> None:
    _delete_cleo(world)
    answer = await _ask(world, *route, GIVES[route])
    assert answer.status in (401, 403)
    assert _tables_of_cleo(world) == set()


async def test_no_route_fails_at_it(world: World) -> None:
    _delete_cleo(world)
    failed = []
    for (method, path), row in TABLE.items():
        filled = re.sub(r"{device}", ADAS_DEVICE, path)
        filled = re.sub(r"{(\w+)\*?}", "1", filled)
        answer = await _ask(world, method, filled, row.fields)
        if answer.status >= 500 and answer.status not in (501, 503):
            failed.append(f"{method} {path}: {answer.status} {answer.body[:200]!r}")
    assert failed == []
    assert _tables_of_cleo(world) == set()
