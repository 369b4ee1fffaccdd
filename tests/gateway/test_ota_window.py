"""The window of the current protocol: what is lost is sent again, and nothing else."""

from collections import deque
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyan.gateway.conversation.ota.window import MAX_WAIT_S, MIN_CHUNKS, Window
from cyan.wire.messages import UpdateAck

LIMIT = 256
WAY_S = 0.05


def take(window: Window, now_s: float) -> int | None:
    """One chunk."""
    chunks = window.take(1, now_s)
    return chunks[0] if chunks else None


class Receiver:
    """A device: what it has, and what it says of it (device-protocol.md §5.2.2)."""

    def __init__(self) -> None:
        self.has: set[int] = set()
        self.unsaid = 0

    @property
    def cumulative(self) -> int:
        count = 0
        while count + 1 in self.has:
            count += 1
        return count

    def ack(self) -> UpdateAck:
        self.unsaid = 0
        first = self.cumulative
        return UpdateAck(
            first, sum(1 << (chunk - first - 1) for chunk in self.has if chunk > first)
        )

    def on_chunk(self, chunk: int) -> UpdateAck | None:
        if chunk in self.has:
            return self.ack()
        had_gap = len(self.has) != self.cumulative
        self.has.add(chunk)
        self.unsaid += 1
        has_gap = len(self.has) != self.cumulative
        return self.ack() if had_gap or has_gap or self.unsaid == 2 else None


def run(
    count: int,
    loss: float,
    *,
    seed: int = 1,
    limit: int = LIMIT,
    swing_s: float = 0.0,
    outages: tuple[tuple[float, float], ...] = (),
) -> tuple[Window, float, int]:
    """Both ways lose, and everything in an outage; returns the window, how long it took, and how
    many chunks were sent."""
    random = Random(seed)
    window, receiver = Window(count, limit, 0.0), Receiver()
    there: list[tuple[float, int]] = []
    back: list[tuple[float, UpdateAck]] = []
    now_s, sent, last_heard_s = 0.0, 0, 0.0
    while not window.is_complete:
        while (chunk := take(window, now_s)) is not None:
            sent += 1
            assert chunk <= window.arrived + limit
            if random.random() >= loss and not any(a <= now_s < b for a, b in outages):
                there.append((now_s + WAY_S + random.random() * swing_s, chunk))
        now_s = round(now_s + 0.01, 6)
        for way in [each for each in there if each[0] <= now_s]:
            there.remove(way)
            last_heard_s = now_s
            ack = receiver.on_chunk(way[1])
            is_out = any(a <= now_s < b for a, b in outages)
            if ack is not None and random.random() >= loss and not is_out:
                back.append((now_s + WAY_S + random.random() * swing_s, ack))
        if receiver.unsaid and now_s >= last_heard_s + 0.2:
            back.append((now_s + WAY_S, receiver.ack()))
        for arrival in [each for each in back if each[0] <= now_s]:
            back.remove(arrival)
            assert window.on_ack(arrival[1], now_s)
        window.on_time(now_s)
        assert now_s < 3600, "it does not end"
    assert receiver.has == set(range(1, count + 1))
    return window, now_s, sent


def test_without_loss_each_chunk_is_sent_once() -> None:
    window, took_s, sent = run(1000, 0.0)
    assert sent == 1000
    assert window.resent == 0
    # The window opened: with ten chunks for each way there and back it would take 10 s.
    assert took_s < 2.5


@pytest.mark.parametrize("loss", [0.01, 0.1, 0.3, 0.6])
def test_whatever_is_lost_arrives_in_the_end(loss: float) -> None:
    window, _, sent = run(400, loss)
    assert window.arrived == 400
    assert sent == 400 + window.resent
    # As many as were lost, and some of which only the acknowledgement was.
    assert window.resent < 400 * (loss / (1 - loss)) * 1.5 + 20


@pytest.mark.parametrize("start_s", [0.0, 0.12, 0.5, 1.0])
@pytest.mark.parametrize("for_s", [0.05, 0.5, 3.0])
def test_after_an_outage_it_goes_on_at_once(start_s: float, for_s: float) -> None:
    """Also when no chunk had arrived before, so that nobody knows how long the way takes."""
    _, usual_s, _ = run(400, 0.0)
    _, took_s, _ = run(400, 0.0, outages=((start_s, start_s + for_s),))
    # The waits before single chunks are sent again have doubled meanwhile.
    assert took_s < usual_s + 2 * for_s + 6.0


def test_after_many_outages_it_still_ends_soon() -> None:
    outages = tuple((second + 0.1, second + 0.2 + second % 5 / 10) for second in range(0, 60, 2))
    _, took_s, _ = run(1000, 0.05, outages=outages)
    assert took_s < 60


def test_chunks_that_overtake_one_another_are_hardly_sent_again() -> None:
    window, _, _ = run(500, 0.0, swing_s=0.005)
    assert window.resent < 25


def test_a_device_with_a_small_window_gets_no_more_than_that() -> None:
    window, _, _ = run(50, 0.1, limit=2)
    assert window.arrived == 50


@settings(deadline=None)
@given(st.integers(1, 60), st.floats(0, 0.5), st.integers(0, 10_000), st.integers(1, LIMIT))
def test_any_network_delivers(count: int, loss: float, seed: int, limit: int) -> None:
    run(count, loss, seed=seed, limit=limit, swing_s=0.1)


def test_loss_shrinks_the_window_once_for_each_way_there_and_back() -> None:
    window = Window(200, LIMIT, 0.0)
    for chunk in range(1, 11):
        assert take(window, 0.0) == chunk
    assert take(window, 0.0) is None
    window.on_ack(UpdateAck(10), 0.1)
    assert window.size == 20
    assert [take(window, 0.1) for _ in range(20)] == list(range(11, 31))
    # 11 and 15 are lost.
    window.on_ack(UpdateAck(10, 0b1110), 0.2)
    assert window.size == pytest.approx(14)
    window.on_ack(UpdateAck(10, 0b111101110), 0.2)
    assert window.size == pytest.approx(14)
    assert take(window, 0.2) == 11


def test_the_window_never_gets_smaller_than_what_any_radio_holds() -> None:
    window = Window(200, LIMIT, 0.0)
    while take(window, 0.0) is not None:
        pass
    for second in range(1, 60):
        window.on_time(float(second))
        take(window, float(second))
    assert window.size == MIN_CHUNKS


def test_after_a_silence_the_first_open_chunks_are_sent_whatever_is_under_way() -> None:
    window = Window(200, LIMIT, 0.0)
    assert window.take(100, 0.0) == list(range(1, 11))
    window.on_time(1.9)
    assert not window.take(100, 1.9)
    window.on_time(2.0)
    assert window.take(100, 2.0) == [1, 2, 3]
    assert not window.take(100, 2.0)
    # Those that lie furthest back are next, and the first one always; it waits no longer than so.
    for time_s in (2.0 + MAX_WAIT_S, 2.0 + 2 * MAX_WAIT_S):
        window.on_time(time_s - 0.1)
        assert not window.take(100, time_s)
        window.on_time(time_s)
        assert 1 in window.take(100, time_s)
    # A device that has the rest says so, and nothing is left to send.
    window.on_ack(UpdateAck(10), 9.0)
    assert window.take(100, 9.0) == list(range(11, 19))


def test_a_probe_whose_first_copy_has_arrived_late_does_not_send_everything_again() -> None:
    window = Window(200, LIMIT, 0.0)
    window.take(100, 0.0)
    window.on_ack(UpdateAck(10), 0.5)
    assert len(window.take(100, 0.5)) == 20
    window.on_time(3.5)
    assert window.take(3, 3.5) == [11, 12, 13]
    # The acknowledgement of the first copies was held up somewhere: it cannot be the probes'.
    window.on_ack(UpdateAck(12), 3.51)
    assert window.resent == 3
    sent = window.take(100, 3.51)
    assert all(chunk > 30 for chunk in sent)


def test_what_cannot_be_true_is_ignored() -> None:
    window = Window(20, LIMIT, 0.0)
    for _ in range(5):
        take(window, 0.0)
    assert not window.on_ack(UpdateAck(6), 0.1)
    assert not window.on_ack(UpdateAck(1 << 31), 0.1)
    # Bits for chunks that were never sent.
    assert window.on_ack(UpdateAck(0, (1 << 8000) - 2), 0.1)
    assert window.arrived == 0
    assert take(window, 0.1) is not None
    window.on_ack(UpdateAck(5), 0.2)
    assert window.arrived == 5
    # An acknowledgement that a newer one has overtaken.
    assert window.on_ack(UpdateAck(2, 1 << 10), 0.3)
    assert window.arrived == 5


def test_windows_that_open_together_leave_room_in_the_queue_that_they_share() -> None:
    """A hundred devices behind one way out, which lets 120 chunks pass in a millisecond and holds
    6,500 more: what a socket holds, and a good deal more than a radio mast does."""
    devices, each, passing, room = 100, 1000, 120, 6500
    windows = [Window(each, LIMIT, 0.0) for _ in range(devices)]
    receivers = [0] * devices
    queue: deque[tuple[int, int]] = deque()
    longest = 0

    def send(index: int, now_s: float) -> None:
        queue.extend((index, chunk) for chunk in windows[index].take(32, now_s))

    for index in range(devices):
        send(index, 0.0)
    now_ms = 0
    while not all(window.is_complete for window in windows):
        now_ms += 1
        for _ in range(min(passing, len(queue))):
            index, chunk = queue.popleft()
            assert chunk == receivers[index] + 1, "nothing is lost here"
            receivers[index] = chunk
            if chunk % 2 == 0:
                windows[index].on_ack(UpdateAck(chunk), now_ms / 1000)
                send(index, now_ms / 1000)
        longest = max(longest, len(queue))
        assert now_ms < 60_000, "it does not end"
    assert longest < room
    # The way out was hardly ever idle.
    assert now_ms < 1.1 * devices * each / passing
