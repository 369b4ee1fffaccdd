"""Device OS: the module that suffices, the plan of a repair, the releases for clients."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from cyan.audit.store import audit_entry
from cyan.core.db.engine import Database
from cyan.firmware.deviceos import DeviceOs
from cyan.firmware.deviceosimport import Found, keep_modules
from cyan.firmware.deviceosmodel import NoReleaseError, UnknownReleaseError, release_order
from cyan.firmware.images import Images
from cyan.wire.describe import Module, ModuleDependency, SystemDescribe
from cyan.wire.describe.system import BOOTLOADER, SYSTEM_PART, USER_PART
from cyan.wire.module import parse_module
from tests.clock import HandClock
from tests.firmware.systems import (
    ARGON,
    BORON,
    ELECTRON,
    bootloader,
    make_bootloader,
    make_radio_stack,
    make_system,
    radio_stack,
    system,
)

OLD = ((BOOTLOADER, 0, 1000), (SYSTEM_PART, 1, 1512))
"""What a board has from the factory: function, index, version."""


@pytest.fixture
def deviceos(db: Database, clock: HandClock) -> DeviceOs:
    return DeviceOs(db, clock)


@pytest.fixture
def images(tmp_path: Path, clock: HandClock) -> Images:
    return Images(tmp_path, clock, reserve_bytes=0)


@pytest.fixture
def bring(deviceos: DeviceOs, images: Images) -> "Bring":
    return Bring(deviceos, images)


class Bring:
    """Imports modules."""

    def __init__(self, deviceos: DeviceOs, images: Images) -> None:
        self._deviceos = deviceos
        self._images = images

    def __call__(self, release: str, *modules: bytes) -> None:
        found = [Found("file", parse_module(data), release) for data in modules]
        self._deviceos.put_blocking(keep_modules(self._images, found))


def device(*needed: ModuleDependency, has: Iterable[tuple[int, int, int]] = OLD) -> SystemDescribe:
    """A board with an application that needs these modules."""
    modules = [Module(function=function, index=index, version=v) for function, index, v in has]
    application = Module(function=USER_PART, index=1, version=6, dependencies=needed)
    return SystemDescribe(modules=(*modules, application))


def steps(deviceos: DeviceOs, describe: SystemDescribe, platform_id: int = BORON) -> list[str]:
    plan = deviceos.plan_repair(describe, platform_id)
    assert plan.unavailable == ()
    return [f"{step.name} {step.version}" for step in plan.steps]


def test_the_oldest_module_that_suffices_is_found(deviceos: DeviceOs, bring: Bring) -> None:
    for version, release in ((5800, "5.8.0"), (6200, "6.2.0"), (4006, "4.0.2")):
        bring(release, make_system(version))
    for needed, found in ((5100, 5800), (5800, 5800), (5801, 6200)):
        module = deviceos.find_module(BORON, SYSTEM_PART, 1, needed)
        assert module is not None
        assert module.version == found
    assert deviceos.find_module(BORON, SYSTEM_PART, 1, 6201) is None
    assert deviceos.find_module(BORON, SYSTEM_PART, 2, 1) is None
    assert deviceos.find_module(ARGON, SYSTEM_PART, 1, 1) is None


def test_of_the_same_version_a_final_release_is_taken(deviceos: DeviceOs, bring: Bring) -> None:
    bring("6.2.0-rc.1", make_system(6200))
    bring("6.2.0", make_system(6200))
    module = deviceos.find_module(BORON, SYSTEM_PART, 1, 6200)
    assert module is not None
    assert module.release == "6.2.0"


def test_a_repair_begins_at_the_lowest_level(deviceos: DeviceOs, bring: Bring) -> None:
    bring(
        "6.2.0",
        make_system(6200, bootloader(2300), radio_stack(202)),
        make_bootloader(2300),
        make_radio_stack(202, bootloader(2300)),
    )
    has = (*OLD, (8, 0, 182))
    assert steps(deviceos, device(system(6000), has=has)) == [
        "boron bootloader 2300",
        "boron radio stack 202",
        "boron system part 1 6200",
    ]


def test_system_parts_come_in_the_order_of_their_index(deviceos: DeviceOs, bring: Bring) -> None:
    bring(
        "2.3.0",
        *(
            make_system(2301, *needed, platform_id=ELECTRON, index=index)
            for index, needed in (
                (1, (system(2301, 3),)),
                (2, (system(2301, 1),)),
                (3, (bootloader(1005),)),
            )
        ),
        make_bootloader(1005, platform_id=ELECTRON),
    )
    has = ((BOOTLOADER, 0, 7), *((SYSTEM_PART, index, 108) for index in (1, 2, 3)))
    # Part 1 needs part 3, so that 3 goes before it.
    assert steps(deviceos, device(system(2301, 2), has=has), ELECTRON) == [
        "electron bootloader 1005",
        "electron system part 3 2301",
        "electron system part 1 2301",
        "electron system part 2 2301",
    ]


def test_what_is_installed_already_is_not_sent(deviceos: DeviceOs, bring: Bring) -> None:
    bring("6.2.0", make_system(6200, bootloader(2300)), make_bootloader(2300))
    has = ((BOOTLOADER, 0, 2300), (SYSTEM_PART, 1, 1512))
    assert steps(deviceos, device(system(6000), has=has)) == ["boron system part 1 6200"]
    assert steps(deviceos, device(system(1500), has=has)) == []


def test_a_boot_loader_that_the_device_does_not_list_counts_as_good(
    deviceos: DeviceOs, bring: Bring
) -> None:
    bring("6.2.0", make_system(6200, bootloader(2300)))
    assert steps(deviceos, device(system(6000), has=OLD[1:])) == ["boron system part 1 6200"]


def test_a_later_need_of_the_same_module_wins(deviceos: DeviceOs, bring: Bring) -> None:
    bring("5.8.0", make_bootloader(2000))
    bring("6.2.0", make_bootloader(2300), make_system(6200, bootloader(2300)))
    needed = (bootloader(2000), system(6200))
    for order in (needed, needed[::-1]):
        assert steps(deviceos, device(*order)) == [
            "boron bootloader 2300",
            "boron system part 1 6200",
        ]


def test_what_is_not_here_is_named_and_what_needs_it_is_not_sent(
    deviceos: DeviceOs, bring: Bring
) -> None:
    bring("6.2.0", make_system(6200, bootloader(2300)), make_radio_stack(202))
    plan = deviceos.plan_repair(device(system(6000)), BORON)
    assert plan.steps == ()
    assert plan.unavailable == (bootloader(2300),)
    assert deviceos.plan_repair(device(system(9000)), BORON).unavailable == (system(9000),)


def test_modules_that_need_each_other_go_by_a_release_between(
    deviceos: DeviceOs, bring: Bring
) -> None:
    """As boot loaders, radio stacks and system parts of 1.0.0, 1.3.1 and 4.0.2 for the Boron do."""
    bring("4.0.2", make_system(4006, bootloader(1101), radio_stack(202)), make_bootloader(1101))
    bring("4.0.2", make_radio_stack(202, bootloader(501), system(1321)))
    has = ((BOOTLOADER, 0, 311), (SYSTEM_PART, 1, 1000), (8, 0, 182))
    plan = deviceos.plan_repair(device(system(3000), has=has), BORON)
    assert plan.steps == ()
    assert system(1321) in plan.unavailable
    bring("1.3.1", make_system(1321, bootloader(501)), make_bootloader(501))
    bring("1.4.0", make_system(1401, radio_stack(202)))
    assert steps(deviceos, device(system(3000), has=has)) == [
        "boron bootloader 1101",
        "boron system part 1 1321",
        "boron radio stack 202",
        "boron system part 1 4006",
    ]


def test_modules_that_need_each_other_alone_are_not_sent(deviceos: DeviceOs, bring: Bring) -> None:
    bring(
        "2.3.0",
        make_system(2301, system(2301, 2), platform_id=ELECTRON, index=1),
        make_system(2301, system(2301, 1), platform_id=ELECTRON, index=2),
    )
    has = ((SYSTEM_PART, 1, 108), (SYSTEM_PART, 2, 108))
    plan = deviceos.plan_repair(device(system(2301, 2), has=has), ELECTRON)
    assert plan.steps == ()
    assert plan.unavailable != ()


def test_a_tangle_of_releases_ends(deviceos: DeviceOs, bring: Bring) -> None:
    for version in range(1000, 1030):
        bring(
            f"1.0.{version - 1000}",
            *(
                make_system(version, *(system(version + 1, to) for to in (1, 2, 3)), index=index)
                for index in (1, 2, 3)
            ),
        )
    has = tuple((SYSTEM_PART, index, 1) for index in (1, 2, 3))
    plan = deviceos.plan_repair(device(system(1000, 1), has=has), BORON)
    assert plan.steps == ()
    assert plan.unavailable != ()


def test_a_device_that_needs_everything_is_told_what_is_here(
    deviceos: DeviceOs, bring: Bring
) -> None:
    bring("6.2.0", make_bootloader(2300))
    needed = [system(version, index) for version in range(1, 40) for index in range(1, 40)]
    plan = deviceos.plan_repair(device(bootloader(2300), *needed), BORON)
    assert [step.version for step in plan.steps] == [2300]
    assert len(plan.unavailable) > 1000


def test_releases_are_listed_newest_first_and_need_a_system(
    deviceos: DeviceOs, bring: Bring
) -> None:
    for version, release in ((5800, "5.8.0"), (6200, "6.2.0"), (6300, "6.3.0-rc.2")):
        bring(release, make_system(version))
    bring("6.1.0", make_bootloader(2200))
    bring("", make_system(7000))
    bring("6.2.0", make_system(6200, platform_id=ARGON))
    found = deviceos.list_releases(BORON)
    assert [(each.version, each.module_version) for each in found] == [
        ("6.3.0-rc.2", 6300),
        ("6.2.0", 6200),
        ("5.8.0", 5800),
    ]
    assert [each.version for each in deviceos.list_releases(BORON, 6200)] == ["6.2.0"]
    assert [each.platform_id for each in deviceos.get_releases("6.2.0")] == [ARGON, BORON]


@pytest.mark.parametrize("word", ["latest", "6.2.0", "v6.2.0", "6200"])
def test_a_release_is_found_by_any_of_its_names(
    deviceos: DeviceOs, bring: Bring, word: str
) -> None:
    for version, release in ((5800, "5.8.0"), (6200, "6.2.0"), (6300, "6.3.0-rc.2")):
        bring(release, make_system(version))
    assert [each.version for each in deviceos.get_releases(word, BORON)] == ["6.2.0"]


def test_where_no_release_is_final_the_latest_is_a_candidate(
    deviceos: DeviceOs, bring: Bring
) -> None:
    bring("6.3.0-rc.2", make_system(6300))
    bring("6.3.0-rc.10", make_system(6300))
    assert deviceos.get_releases("latest", BORON)[0].version == "6.3.0-rc.10"


@pytest.mark.parametrize("word", ["latest", "6.2.0", "6200", "99999999", "", "../x"])
def test_a_release_that_is_not_here_is_told_so(deviceos: DeviceOs, word: str) -> None:
    with pytest.raises(UnknownReleaseError, match="cyan firmware"):
        deviceos.get_releases(word, BORON)


def test_an_import_takes_the_place_of_the_same_module(deviceos: DeviceOs, bring: Bring) -> None:
    bring("6.2.0", make_system(6200))
    bring("6.2.0", make_system(6201))
    assert [module.version for module in deviceos.list_modules()] == [6201]


def test_files_of_modules_stay_as_long_as_their_rows(
    deviceos: DeviceOs, images: Images, bring: Bring, clock: HandClock
) -> None:
    images.needed_by(deviceos.needed_images)
    bring("6.2.0", make_system(6200))
    bring("5.8.0", make_system(5800), make_bootloader(2000))
    clock.advance(7200)
    assert asyncio.run(images.collect()) == 0
    assert deviceos.remove_blocking("5.8.0", ARGON) == 0
    assert deviceos.remove_blocking("5.8.0", BORON) == 2
    assert asyncio.run(images.collect()) == 2
    assert deviceos.remove_blocking("6.2.0") == 1
    assert deviceos.list_modules() == []


def test_what_the_operator_did_is_written_down(
    deviceos: DeviceOs, bring: Bring, db: Database
) -> None:
    bring("6.2.0", make_system(6200))
    deviceos.remove_blocking("6.2.0")
    found = [(row.action, row.subject) for row in db.rows(audit_entry.select())]
    assert found == [
        ("firmware.imported", "deviceos:6.2.0"),
        ("firmware.removed", "deviceos:6.2.0"),
    ]


def test_releases_are_ordered_as_versions_are() -> None:
    ordered = ["0.8.0-rc.9", "0.8.0-rc.27", "1.5.2", "4.0.0-beta.1", "4.0.0-rc.1", "4.0.0"]
    shuffled = [*ordered[3:], *ordered[:3]]
    assert sorted(shuffled, key=release_order) == ordered
    for wrong in ("6.2", "latest", "6.2.0.1", "v6.2.0", "6.2.0-", ""):
        with pytest.raises(NoReleaseError, match="is like 6"):
            release_order(wrong)
