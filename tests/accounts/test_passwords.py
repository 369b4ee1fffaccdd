"""Checking passwords."""

import asyncio

import pytest

from cyan.accounts import passwords as module
from cyan.accounts.passwords import Passwords, TooManyLoginsError


async def test_only_the_right_password_matches(passwords: Passwords) -> None:
    stored = passwords.hash_blocking("right")
    assert await passwords.matches(stored, "right")
    assert not await passwords.matches(stored, "wrong")


@pytest.mark.parametrize("password", ["", "x", "the password of no account"])
async def test_no_password_is_that_of_no_account(passwords: Passwords, password: str) -> None:
    assert not await passwords.matches(None, password)


async def test_a_damaged_hash_matches_nothing(passwords: Passwords) -> None:
    assert not await passwords.matches("$argon2id$nonsense", "x")


async def test_more_than_can_wait_are_refused_and_the_others_served(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    stored = passwords.hash_blocking("right")
    outcomes = await asyncio.gather(
        *(passwords.matches(stored, "right") for _ in range(5)), return_exceptions=True
    )
    assert outcomes.count(True) == 3
    assert [type(outcome) for outcome in outcomes].count(TooManyLoginsError) == 2
    assert await passwords.matches(stored, "right")
