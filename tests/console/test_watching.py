"""Parts of pages that change by themselves: who is told what, and until when."""

import asyncio
from collections.abc import Collection, Iterator

import pytest

from cyan.console import watching as watching_module
from cyan.console.watching import TooManyPagesError, Watching, WatchingStream
from cyan.core.bus import Bus
from cyan.core.ids import DeviceId, UserId
from cyan.devices.presence import DeviceOffline, DeviceOnline
from cyan.firmware.model import State, UpdateProgressed

LAMP = DeviceId("e00fce68ece1d3d21a73dcc9")
PUMP = DeviceId("e00fce6800000000000000a1")
OTHER = DeviceId("e00fce6800000000000000ff")


class Eyes:
    """Looks at devices; notes which were looked at."""

    def __init__(self) -> None:
        self.looked_at: list[DeviceId] = []

    def look(self, changed: Collection[DeviceId]) -> Iterator[tuple[str, str]]:
        self.looked_at += changed
        for device_id in changed:
            yield f"dot-{device_id}", "<b>on</b>"


ADA = UserId("a" * 24)


async def is_silent(stream: WatchingStream) -> bool:
    try:
        async with asyncio.timeout(0.05):
            await stream.next_chunk()
    except TimeoutError:
        return True
    return False


@pytest.fixture
def watching(bus: Bus) -> Watching:
    return Watching(bus)


async def test_all_devices_are_told_at_first_and_then_those_that_changed(
    watching: Watching, bus: Bus
) -> None:
    eyes = Eyes()
    stream = watching.open(ADA, [LAMP, PUMP], eyes.look)
    assert (await stream.next_chunk() or b"").count(b"event: dot-") == 2
    bus.publish(DeviceOffline(PUMP, "silence"))
    bus.publish(DeviceOnline(OTHER))
    assert await stream.next_chunk() == f"event: dot-{PUMP}\ndata: <b>on</b>\n\n".encode()
    assert await is_silent(stream)
    assert OTHER not in eyes.looked_at


async def test_many_changes_of_a_device_are_one_look(watching: Watching, bus: Bus) -> None:
    eyes = Eyes()
    stream = watching.open(ADA, [LAMP], eyes.look)
    for _ in range(1000):
        bus.publish(DeviceOnline(LAMP))
    await stream.next_chunk()
    assert eyes.looked_at == [LAMP]


async def test_a_step_of_an_update_is_a_change(watching: Watching, bus: Bus) -> None:
    stream = watching.open(ADA, [LAMP], Eyes().look)
    await stream.next_chunk()
    bus.publish(UpdateProgressed(LAMP, "attempt", State.SENDING, 512, 1024))
    assert await stream.next_chunk() is not None


async def test_all_streams_end_when_the_server_stops(watching: Watching) -> None:
    stream = watching.open(ADA, [LAMP], Eyes().look)
    watching.close()
    assert await stream.next_chunk() is None


async def test_an_account_has_a_bound_of_open_pages_and_closing_one_makes_room(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching_module, "MAX_PAGES_OF_AN_ACCOUNT", 1)
    first = watching.open(ADA, [LAMP], Eyes().look)
    with pytest.raises(TooManyPagesError):
        watching.open(ADA, [LAMP], Eyes().look)
    first.close()
    first.close()
    watching.open(ADA, [LAMP], Eyes().look)
