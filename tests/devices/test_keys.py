"""Which key may be which device (device-protocol.md §1.4.5; DESIGN, nobody gets in by asking)."""

import asyncio

import pytest

from cyan.audit.store import list_entries
from cyan.core.db.engine import Database
from cyan.devices import registry
from cyan.devices.keys import (
    KEY_OF_ANOTHER_DEVICE,
    OPEN,
    REGISTERED,
    UNKNOWN_DEVICE,
    WRONG_KEY,
    Admitted,
    Refused,
    admit,
    find_by_key,
    fingerprint,
)
from tests.clock import HandClock
from tests.devices.world import device_id

KEY, OTHER_KEY = b"key of one device", b"key of another"


async def test_open_enrolment_pins_the_first_key_of_an_unknown_id(
    db: Database, clock: HandClock
) -> None:
    assert await admit(db, clock, device_id(1), KEY, OPEN) == Admitted(newly_pinned=True)
    key = registry.show_key(db, device_id(1))
    assert key is not None
    assert (key.public_key, key.pinned_at_ms) == (KEY, clock.now_ms())
    assert key.fingerprint == fingerprint(KEY)
    assert find_by_key(db, KEY) == device_id(1)
    entries = list_entries(db, subject=f"device:{device_id(1)}")
    assert [entry.action for entry in entries] == ["device.key_pinned", "device.registered"]
    assert {entry.actor for entry in entries} == {f"device:{device_id(1)}"}
    assert entries[0].detail == {"fingerprint": fingerprint(KEY)}


@pytest.mark.parametrize("enrolment", [REGISTERED, OPEN])
async def test_a_device_comes_in_again_with_its_key(
    db: Database, clock: HandClock, enrolment: str
) -> None:
    registry.register_device(db, clock, device_id(1), public_key=KEY)
    before = len(list_entries(db))
    assert await admit(db, clock, device_id(1), KEY, enrolment) == Admitted(newly_pinned=False)
    assert len(list_entries(db)) == before


async def test_a_registered_device_without_a_key_gets_the_first_one(
    db: Database, clock: HandClock
) -> None:
    registry.register_device(db, clock, device_id(1))
    assert await admit(db, clock, device_id(1), KEY, REGISTERED) == Admitted(newly_pinned=True)
    assert await admit(db, clock, device_id(1), OTHER_KEY, REGISTERED) == Refused(WRONG_KEY)


async def test_registered_enrolment_refuses_an_unknown_id(db: Database, clock: HandClock) -> None:
    assert await admit(db, clock, device_id(1), KEY, REGISTERED) == Refused(UNKNOWN_DEVICE)
    assert registry.list_devices(db) == []


@pytest.mark.parametrize("enrolment", [REGISTERED, OPEN])
async def test_a_pinned_device_refuses_another_key(
    db: Database, clock: HandClock, enrolment: str
) -> None:
    registry.register_device(db, clock, device_id(1), public_key=KEY)
    assert await admit(db, clock, device_id(1), OTHER_KEY, enrolment) == Refused(WRONG_KEY)
    assert find_by_key(db, OTHER_KEY) is None


@pytest.mark.parametrize("enrolment", [REGISTERED, OPEN])
@pytest.mark.parametrize("known", [True, False])
async def test_a_key_is_only_ever_one_device(
    db: Database, clock: HandClock, enrolment: str, known: bool
) -> None:
    """A device cannot say that it is another one, not even one that has no key yet."""
    registry.register_device(db, clock, device_id(1), public_key=KEY)
    if known:
        registry.register_device(db, clock, device_id(2))
    answer = await admit(db, clock, device_id(2), KEY, enrolment)
    assert answer == Refused(KEY_OF_ANOTHER_DEVICE)
    assert find_by_key(db, KEY) == device_id(1)


async def test_of_two_handshakes_at_once_one_key_is_pinned(db: Database, clock: HandClock) -> None:
    answers = await asyncio.gather(
        admit(db, clock, device_id(1), KEY, OPEN), admit(db, clock, device_id(1), OTHER_KEY, OPEN)
    )
    assert sorted(answers, key=str) == [Admitted(newly_pinned=True), Refused(WRONG_KEY)]


async def test_the_same_device_twice_at_once_is_pinned_once(db: Database, clock: HandClock) -> None:
    answers = await asyncio.gather(
        admit(db, clock, device_id(1), KEY, OPEN), admit(db, clock, device_id(1), KEY, OPEN)
    )
    assert sorted(answers, key=str) == [Admitted(newly_pinned=False), Admitted(newly_pinned=True)]


async def test_a_forgotten_key_makes_room_for_the_next(db: Database, clock: HandClock) -> None:
    registry.register_device(db, clock, device_id(1), public_key=KEY)
    registry.forget_key(db, clock, device_id(1))
    assert registry.show_key(db, device_id(1)) is None
    newest = list_entries(db)[0]
    assert (newest.actor, newest.action) == ("operator", "device.key_forgotten")
    assert newest.detail == {"fingerprint": fingerprint(KEY)}
    answer = await admit(db, clock, device_id(1), OTHER_KEY, REGISTERED)
    assert answer == Admitted(newly_pinned=True)


def test_a_fingerprint_is_the_sha256_of_the_key() -> None:
    """FIPS 180-2, the test vector for `abc`."""
    assert fingerprint(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
