"""What devices say of themselves, stored and read (device-protocol.md §3.2 and 3.3)."""

import pytest

from cyan.core.db.engine import Database
from cyan.core.ports import DescribedDevice
from cyan.devices import description, registry
from cyan.devices.model import Device, release_of
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


def test_the_system_describe_is_kept_whole(db: Database) -> None:
    system: dict[str, object] = {
        "p": 13,
        "imei": "352753090000000",
        "iccid": "8" * 1000,
        "cellfw": "",
        "m": [{"f": "u", "n": "1", "vc": 30, "vv": 30, "d": [{"f": "s", "n": "1", "v": 6200}]}],
    }
    db.write_blocking(lambda connection: description.store_system(connection, ID, system))
    assert description.find_system(db, ID) == system
    device = registry.find_device(db, ID)
    assert device is not None
    assert (device.imei, device.modem_firmware) == ("352753090000000", None)
    assert device.iccid == "8" * 32


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


@pytest.mark.parametrize(
    ("modules", "safe"),
    [
        # The example of device-protocol.md §3.3.3: bit 4 is missing, a dependency is not met.
        ([{"l": "m", "vc": 30, "vv": 26, "f": "u", "n": "2"}], True),
        ([{"l": "m", "vc": 30, "vv": 30, "f": "u", "n": "2"}], False),
        # Neither an old image in the factory slot nor a bootloader stops the application.
        ([{"l": "f", "vc": 30, "vv": 26, "f": "u", "n": "2"}], False),
        ([{"l": "m", "vc": 30, "vv": 26, "f": "b", "n": "0"}], False),
        ([{"l": "m", "vc": 30, "vv": 14, "f": "u", "n": "2"}], False),
        ([], False),
        ("nonsense", False),
        ([None, 5, {"f": "u"}, {"f": "u", "vc": "x", "vv": []}, {"f": ["u"]}], False),
    ],
)
def test_safe_mode_is_read_from_the_modules(modules: object, safe: bool) -> None:
    assert description.is_safe_mode({"p": 13, "m": modules}) is safe


@pytest.mark.parametrize(
    ("number", "release"),
    [(6200, "6.2.0"), (6304, "6.3.4"), (5800, "5.8.0"), (4200, "4.2.0"), (3103, "3.1.0")],
)
def test_a_system_module_number_reads_as_a_release(number: int, release: str) -> None:
    """device-protocol.md §3.2; 3103 from the version list of Device OS."""
    assert release_of(number) == release
