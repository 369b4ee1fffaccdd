"""What the operator does from the command line: register, list, keys."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cyan.audit.store import list_entries
from cyan.core.db.engine import Database
from cyan.devices import registry
from cyan.devices.keys import KeyInUseError
from cyan.devices.model import InvalidDeviceNameError, UnknownDeviceError
from cyan.devices.naming import NameTakenError
from tests.cast import Cast
from tests.clock import HandClock
from tests.devices.world import device_id


def test_a_device_is_registered_with_name_owner_and_key(
    db: Database, clock: HandClock, cast: Cast
) -> None:
    made = registry.register_device(
        db, clock, device_id(1), name="attic", owner=cast.ada.user_id, public_key=b"key"
    )
    assert (made.id, made.name, made.owner_id) == (device_id(1), "attic", cast.ada.user_id)
    assert made.claimed_at_ms == made.registered_at_ms == clock.now_ms()
    assert registry.find_device(db, device_id(1)) == made
    entries = list_entries(db, subject=f"device:{device_id(1)}")
    assert [(entry.actor, entry.action) for entry in entries] == [
        ("operator", "device.key_pinned"),
        ("operator", "device.registered"),
    ]


def test_an_owned_device_without_a_name_gets_one_and_an_unowned_one_does_not(
    db: Database, clock: HandClock, cast: Cast
) -> None:
    owned = registry.register_device(db, clock, device_id(1), owner=cast.ada.user_id)
    assert owned.name
    assert registry.register_device(db, clock, device_id(2)).name is None


def test_the_operator_may_go_beyond_the_limit_of_a_plan(
    db: Database, clock: HandClock, cast: Cast
) -> None:
    for number in range(101):
        registry.register_device(db, clock, device_id(number), owner=cast.ada.user_id)
    assert len(registry.list_devices(db, cast.ada.user_id)) == 101


def test_devices_are_listed_by_id_and_by_owner(db: Database, clock: HandClock, cast: Cast) -> None:
    for number, owner in ((2, cast.ada.user_id), (1, cast.cleo.user_id), (3, None)):
        registry.register_device(db, clock, device_id(number), owner=owner)
    listed = [device.id for device in registry.list_devices(db)]
    assert listed == [device_id(1), device_id(2), device_id(3)]
    assert [device.id for device in registry.list_devices(db, cast.ada.user_id)] == [device_id(2)]


def test_an_id_is_registered_once(db: Database, clock: HandClock) -> None:
    registry.register_device(db, clock, device_id(1), name="first")
    with pytest.raises(registry.AlreadyRegisteredError):
        registry.register_device(db, clock, device_id(1), name="second")
    found = registry.find_device(db, device_id(1))
    assert found is not None
    assert found.name == "first"


def test_a_name_that_the_owner_uses_is_refused(db: Database, clock: HandClock, cast: Cast) -> None:
    registry.register_device(db, clock, device_id(1), name="attic", owner=cast.ada.user_id)
    with pytest.raises(NameTakenError):
        registry.register_device(db, clock, device_id(2), name="attic", owner=cast.ada.user_id)
    with pytest.raises(InvalidDeviceNameError):
        registry.register_device(db, clock, device_id(2), name="")
    assert registry.find_device(db, device_id(2)) is None


def test_a_key_of_another_device_is_refused_and_nothing_is_registered(
    db: Database, clock: HandClock
) -> None:
    registry.register_device(db, clock, device_id(1), public_key=b"key")
    with pytest.raises(KeyInUseError):
        registry.register_device(db, clock, device_id(2), public_key=b"key")
    assert registry.find_device(db, device_id(2)) is None


def test_the_key_of_an_unknown_device_is_not_found(db: Database, clock: HandClock) -> None:
    with pytest.raises(UnknownDeviceError):
        registry.show_key(db, device_id(1))
    with pytest.raises(UnknownDeviceError):
        registry.forget_key(db, clock, device_id(1))
    assert list_entries(db) == []


def test_a_key_file_is_read_as_pem_as_der_and_padded() -> None:
    for public in (
        generate_private_key(SECP256R1()).public_key(),
        generate_rsa(65537, 1024).public_key(),
        generate_rsa(65537, 2048).public_key(),
    ):
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for content in (der, pem, der + b"\xff" * 200, der + b"\0" * 37):
            assert registry.read_public_key(content) == der


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x30",
        b"\x30\x84\xff\xff\xff\xff",
        b"no key",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        b"\x30" * 5000,
        generate_private_key(SECP384R1())
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    ],
)
def test_what_is_no_key_of_a_device_is_refused(content: bytes) -> None:
    with pytest.raises(registry.MalformedKeyError):
        registry.read_public_key(content)
