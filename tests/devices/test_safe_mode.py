"""Whether a device can run its application, by what it says of its modules."""

import pytest

from cyan.devices.safemode import is_safe_mode, missing_assets, missing_modules
from cyan.wire.describe import Asset, Module, ModuleDependency, SystemDescribe, decode_describe
from cyan.wire.describe.system import (
    BACKUP,
    BOOTLOADER,
    FACTORY,
    NO_FUNCTION,
    RADIO_STACK,
    SYSTEM_PART,
    USER_PART,
)
from cyan.wire.messages import SYSTEM

# udp-safe-mode.log: Device OS 6.2.0 posing as an Argon with system 5600 and an application for
# 6200. All checks are passed, it says.
CAPTURED = bytes.fromhex(
    "0a17080218981128808003351e0000003d1e00000058848003"
    "0a200804100118e02b28808029351e0000003d1e0000004a05080218981158848029"
    "0a4308051001180628808010351e0000003d1e0000004220"
    "0000000000000000000000000000000000000000000000000000000000000000"
    "4a070804100118b83058848010"
)
NEEDED = ModuleDependency(SYSTEM_PART, 1, 4200)
APPLICATION = Module(USER_PART, 2, 6, dependencies=(NEEDED,))


def system(version: int, index: int = 1) -> Module:
    return Module(SYSTEM_PART, index, version)


def test_captured_firmware_in_safe_mode_is_recognised_though_it_marks_nothing() -> None:
    (describe,) = decode_describe(SYSTEM, 42, CAPTURED)
    assert isinstance(describe, SystemDescribe)
    assert all(module.is_valid for module in describe.modules)
    assert missing_modules(describe) == (ModuleDependency(SYSTEM_PART, 1, 6200),)
    assert is_safe_mode(describe)


def test_captured_firmware_that_runs_is_not_in_safe_mode() -> None:
    modules = (Module(BOOTLOADER, 0, 2200), Module(SYSTEM_PART, 1, 6200), APPLICATION)
    assert not is_safe_mode(SystemDescribe(modules))


@pytest.mark.parametrize(("version", "safe"), [(4199, True), (4200, False), (6200, False)])
def test_a_newer_system_than_needed_will_do(version: int, safe: bool) -> None:
    assert is_safe_mode(SystemDescribe((system(version), APPLICATION))) is safe


def test_a_part_of_the_system_that_is_not_there_is_missing() -> None:
    application = Module(USER_PART, 1, 5, dependencies=(ModuleDependency(SYSTEM_PART, 3, 207),))
    describe = SystemDescribe((system(207, 1), system(207, 2), application))
    assert missing_modules(describe) == application.dependencies


@pytest.mark.parametrize("function", [BOOTLOADER, RADIO_STACK])
def test_other_modules_that_are_not_told_are_not_taken_for_missing(function: int) -> None:
    part = Module(SYSTEM_PART, 1, 4200, dependencies=(ModuleDependency(function, 0, 1000),))
    assert not is_safe_mode(SystemDescribe((part, APPLICATION)))
    told = Module(function, 0, 999)
    assert missing_modules(SystemDescribe((told, part, APPLICATION))) == part.dependencies


def test_a_system_of_one_piece_has_no_parts_to_miss() -> None:
    assert not is_safe_mode(SystemDescribe((APPLICATION,)))


def test_an_empty_place_for_a_dependency_asks_for_nothing() -> None:
    module = Module(SYSTEM_PART, 1, 1, dependencies=(ModuleDependency(NO_FUNCTION, 0, 0),))
    assert not is_safe_mode(SystemDescribe((module,)))


def test_what_two_modules_need_is_missing_once() -> None:
    need = ModuleDependency(BOOTLOADER, 0, 2)
    modules = (
        Module(BOOTLOADER, 0, 1),
        Module(SYSTEM_PART, 1, 9, dependencies=(need,)),
        Module(SYSTEM_PART, 2, 9, dependencies=(need,)),
    )
    assert missing_modules(SystemDescribe(modules)) == (need,)


def test_what_the_device_marks_itself_counts_without_a_dependency_in_sight() -> None:
    """The example of device-protocol.md §3.3.3: bit 4 is missing in `vv`."""
    marked = Module(USER_PART, 2, 6, checked=30, passed=26)
    assert is_safe_mode(SystemDescribe((marked,)))


@pytest.mark.parametrize(
    "module",
    [
        Module(USER_PART, 2, 6, checked=30, passed=30),
        Module(USER_PART, 2, 6, checked=30, passed=14),
        Module(BOOTLOADER, 0, 1, checked=30, passed=26),
        Module(USER_PART, 2, 6, checked=30, passed=26, store=FACTORY),
        Module(USER_PART, 2, 6, dependencies=(NEEDED,), store=BACKUP),
    ],
)
def test_neither_other_checks_nor_old_images_stop_an_application(module: Module) -> None:
    assert not is_safe_mode(SystemDescribe((system(1), module)))


def test_an_asset_that_the_application_needs_and_has_not_is_missing() -> None:
    """device-protocol.md §5.5: since Device OS 5.5."""
    here, away = Asset(b"h" * 32, "here.txt", 5), Asset(b"a" * 32, "away.txt", 5)
    application = Module(USER_PART, 1, 5, asset_dependencies=(here, away))
    describe = SystemDescribe((application,), assets=(here,))
    assert missing_assets(describe) == (away,)
    assert is_safe_mode(describe)
    assert not is_safe_mode(SystemDescribe((application,), assets=(here, away)))
