"""Which module a device in safe mode gets next, and when nothing more is tried."""

from structlog.testing import capture_logs

from cyan.core.ports import DeviceRefusedError
from cyan.devices.ownership import Ownership
from cyan.firmware.deviceos import DeviceOs
from cyan.firmware.deviceosmodel import SystemModule
from cyan.firmware.images import KeptImage
from cyan.firmware.model import Cause, ModuleGoal, State
from cyan.firmware.repair import FAILED_WITHIN_MS, MAX_FAILED, Repair
from cyan.wire.describe import Module, ModuleDependency, SystemDescribe
from cyan.wire.describe.system import BOOTLOADER, SYSTEM_PART, USER_PART
from tests.firmware.boards import fail_the_check
from tests.firmware.systems import bootloader, system
from tests.firmware.world import BORON, LAMP, Works, make_application

UNFIT = SystemDescribe(
    (
        Module(BOOTLOADER, 0, 1000),
        Module(SYSTEM_PART, 1, 5400),
        Module(USER_PART, 1, 6, dependencies=(system(6200),)),
    )
)


def imported(function: int, index: int, version: int, *needed: ModuleDependency) -> SystemModule:
    name = KeptImage(f"{version:064x}", 1000 + version)
    return SystemModule(BORON, "6.2.0", function, index, version, name, 0, needed)


def make_repair(works: Works, *modules: SystemModule) -> Repair:
    deviceos = DeviceOs(works.db, works.clock)
    deviceos.put_blocking(modules)
    ownership = Ownership(works.db)
    return Repair(works.db, works.clock, works.records, deviceos, ownership, works.means.emit)


async def test_the_lowest_level_comes_first(works: Works) -> None:
    works.board()
    repair = make_repair(
        works, imported(SYSTEM_PART, 1, 6200, bootloader(3000)), imported(BOOTLOADER, 0, 3000)
    )
    new = await repair.next(LAMP, UNFIT)
    assert new is not None
    assert new.cause is Cause.REPAIR
    assert new.goal == ModuleGoal(function=BOOTLOADER, index=0, version=3000)
    assert (new.image_sha256, new.size_bytes) == (f"{3000:064x}", 4000)
    told = ("spark/safe-mode-updater/updating", b"0", works.ada.user_id)
    assert told in works.events


async def test_what_the_operator_has_not_imported_is_logged(works: Works) -> None:
    works.board()
    with capture_logs() as lines:
        assert await make_repair(works).next(LAMP, UNFIT) is None
    (line,) = (each for each in lines if each["event"] == "repair.modules_missing")
    assert line["missing"] == [f"function {SYSTEM_PART} index 1 version 6200"]
    assert works.events == []


async def test_a_device_that_nothing_helps_is_left_alone_until_somebody_flashes_it(
    works: Works,
) -> None:
    board = works.board()
    repair = make_repair(works, imported(SYSTEM_PART, 1, 6200))
    for _ in range(MAX_FAILED):
        assert await repair.next(LAMP, UNFIT) is not None
        board.acts.append(fail_the_check(DeviceRefusedError("no", -1340)))
        failed = await works.ended(await works.flash(make_application(), Cause.REPAIR))
        assert failed.state is State.FAILED
    with capture_logs() as lines:
        assert await repair.next(LAMP, UNFIT) is None
    assert [each["event"] for each in lines] == ["repair.given_up"]
    works.clock.advance(1)
    await works.ended(await works.flash(make_application()))
    assert await repair.next(LAMP, UNFIT) is not None


async def test_after_a_day_it_is_tried_again(works: Works) -> None:
    board = works.board()
    repair = make_repair(works, imported(SYSTEM_PART, 1, 6200))
    for _ in range(MAX_FAILED):
        board.acts.append(fail_the_check(DeviceRefusedError("no", -1340)))
        await works.ended(await works.flash(make_application(), Cause.REPAIR))
    works.clock.advance(FAILED_WITHIN_MS / 1000 + 1)
    assert await repair.next(LAMP, UNFIT) is not None


async def test_a_device_that_nobody_knows_gets_nothing(works: Works) -> None:
    repair = make_repair(works, imported(SYSTEM_PART, 1, 6200))
    assert await repair.next(LAMP, UNFIT) is None
