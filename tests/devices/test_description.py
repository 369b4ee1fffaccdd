"""What devices say of themselves, stored and read (device-protocol.md §3.2 and 3.3)."""

import pytest

from cyan.core.db.engine import Database
from cyan.core.ports import DescribedDevice
from cyan.devices import description, registry
from cyan.devices.model import Device
from cyan.wire.describe import Module, SystemDescribe
from cyan.wire.describe.system import SYSTEM_PART, USER_PART
from tests.clock import HandClock
from tests.devices.world import device_id

ID = device_id(1)


@pytest.fixture(autouse=True)
def _registered(db: Database, clock: HandClock) -> None:
    registry.register_device(db, clock, ID)


def _hello(db: Database, at_ms: int, version: int | None = 6200) -> Device:
    db.write_blocking(
        lambda connection: description.store_hello(
            connection,
            ID,
            platform_id=13,
            product_id=13,
            product_version=7,
            system_version=version,
            at_ms=at_ms,
            ip_address="2001:db8::1",
        )
    )
    found = registry.find_device(db, ID)
    assert found is not None
    return found


def test_hello_is_kept_and_the_first_time_online_stays(db: Database) -> None:
    _hello(db, 1_000)
    device = _hello(db, 2_000)
    assert (device.platform_id, device.product_id, device.product_version) == (13, 13, 7)
    assert (device.system_version, device.last_ip_address) == (6200, "2001:db8::1")
    assert (device.first_online_at_ms, device.last_handshake_at_ms) == (1_000, 2_000)


def test_the_newest_application_describe_counts(db: Database) -> None:
    for functions, variables in ((("led", "réset"), {"temp": 9, "n": 2}), (("led",), {})):
        db.write_blocking(
            lambda connection, f=functions, v=variables: description.store_application(  # type: ignore[misc]
                connection, ID, f, v
            )
        )
        expected = DescribedDevice(functions=functions, variables=variables)
        assert description.described(db, ID) == expected


def test_a_device_that_said_nothing_has_nothing(db: Database) -> None:
    assert description.described(db, ID) == DescribedDevice()
    assert description.described(db, device_id(404)) == DescribedDevice()
    assert description.find_system(db, ID) is None


def _describe(db: Database, system: SystemDescribe, platform_id: int | None = 13) -> Device:
    db.write_blocking(
        lambda connection: description.store_system(connection, ID, system, platform_id)
    )
    return _stored(db)


def _stored(db: Database) -> Device:
    found = registry.find_device(db, ID)
    assert found is not None
    return found


def test_the_system_describe_is_kept_in_the_form_that_clients_read(db: Database) -> None:
    system = SystemDescribe(
        (Module(USER_PART, 1, 5, hash=b"\xa6" * 32), Module(SYSTEM_PART, 1, 2302)),
        imei="352753090000000",
        iccid="8" * 100,
        modem_firmware_version="",
    )
    device = _describe(db, system)
    assert description.find_system(db, ID) == {**system.to_json(13), "p": 13}
    assert (device.imei, device.modem_firmware) == ("352753090000000", None)
    assert device.iccid == "8" * 32
    assert device.application_hash == "a6" * 32
    assert description.find_application_hash(db, ID) == "a6" * 32


def test_firmware_that_says_no_version_in_hello_says_it_in_its_describe(db: Database) -> None:
    """device-protocol.md §3.2: Hello tells it since 3.0."""
    assert _hello(db, 1_000, None).system_version is None
    assert _describe(db, SystemDescribe((Module(SYSTEM_PART, 1, 1406),))).system_version == 1406
    assert _hello(db, 2_000, None).system_version == 1406
    assert _describe(db, SystemDescribe()).system_version == 1406
    assert _describe(db, SystemDescribe((Module(SYSTEM_PART, 1, 2302),))).system_version == 2302


def test_a_board_that_went_back_to_old_firmware_has_no_version_until_it_says_it(
    db: Database,
) -> None:
    assert _hello(db, 1_000, 3302).system_version == 3302
    assert _hello(db, 2_000, None).system_version is None


def test_the_sizes_of_hello_are_kept_and_those_of_old_firmware_stay(db: Database) -> None:
    _hello(db, 1_000, None)
    db.write_blocking(
        lambda connection: description.store_transfer_limits(connection, ID, max_binary_bytes=9)
    )
    db.write_blocking(
        lambda connection: description.store_transfer_limits(connection, ID, ota_chunk_bytes=256)
    )
    device = _hello(db, 2_000, None)
    assert (device.max_message_bytes, device.max_binary_bytes, device.ota_chunk_bytes) == (
        None,
        9,
        256,
    )
    db.write_blocking(
        lambda connection: description.store_hello(
            connection,
            ID,
            platform_id=13,
            product_id=13,
            product_version=7,
            system_version=6200,
            at_ms=3_000,
            ip_address="192.0.2.1",
            max_message_bytes=1152,
            max_binary_bytes=1_536_000,
            ota_chunk_bytes=512,
        )
    )
    device = _stored(db)
    assert (device.max_message_bytes, device.max_binary_bytes, device.ota_chunk_bytes) == (
        1152,
        1_536_000,
        512,
    )


def test_the_patch_of_a_wifi_chip_is_kept_and_cut(db: Database) -> None:
    db.write_blocking(
        lambda connection: description.store_patch_version(connection, ID, "1.28" + "x" * 100)
    )
    assert _stored(db).cc3000_patch_version == ("1.28" + "x" * 100)[:32]


UNFIT = SystemDescribe((Module(USER_PART, 1, 5, checked=30, passed=26),))


def test_a_describe_that_cannot_run_means_safe_mode_until_one_can(db: Database) -> None:
    assert not _stored(db).is_in_safe_mode
    assert _describe(db, UNFIT).is_in_safe_mode
    assert not _describe(db, SystemDescribe()).is_in_safe_mode


def _say_safe_mode(db: Database, at_ms: int) -> None:
    db.write_blocking(lambda connection: description.store_safe_mode(connection, ID, at_ms))
    assert _stored(db).is_in_safe_mode


def test_what_the_device_says_itself_lasts_until_its_next_hello(db: Database) -> None:
    _hello(db, 1_000)
    _say_safe_mode(db, 2_000)
    assert _describe(db, SystemDescribe()).is_in_safe_mode
    assert not _hello(db, 3_000).is_in_safe_mode


@pytest.mark.parametrize(("later_ms", "safe"), [(0, True), (60_000, True), (60_001, False)])
def test_a_reset_ends_safe_mode_unless_the_device_said_so_just_before(
    db: Database, later_ms: int, safe: bool
) -> None:
    _say_safe_mode(db, 2_000)
    db.write_blocking(lambda connection: description.store_reset(connection, ID, 2_000 + later_ms))
    assert _stored(db).is_in_safe_mode is safe


@pytest.mark.parametrize(
    ("functions", "variables", "safe"),
    [((), {}, True), (("led",), {}, False), ((), {"n": 2}, False)],
)
def test_an_application_with_something_to_offer_runs(
    db: Database, functions: tuple[str, ...], variables: dict[str, int], safe: bool
) -> None:
    _say_safe_mode(db, 2_000)
    db.write_blocking(
        lambda connection: description.store_application(connection, ID, functions, variables)
    )
    assert _stored(db).is_in_safe_mode is safe


def test_the_name_is_what_the_owner_calls_it(db: Database) -> None:
    assert description.find_name(db, ID) is None
    assert description.find_name(db, device_id(404)) is None
    registry.register_device(db, HandClock(), device_id(2), name="attic")
    assert description.find_name(db, device_id(2)) == "attic"
    assert description.find_application_hash(db, device_id(404)) is None


def test_an_update_switch_that_is_not_said_stays(db: Database) -> None:
    for enabled, forced, expected in (
        (None, None, (None, None)),
        (True, None, (True, None)),
        (None, False, (True, False)),
        (False, True, (False, True)),
        (None, None, (False, True)),
    ):
        db.write_blocking(
            lambda connection, e=enabled, f=forced: description.store_updates(  # type: ignore[misc]
                connection, ID, enabled=e, forced=f
            )
        )
        device = registry.find_device(db, ID)
        assert device is not None
        assert (device.updates_enabled, device.updates_forced) == expected
