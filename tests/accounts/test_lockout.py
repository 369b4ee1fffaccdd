"""Failed logins in a row: an address waits, an account waits; nobody learns who exists (§2.4)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

import httpx
import pytest
from argon2 import PasswordHasher

from cyan.accounts import lockout as module
from cyan.accounts.api import routes
from cyan.accounts.lockout import BusyAddressError, LockedOutError, Lockout, LockoutRules
from cyan.accounts.passwords import Passwords
from cyan.accounts.people import People
from cyan.accounts.recovery import unlock
from cyan.accounts.tokens import Tokens
from cyan.audit.watch import OperatorWatch
from cyan.core.db.engine import Database
from cyan.core.ids import UserId
from cyan.rest.application import build_asgi
from cyan.rest.registry import Registry
from tests.accounts.conftest import Desk, Make
from tests.accounts.test_tokens import basic
from tests.cast import Cast, Person
from tests.clock import HandClock

HERE, THERE = "198.51.100.1", "198.51.100.2"
RULES = LockoutRules(by_address=3, by_account=5, block_s=1800.0)


class At:
    """Clients of one desk at different addresses."""

    def __init__(self, desk: Desk, tokens: Tokens, clock: HandClock) -> None:
        self.desk = desk
        self._app = build_asgi(Registry(routes(desk.accounts)), tokens, clock)
        self._open: list[httpx.AsyncClient] = []

    def __call__(self, host: str) -> Desk:
        transport = httpx.ASGITransport(self._app, client=(host, 1234))
        client = httpx.AsyncClient(transport=transport, base_url="http://cyan.test")
        self._open.append(client)
        return Desk(self.desk.accounts, client, self.desk.mailbox)

    async def close(self) -> None:
        for client in self._open:
            await client.aclose()


@pytest.fixture
async def at(make_desk: Make, tokens: Tokens, clock: HandClock) -> AsyncIterator[At]:
    made = At(make_desk(lockout=RULES), tokens, clock)
    yield made
    await made.close()


async def guess(desk: Desk, username: str, times: int) -> list[int]:
    return [
        (await desk.login(username=username, password="a guess")).status_code for _ in range(times)
    ]


def right(person: Person) -> dict[str, str]:
    return {"username": person.username, "password": person.password}


async def test_an_address_with_failures_in_a_row_waits_half_an_hour(
    at: At, cast: Cast, clock: HandClock
) -> None:
    assert await guess(at(HERE), "ada@example.com", 4) == [400, 400, 400, 429]
    answer = await at(HERE).login(**right(cast.ada))
    assert answer.status_code == 429
    assert answer.json()["error"] == "too_many_requests"
    assert "access token" not in answer.json()["error_description"]
    assert answer.headers["retry-after"] == "1801"
    assert answer.headers["cache-control"] == "no-store"
    clock.advance(1801)
    assert (await at(HERE).login(**right(cast.ada))).status_code == 200


async def test_another_address_logs_in_meanwhile(at: At, cast: Cast) -> None:
    await guess(at(HERE), cast.ada.username, 4)
    assert (await at(THERE).login(**right(cast.ada))).status_code == 200


async def test_a_login_that_works_takes_back_the_typing_mistakes(at: At, cast: Cast) -> None:
    for _ in range(4):
        assert await guess(at(HERE), cast.ada.username, 2) == [400, 400]
        assert (await at(HERE).login(**right(cast.ada))).status_code == 200


async def test_an_account_of_ones_own_does_not_wash_off_guesses_at_others(
    at: At, cast: Cast
) -> None:
    statuses = []
    for _ in range(4):
        statuses += await guess(at(HERE), cast.ada.username, 1)
        await at(HERE).login(**right(cast.cleo))
    assert statuses == [400, 400, 400, 429]


@pytest.mark.parametrize("username", ["ada@example.com", "nobody@example.com"])
async def test_guesses_from_many_addresses_lock_a_name_that_exists_or_not(
    at: At, cast: Cast, username: str
) -> None:
    statuses = []
    for number in range(6):
        statuses += await guess(at(f"203.0.113.{number}"), username, 1)
    assert statuses == [400] * 5 + [429]


async def test_where_one_logged_in_before_strangers_cannot_lock_one_out(at: At, cast: Cast) -> None:
    assert (await at(HERE).login(**right(cast.ada))).status_code == 200
    for number in range(6):
        await guess(at(f"203.0.113.{number}"), cast.ada.username, 1)
    assert (await at(THERE).login(**right(cast.ada))).status_code == 429
    assert (await at(HERE).login(**right(cast.ada))).status_code == 200


async def test_the_operator_lifts_the_block_of_an_account(
    at: At, cast: Cast, db: Database, clock: HandClock
) -> None:
    watch = OperatorWatch(
        db, {"user.unlocked": lambda id_: at.desk.accounts.logins.unblock(UserId(id_))}
    )
    for number in range(6):
        await guess(at(f"203.0.113.{number}"), cast.ada.username, 1)
    unlock(db, clock, "Ada@example.com")
    watch.look()
    assert (await at(THERE).login(**right(cast.ada))).status_code == 200


async def test_blocks_are_audited_and_names_of_nobody_are_not(
    at: At, cast: Cast, db: Database
) -> None:
    for number in range(6):
        for name in (cast.ada.username, "maybe-a-password", "nobody@example.com"):
            await guess(at(f"203.0.113.{number}:{name}"), name, 1)
    await guess(at(HERE), "a@example.com", 1)
    await guess(at(HERE), "b@example.com", 2)
    await db.write(lambda connection: None)
    entries = db.driver.execute(
        "SELECT actor, subject FROM audit_entry WHERE action = 'login.blocked' ORDER BY id"
    ).fetchall()
    assert entries == [("server", f"user:{cast.ada.user_id}"), ("server", f"address:{HERE}")]


@pytest.mark.parametrize("case", ["Ada@Example.COM", " ada@example.com "])
async def test_one_name_in_other_letters_is_one_name(at: At, cast: Cast, case: str) -> None:
    for number in range(5):
        await guess(at(f"203.0.113.{number}"), case, 1)
    assert (await at(THERE).login(**right(cast.ada))).status_code == 429


async def test_every_place_that_takes_a_password_counts(at: At, cast: Cast) -> None:
    here, headers = at(HERE), cast.ada.headers
    wrong = {"current_password": "a guess"}
    statuses = [
        (await here.client.put("/v1/user", json={"password": "x" * 9, **wrong}, headers=headers)),
        (await here.client.put("/v1/user/mfa-disable", json=wrong, headers=headers)),
        (await here.client.get("/v1/access_tokens", headers=basic(cast.ada, "a guess"))),
        (
            await here.client.request(
                "DELETE", "/v1/user", json={"password": cast.ada.password}, headers=headers
            )
        ),
    ]
    assert [answer.status_code for answer in statuses] == [403, 403, 401, 429]
    assert "retry-after" in statuses[-1].headers


async def test_a_network_of_ipv6_is_one_address(at: At, cast: Cast) -> None:
    statuses = []
    for number in range(4):
        statuses += await guess(at(f"2001:db8::{number}"), f"{number}@example.com", 1)
    assert statuses == [400, 400, 400, 429]
    assert (await at("2001:db8:0:1::1").login(**right(cast.ada))).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
async def test_this_machine_can_be_left_alone(
    make_desk: Make, tokens: Tokens, clock: HandClock, cast: Cast, host: str
) -> None:
    at = At(make_desk(lockout=RULES, exempt_loopback=True), tokens, clock)
    assert set(await guess(at(host), cast.ada.username, 8)) == {400}
    assert 429 in await guess(at(HERE), cast.cleo.username, 8)
    await at.close()


async def test_zero_is_no_limit(
    make_desk: Make, tokens: Tokens, clock: HandClock, cast: Cast
) -> None:
    at = At(make_desk(lockout=LockoutRules(by_address=0, by_account=0)), tokens, clock)
    assert set(await guess(at(HERE), cast.ada.username, 12)) == {400}
    await at.close()


def test_one_address_does_not_fill_the_queue(
    clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_AT_A_TIME", 2)
    lockout = Lockout(RULES, clock)
    with lockout.attempt(HERE, "a"), lockout.attempt(HERE, "b"):
        with pytest.raises(BusyAddressError), lockout.attempt(HERE, "c"):
            pass
        with lockout.attempt(THERE, "c"):
            pass
    with lockout.attempt(HERE, "c"):
        pass


def test_a_busy_server_counts_nothing(clock: HandClock) -> None:
    lockout = Lockout(LockoutRules(by_address=1, by_account=1), clock)
    for _ in range(3):
        with pytest.raises(TimeoutError), lockout.attempt(HERE, "a"):
            raise TimeoutError
    with lockout.attempt(HERE, "a") as attempt:
        attempt.failed()
    with pytest.raises(LockedOutError), lockout.attempt(HERE, "a"):
        pass


def test_a_failure_of_long_ago_is_forgotten(clock: HandClock) -> None:
    lockout = Lockout(LockoutRules(by_address=2, by_account=0), clock)
    for _ in range(3):
        with lockout.attempt(HERE, "a") as attempt:
            attempt.failed()
        clock.advance(1801)


class CountingHasher(PasswordHasher):
    """Argon2 that says what it was asked to check."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.checked: list[str] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self.checked.append(str(hash).rpartition("$")[0].rpartition("$")[0])
        return super().verify(hash, password)


@pytest.mark.parametrize("username", ["nobody@example.com", "no address", "ada@example.com"])
async def test_a_name_that_does_not_exist_costs_the_same_hash(
    db: Database, cast: Cast, username: str
) -> None:
    hasher = CountingHasher()
    passwords = Passwords(hasher)
    try:
        assert await People(db, passwords).by_password(username, "a guess") is None
    finally:
        passwords.close()
    assert hasher.checked == ["$argon2id$v=19$m=8,t=1,p=1"]


async def test_many_logins_at_a_time_leave_the_loop_free(
    at: At, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = 0
    logins = asyncio.gather(*(at(f"203.0.113.{n}").login(**right(cast.ada)) for n in range(10)))
    while not logins.done():
        turns += 1
        await asyncio.sleep(0)
    assert [answer.status_code for answer in logins.result()] == [200] * 10
    assert turns > 10
