"""Ids, the vault and the bus."""

import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from cyan.core.bus import Bus
from cyan.core.ids import (
    MalformedDeviceIdError,
    is_device_id,
    new_object_id,
    new_token,
    parse_device_id,
)
from cyan.core.secrets import KEY_FILE, SealBrokenError, Vault, open_vault, write_private


def test_a_device_id_is_read_in_any_case_and_kept_in_one() -> None:
    """Row 38: `[0-9a-f]{24}`, case-insensitive, stored lower-case."""
    assert parse_device_id(" 0123456789ABCDEF01234567\n") == "0123456789abcdef01234567"
    assert is_device_id("0123456789ABCDEF01234567")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0123456789abcdef0123456",
        "0123456789abcdef012345678",
        "0123456789abcdef0123456g",
        "0123456789abcdef01234567\nx",
        "٠" * 24,
    ],
)
def test_what_is_no_device_id_is_refused(text: str) -> None:
    """Row 38."""
    with pytest.raises(MalformedDeviceIdError, match="24 hexadecimal digits"):
        parse_device_id(text)
    assert not is_device_id(text)


def test_new_ids_and_tokens_are_hex_and_all_different() -> None:
    assert len({new_object_id() for _ in range(1000)}) == 1000
    assert {len(new_object_id()), len(new_token())} == {24, 40}
    int(new_token(), 16)


def test_what_is_sealed_opens_again_with_the_same_purpose_only() -> None:
    vault = Vault(bytes(32))
    sealed = vault.seal(b"session keys", b"session:1")
    assert vault.open(sealed, b"session:1") == b"session keys"
    assert b"session keys" not in sealed
    assert vault.seal(b"session keys", b"session:1") != sealed
    for broken, purpose in (
        (sealed, b"session:2"),
        (sealed[:-1], b"session:1"),
        (sealed[:5], b"session:1"),
        (b"", b"session:1"),
        (bytes((sealed[0] ^ 1,)) + sealed[1:], b"session:1"),
    ):
        with pytest.raises(SealBrokenError):
            vault.open(broken, purpose)
    with pytest.raises(SealBrokenError):
        Vault(b"\1" * 32).open(sealed, b"session:1")


def test_the_key_of_a_data_folder_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    sealed = open_vault(tmp_path).seal(b"value", b"purpose")
    assert open_vault(tmp_path).open(sealed, b"purpose") == b"value"
    key = tmp_path / KEY_FILE
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_a_damaged_key_is_told_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_bytes(b"short")
    with pytest.raises(SealBrokenError, match=KEY_FILE):
        open_vault(tmp_path)
    assert (tmp_path / KEY_FILE).read_bytes() == b"short"


def test_a_private_file_is_written_whole_even_over_a_leftover(tmp_path: Path) -> None:
    (tmp_path / "key.new").write_bytes(b"left by a crash")
    write_private(tmp_path / "key", b"content")
    assert (tmp_path / "key").read_bytes() == b"content"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


@dataclass(frozen=True)
class Told:
    what: str


@dataclass(frozen=True)
class ToldMore(Told):
    pass


def test_a_fact_reaches_the_handlers_of_its_own_type() -> None:
    bus, seen = Bus(), list[str]()
    bus.subscribe(Told, lambda fact: seen.append(f"one {fact.what}"))
    bus.subscribe(Told, lambda fact: seen.append(f"two {fact.what}"))
    bus.publish(Told("a"))
    bus.publish(ToldMore("b"))
    bus.publish("nobody listens")
    assert seen == ["one a", "two a"]


def test_a_handler_that_fails_hurts_neither_others_nor_the_caller() -> None:
    bus, seen = Bus(), list[str]()

    def fail(fact: Told) -> None:
        raise ValueError(fact.what)

    bus.subscribe(Told, fail)
    bus.subscribe(Told, lambda fact: seen.append(fact.what))
    bus.publish(Told("a"))
    assert seen == ["a"]
