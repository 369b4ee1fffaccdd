"""What a device makes of modules: checks, safe mode, Device OS part by part, assets, products."""

from hashlib import sha256

import pytest

from cyan.sim import oserrors
from cyan.sim.facts import State
from cyan.sim.images import read_image
from cyan.wire.describe.system import (
    BOOTLOADER,
    DEPENDENCIES,
    NCP_FIRMWARE,
    SYSTEM_PART,
    USER_PART,
    Asset,
    ModuleDependency,
)
from cyan.wire.messages.updates import UpdateStart, encode_update_start
from cyan.wire.module import (
    combine_modules,
    compress_module,
    encode_asset,
    encode_module,
)
from cyan.wire.module.values import seal
from tests.sim.updating import (
    BLINK,
    CHUNK,
    TOKEN,
    AnyWorld,
    call,
    describe,
    ended,
    error_of,
    hello,
    module_of,
    send_event,
    start_update,
    system_part,
    update,
    update_legacy,
    user_part,
)
from tests.sim.world import World, online_world

ARGON = 12
REAL = bytes(range(256)) * 8
"""The body of an application that cannot be run here."""
LOGO = Asset(sha256(b"logo").digest(), "logo.png")
SOUND = Asset(sha256(b"sound").digest(), "sound.wav")


def firmware_hash(world: AnyWorld) -> bytes | None:
    return module_of(describe(world), USER_PART).hash


def is_safe(world: AnyWorld) -> bool:
    return world.device.is_in_safe_mode


def told(world: World, since: int) -> list[bytes]:
    """Names and data of what was published."""
    return [
        value
        for message in world.cloud.messages()[since:]
        for value in (*(value for _, value in message.options), message.payload)
    ]


def test_a_real_application_shows_its_version_and_does_what_the_one_before_did() -> None:
    world = online_world()
    before = firmware_hash(world)
    update(world, user_part(REAL, product_version=12))
    assert firmware_hash(world) not in (None, before)
    assert hello(world).product_version == 12
    assert call(world, "led", "on") == 1


def test_a_module_for_another_platform_is_refused() -> None:
    world = online_world()
    assert error_of(update(world, user_part(platform_id=13))) == oserrors.INVALID_PLATFORM


def test_a_file_that_is_no_module_is_refused() -> None:
    world = online_world()
    assert error_of(update(world, b"no module" * 100)) == oserrors.MODULE_NOT_FOUND


def test_an_application_that_is_larger_than_its_place_is_refused() -> None:
    world = online_world()
    assert error_of(update(world, user_part(bytes(256 * 1024)))) == oserrors.INVALID_ADDRESS


def test_a_module_that_the_board_has_no_place_for_is_refused() -> None:
    world = online_world()
    radio = encode_module(REAL, platform_id=ARGON, function=NCP_FIRMWARE)
    assert error_of(update(world, radio)) == oserrors.UNSUPPORTED_MODULE


def test_a_compressed_application_is_unpacked() -> None:
    world = online_world()
    file = user_part(REAL)
    packed = compress_module(file)
    assert len(packed) < len(file)
    update(world, packed)
    assert ended(world) == [0]
    assert firmware_hash(world) == file[-38:-6]


def test_firmware_that_does_not_know_compression_refuses_it() -> None:
    world = online_world(platform="electron")
    needed = (ModuleDependency(SYSTEM_PART, 2, 2302),)
    packed = compress_module(user_part(REAL, platform_id=10, dependencies=needed))
    update_legacy(world, packed)
    assert ended(world) == [oserrors.UNSUPPORTED_MODULE]


def test_a_compressed_bootloader_is_refused() -> None:
    world = online_world()
    module = bytearray(encode_module(REAL, platform_id=ARGON, function=BOOTLOADER, index=0))
    module[9] |= 0x02
    assert error_of(update(world, seal(module))) == oserrors.UNSUPPORTED_MODULE


def test_a_system_part_needs_its_bootloader() -> None:
    world = online_world()
    file = system_part(6300, bootloader=4000)
    assert error_of(update(world, file)) == oserrors.DEPENDENCY_CHECK_FAILED


def test_an_image_that_does_not_fit_the_device_is_refused() -> None:
    world = online_world()
    broken = user_part(b"CYANSIM\x01{]")
    assert error_of(update(world, broken)) == oserrors.VALIDATION_FAILED


def test_an_application_that_needs_more_waits_in_safe_mode_for_one_part_after_the_other() -> None:
    world = online_world()
    before = len(world.cloud.heard)
    update(world, user_part(needs=6300))
    assert ended(world) == [0]
    assert world.device.state is State.ONLINE
    assert is_safe(world)
    assert b"spark/device/safemode" in told(world, before)
    user = module_of(describe(world), USER_PART)
    assert user.checked & ~user.passed == DEPENDENCIES
    assert call(world, "blink", "fast") is None

    part = system_part(6300, bootloader=3002)
    assert error_of(update(world, part)) == oserrors.DEPENDENCY_CHECK_FAILED
    world.run(5.0)
    boot = encode_module(
        REAL, platform_id=ARGON, function=BOOTLOADER, index=0, version=3002, start_address=0xF4000
    )
    update(world, boot)
    assert is_safe(world)
    assert module_of(describe(world), BOOTLOADER, 0).version == 3002
    before = len(world.cloud.heard)
    update(world, part)
    assert not is_safe(world)
    assert b"spark/device/safemode" not in told(world, before)
    assert hello(world).system_version == 6300
    assert hello(world).product_version == 3
    assert module_of(describe(world), USER_PART).is_valid
    assert call(world, "blink", "fast") == 2


def test_system_and_application_may_come_in_one_file() -> None:
    world = online_world()
    update(world, combine_modules([system_part(6300), user_part(needs=6300)]))
    assert ended(world) == [0]
    assert not is_safe(world)
    assert hello(world).system_version == 6300
    assert hello(world).product_version == 3


def test_another_device_os_has_its_own_ways() -> None:
    world = online_world(generation="5.4")
    assert world.device.board.generation.name == "5.4"
    update(world, system_part(6200))
    assert world.device.state is State.ONLINE
    assert world.device.board.generation.name == "6.2"
    assert world.handshakes == [False, False], "what the other has kept it cannot read"
    assert describe(world).system_version == 6200
    assert describe(world).platform_id is None, "it describes itself in protobuf now"


def test_an_application_without_its_assets_waits_in_safe_mode_until_the_last() -> None:
    world = online_world()
    file = user_part(assets=(LOGO, SOUND))
    update(world, file)
    assert is_safe(world)
    user = module_of(describe(world), USER_PART)
    assert {asset.name for asset in user.asset_dependencies} == {"logo.png", "sound.wav"}
    update(world, encode_asset("logo.png", b"logo"), module_function=9)
    assert is_safe(world)
    assert [asset.hash for asset in describe(world).assets] == [LOGO.hash]
    update(world, encode_asset("sound.wav", b"sound"), module_function=9)
    assert not is_safe(world)
    assert call(world, "blink", "fast") == 2
    assert ended(world) == [0, 0, 0]


def test_an_asset_that_has_no_room_is_refused_before_it_is_sent() -> None:
    world = online_world()
    start = UpdateStart(592 * 1024 + 1, CHUNK, bytes(32), module_function=9)
    answers = world.ask(lambda id_: encode_update_start(id_, TOKEN, start))
    assert error_of(answers) == oserrors.TOO_LARGE


def test_a_large_file_overwrites_the_assets_of_a_small_board() -> None:
    world = online_world()
    update(world, user_part(assets=(LOGO,)))
    update(world, encode_asset("logo.png", b"logo"), module_function=9)
    assert describe(world).assets
    start_update(world, bytes(600 * 1024))
    assert world.device.updater.firmware is not None
    assert not world.device.updater.firmware.is_complete


def test_firmware_that_knows_no_assets_refuses_them() -> None:
    world = online_world(generation="5.4")
    asset = encode_asset("logo.png", b"logo")
    assert error_of(update(world, asset, module_function=9)) == oserrors.UNSUPPORTED_MODULE


@pytest.mark.parametrize(("generation", "product_id"), [("3.0", 1234), ("6.2", ARGON)])
def test_a_product_id_is_told_by_firmware_that_compiles_it_in(
    generation: str, product_id: int
) -> None:
    world = online_world(generation=generation)
    version = world.device.board.generation.system_version
    update(world, user_part(needs=version, product_id=1234))
    assert (hello(world).product_id, hello(world).product_version) == (product_id, 3)


@pytest.mark.parametrize(("generation", "product_version"), [("4.2", 0xFFFF), ("6.2", 3)])
def test_safe_mode_tells_the_product_version_where_firmware_does(
    generation: str, product_version: int
) -> None:
    world = online_world(generation=generation)
    update(world, user_part(needs=7000))
    assert is_safe(world)
    assert hello(world).product_version == product_version


def test_what_came_by_an_update_survives_a_reset_into_safe_mode_and_back() -> None:
    world = online_world()
    update(world, user_part())
    for how, result in ((b"safe mode", None), (b"reboot", 2)):
        send_event(world, "spark/device/reset", how)
        world.run(5.0)
        assert world.device.state is State.ONLINE
        assert call(world, "blink", "fast") == result


def test_devices_with_the_same_image_share_it() -> None:
    worlds = [World(index=index) for index in range(2)]
    for world in worlds:
        world.run(0.5)
        update(world, bytes(bytearray(user_part())))
    first, second = (world.device.updater.firmware for world in worlds)
    assert first is not None
    assert second is not None
    assert first.body is second.body
    assert first.body is not None
    assert read_image(first.body).functions[0].name == BLINK.functions[0].name
