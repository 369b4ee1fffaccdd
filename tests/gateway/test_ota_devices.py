"""Files to whole devices, over both transports and by both protocols."""

import asyncio
import hashlib
from collections.abc import Callable

import pytest

from cyan.core.ids import DeviceId
from cyan.core.ports import (
    DeviceBusyError,
    DeviceOfflineError,
    DeviceRefusedError,
    UpdateCancelledError,
    UpdateInterruptedError,
    UpdateLimits,
    UpdateStage,
)
from cyan.sim.facts import State, UpdateBegan
from tests.gateway.firmware import Firmware
from tests.gateway.ota import Sending, image_of, installed, make_file
from tests.gateway.stream_firmware import StreamFirmware
from tests.gateway.world import World, metric

ARGON = 12
ELECTRON = 10
PHOTON = 6

AnyFirmware = Firmware | StreamFirmware


async def connected(world: World, device: AnyFirmware) -> AnyFirmware:
    for _ in range(20):
        device.on_time(world.clock.monotonic())
        await world.advance(0.5)
        if device.device.state is State.ONLINE:
            return device
    raise AssertionError("it does not connect")


def current(world: World) -> tuple[AnyFirmware, int]:
    return Firmware(world, platform="argon"), ARGON


def legacy_udp(world: World) -> tuple[AnyFirmware, int]:
    return Firmware(world, platform="electron"), ELECTRON


def legacy_tcp(world: World) -> tuple[AnyFirmware, int]:
    return StreamFirmware(world), PHOTON


KINDS = [current, legacy_udp, legacy_tcp]
Kind = Callable[[World], tuple[AnyFirmware, int]]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_file_arrives_and_is_put_to_use(world: World, kind: Kind) -> None:
    device, platform_id = kind(world)
    await connected(world, device)
    done = metric("cyan_updates_ended_total", outcome="done")
    data = make_file(100_000, platform_id=platform_id)
    sending = Sending(world, device.device_id, data)
    assert await sending.end() is None
    assert installed(device.facts) == [hashlib.sha256(data).digest()]
    stages = list(dict.fromkeys(stage for stage, _ in sending.progress))
    assert stages == [UpdateStage.ASKING, UpdateStage.SENDING, UpdateStage.CHECKING]
    amounts = [amount for _, amount in sending.progress]
    assert amounts == sorted(amounts)
    assert amounts[-1] == len(data)
    assert metric("cyan_updates_ended_total", outcome="done") == done + 1
    assert metric("cyan_updates_running") == 0
    for _ in range(20):
        await world.advance(0.5)
    assert device.device.state is State.ONLINE
    described = world.gateway.online_link(device.device_id)
    assert described is not None


@pytest.mark.parametrize("kind", KINDS)
async def test_other_traffic_goes_on_meanwhile(slow_world: World, kind: Kind) -> None:
    device, platform_id = kind(slow_world)
    await connected(slow_world, device)
    sending = Sending(slow_world, device.device_id, make_file(100_000, platform_id=platform_id))
    await sending.until(UpdateStage.SENDING, 10_000)
    await slow_world.links.ping(device.device_id)
    assert sending.stage is UpdateStage.SENDING
    assert await sending.end() is None


async def test_without_a_connection_nothing_is_sent(world: World) -> None:
    sending = Sending(world, DeviceId("0" * 24), b"x")
    assert isinstance(await sending.end(), DeviceOfflineError)
    assert world.gateway.updates.update_limits(DeviceId("0" * 24)) is None
    assert not world.gateway.updates.cancel_update(DeviceId("0" * 24))


@pytest.mark.parametrize("kind", KINDS)
async def test_one_file_at_a_time_for_a_device(world: World, kind: Kind) -> None:
    device, platform_id = kind(world)
    await connected(world, device)
    first = Sending(world, device.device_id, make_file(platform_id=platform_id))
    second = Sending(world, device.device_id, make_file(platform_id=platform_id, seed=2))
    assert isinstance(await second.end(), DeviceBusyError)
    assert await first.end() is None
    assert len(installed(device.facts)) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_an_empty_file_is_refused_before_a_byte_is_sent(world: World, kind: Kind) -> None:
    device, _ = kind(world)
    await connected(world, device)
    assert isinstance(await Sending(world, device.device_id, b"").end(), DeviceRefusedError)
    assert not [fact for fact in device.facts if isinstance(fact, UpdateBegan)]


async def test_a_file_for_another_platform_is_refused_by_the_device_with_its_code(
    world: World,
) -> None:
    device = await connected(world, Firmware(world, platform="argon"))
    error = await Sending(world, device.device_id, make_file(platform_id=PHOTON)).end()
    assert isinstance(error, DeviceRefusedError)
    assert error.code is not None
    assert error.code < 0
    assert installed(device.facts) == []


async def test_what_a_device_takes_is_known_from_its_hello(world: World) -> None:
    argon = await connected(world, Firmware(world, platform="argon"))
    assert world.gateway.updates.update_limits(argon.device_id) == UpdateLimits(
        is_current=True, chunk_bytes=512, max_image_bytes=1_536_000, takes_compressed=True
    )
    photon = await connected(world, StreamFirmware(world, 1))
    limits = world.gateway.updates.update_limits(photon.device_id)
    assert limits is not None
    assert not limits.is_current
    assert not limits.takes_compressed


async def test_a_cancelled_update_ends_on_the_device_too_and_goes_on_later(
    slow_world: World,
) -> None:
    device = await connected(slow_world, Firmware(slow_world, platform="argon"))
    data = make_file(150_000, platform_id=ARGON)
    sending = Sending(slow_world, device.device_id, data)
    await sending.until(UpdateStage.SENDING, 20_000)
    assert slow_world.gateway.updates.cancel_update(device.device_id)
    assert isinstance(await sending.end(), UpdateCancelledError)
    await slow_world.advance(1)
    assert device.device.state is State.ONLINE
    assert await Sending(slow_world, device.device_id, data).end() is None
    begun = [fact for fact in device.facts if isinstance(fact, UpdateBegan)]
    assert begun[0].offset_bytes == 0
    assert begun[1].offset_bytes >= 20_000


@pytest.mark.parametrize("kind", [legacy_udp, legacy_tcp])
async def test_a_board_of_the_legacy_protocol_takes_another_file_after_a_cancelled_one(
    slow_world: World, kind: Kind
) -> None:
    device, platform_id = kind(slow_world)
    await connected(slow_world, device)
    large = Sending(slow_world, device.device_id, make_file(60_000, platform_id=platform_id))
    await large.until(UpdateStage.SENDING, 20_000)
    assert slow_world.gateway.updates.cancel_update(device.device_id)
    assert isinstance(await large.end(), UpdateCancelledError)
    await slow_world.advance(1)
    await connected(slow_world, device)
    small = make_file(2_000, platform_id=platform_id, seed=2)
    assert await Sending(slow_world, device.device_id, small).end() is None
    assert installed(device.facts) == [hashlib.sha256(small).digest()]


@pytest.mark.parametrize("kind", [legacy_udp, legacy_tcp])
async def test_a_board_of_the_legacy_protocol_that_has_it_all_is_left_to_restart(
    slow_world: World, kind: Kind
) -> None:
    device, platform_id = kind(slow_world)
    await connected(slow_world, device)
    data = make_file(10_000, platform_id=platform_id)
    cancelled: list[bool] = []

    def on_progress(stage: UpdateStage, sent: int) -> None:
        if stage is UpdateStage.CHECKING and not cancelled:
            cancelled.append(slow_world.gateway.updates.cancel_update(device.device_id))
            link = slow_world.gateway.online_link(device.device_id)
            assert link is not None
            assert link.ended is None

    image = image_of(data)
    update = slow_world.gateway.updates.update(device.device_id, image, on_progress)
    sending = asyncio.ensure_future(update)
    while not sending.done():
        await slow_world.advance(0.1)
    assert isinstance(sending.exception(), UpdateCancelledError)
    assert cancelled == [True]
    await connected(slow_world, device)
    assert installed(device.facts) == [hashlib.sha256(data).digest()]


@pytest.mark.parametrize("kind", [legacy_udp, legacy_tcp])
async def test_a_board_left_in_the_middle_of_a_larger_file_is_freed_of_it(
    slow_world: World, kind: Kind
) -> None:
    device, platform_id = kind(slow_world)
    await connected(slow_world, device)
    large = Sending(slow_world, device.device_id, make_file(60_000, platform_id=platform_id))
    await large.until(UpdateStage.SENDING, 20_000)
    large.task.cancel()
    small = make_file(2_000, platform_id=platform_id, seed=2)
    sending = Sending(slow_world, device.device_id, small)
    assert isinstance(await sending.end(), UpdateInterruptedError)
    assert sending.took_s < 30, "Not the 300 s that the board waits for chunks."
    await slow_world.advance(1)
    await connected(slow_world, device)
    assert await Sending(slow_world, device.device_id, small).end() is None
    assert installed(device.facts) == [hashlib.sha256(small).digest()]


async def test_a_device_that_restarts_in_the_middle_is_resumed(slow_world: World) -> None:
    device = await connected(slow_world, Firmware(slow_world, platform="argon"))
    data = make_file(150_000, platform_id=ARGON)
    sending = Sending(slow_world, device.device_id, data)
    await sending.until(UpdateStage.SENDING, 20_000)
    device.device.reset("reboot", slow_world.clock.monotonic())
    assert isinstance(await sending.end(), UpdateInterruptedError)
    await connected(slow_world, device)
    assert await Sending(slow_world, device.device_id, data).end() is None
    begun = [fact for fact in device.facts if isinstance(fact, UpdateBegan)]
    assert begun[1].offset_bytes >= 20_000
    assert installed(device.facts) == [hashlib.sha256(data).digest()]


@pytest.mark.parametrize("crash", [True, False])
async def test_after_a_restart_of_the_server_what_arrived_is_not_sent_again(
    slow_world: World, crash: bool
) -> None:
    device = await connected(slow_world, Firmware(slow_world, platform="argon"))
    data = make_file(150_000, platform_id=ARGON)
    sending = Sending(slow_world, device.device_id, data)
    await sending.until(UpdateStage.SENDING, 20_000)
    sending.task.cancel()
    await slow_world.restart(outage_s=5, crash=crash)
    assert await Sending(slow_world, device.device_id, data).end() is None
    begun = [fact for fact in device.facts if isinstance(fact, UpdateBegan)]
    assert begun[1].offset_bytes >= 20_000
    assert installed(device.facts) == [hashlib.sha256(data).digest()]


async def test_a_changed_address_does_not_end_it(slow_world: World) -> None:
    device = await connected(slow_world, Firmware(slow_world, platform="argon"))
    assert isinstance(device, Firmware)
    data = make_file(150_000, platform_id=ARGON)
    sending = Sending(slow_world, device.device_id, data)
    await sending.until(UpdateStage.SENDING, 20_000)
    device.open_port()
    assert await sending.end() is None
    assert len([fact for fact in device.facts if isinstance(fact, UpdateBegan)]) == 1
    assert installed(device.facts) == [hashlib.sha256(data).digest()]


async def test_all_updates_share_what_they_may_send(slow_world: World) -> None:
    devices = [
        await connected(slow_world, Firmware(slow_world, index, platform="argon"))
        for index in (0, 1, 2)
    ]
    data = make_file(100_000, platform_id=ARGON)
    sendings = [Sending(slow_world, device.device_id, data) for device in devices]
    await sendings[0].until(UpdateStage.SENDING, 40_000)
    amounts = [sending.progress[-1][1] for sending in sendings]
    assert max(amounts) - min(amounts) <= 12_000
    for sending in sendings:
        assert await sending.end() is None
    assert sendings[0].took_s > 4.5
