"""What all updates together may send, and what devices say in the middle of one."""

from cyan.core.ports import DeviceRefusedError, UpdateInterruptedError, UpdateStage
from cyan.gateway.pacing import KEPT_S, Pacer
from cyan.gateway.streams import CHUNK_ROOM_BYTES, MAX_UNSENT_OF_UPDATE, StreamLink
from cyan.wire import coap
from cyan.wire.messages import encode_update_abort
from tests.gateway.firmware import Firmware
from tests.gateway.ota import Sending, make_file
from tests.gateway.stream_firmware import StreamFirmware
from tests.gateway.test_ota_devices import ARGON, PHOTON, connected
from tests.gateway.world import World

CHUNK = 512


class Load:
    """Who has so many chunks to send, and sends them when asked."""

    def __init__(self, pacer: Pacer[str], **chunks: int) -> None:
        self.left = dict(chunks)
        self.sent = dict.fromkeys(chunks, 0)
        for one in chunks:
            pacer.wait(one)

    def send(self, one: str) -> int:
        if not self.left[one]:
            return 0
        self.left[one] -= 1
        self.sent[one] += 1
        return CHUNK


def test_all_get_the_same_whatever_they_could_take() -> None:
    pacer: Pacer[str] = Pacer(60 * CHUNK, 0.0)
    load = Load(pacer, a=1000, b=1000, c=5)
    for turn in range(1, 11):
        pacer.deal(turn * 0.1, load.send)
    assert sum(load.sent.values()) == 60
    assert load.sent["c"] == 5
    assert abs(load.sent["a"] - load.sent["b"]) <= 1


def test_a_quiet_time_is_hardly_made_up_for() -> None:
    pacer: Pacer[str] = Pacer(100 * CHUNK, 0.0)
    load = Load(pacer, a=1000)
    pacer.deal(3600.0, load.send)
    assert load.sent["a"] == 100 * KEPT_S


def test_who_leaves_gets_nothing() -> None:
    pacer: Pacer[str] = Pacer(100 * CHUNK, 0.0)
    load = Load(pacer, a=10, b=10)
    pacer.leave("a")
    pacer.leave("nobody")
    pacer.deal(0.1, load.send)
    assert load.sent == {"a": 0, "b": 10}


async def test_a_reset_for_a_chunk_ends_it_at_once_so_that_it_can_be_resumed(
    slow_world: World,
) -> None:
    device = await connected(slow_world, Firmware(slow_world, platform="argon"))
    sending = Sending(slow_world, device.device_id, make_file(100_000, platform_id=ARGON))
    await sending.until(UpdateStage.SENDING, 10_000)
    link = slow_world.gateway.online_link(device.device_id)
    assert link is not None
    link.on_reset(link.exchange.next_message_id + 5 & 0xFFFF)
    link.on_reset(link.exchange.next_message_id - 5000 & 0xFFFF)
    await slow_world.advance(0.5)
    assert not sending.task.done()
    link.on_reset(link.exchange.next_message_id - 1 & 0xFFFF)
    assert isinstance(await sending.end(), UpdateInterruptedError)
    assert sending.took_s < 10


async def test_old_firmware_ends_an_update_by_a_message_without_a_token(slow_world: World) -> None:
    device = await connected(slow_world, StreamFirmware(slow_world))
    sending = Sending(slow_world, device.device_id, make_file(100_000, platform_id=PHOTON))
    await sending.until(UpdateStage.SENDING, 10_000)
    link = slow_world.gateway.online_link(device.device_id)
    assert link is not None
    link.on_message(coap.decode(encode_update_abort(60_000, 3)), slow_world.clock.monotonic())
    error = await sending.end()
    assert isinstance(error, DeviceRefusedError)
    assert error.code is None


async def test_no_more_of_a_file_waits_for_a_connection_than_other_messages_can_bear(
    world: World,
) -> None:
    device = await connected(world, StreamFirmware(world))
    link = world.gateway.online_link(device.device_id)
    assert isinstance(link, StreamLink)
    assert link.chunk_room() == MAX_UNSENT_OF_UPDATE // CHUNK_ROOM_BYTES
    sending = Sending(world, device.device_id, make_file(100_000, platform_id=PHOTON))
    most = 0
    while not sending.task.done():
        await world._pass(0.1)
        most = max(most, link.stream.unsent_bytes())
    assert sending.task.exception() is None
    assert 0 < most <= MAX_UNSENT_OF_UPDATE
