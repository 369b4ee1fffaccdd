"""Pings of the bench on a hand-moved clock."""

from bench.pings import Pings
from cyan.wire import coap


class Device:
    """Seals nothing, so that a test reads what was sent."""

    def __init__(self) -> None:
        self._message_id = 0

    def next_message_id(self) -> int:
        self._message_id += 1
        return self._message_id

    def seal(self, content: bytes) -> bytes:
        return content


def _pings(count: int) -> tuple[Pings, list[tuple[int, int]]]:
    """The pings of so many devices, and where (device, message id) of what they send appears."""
    sent: list[tuple[int, int]] = []

    def send(index: int, datagram: bytes) -> None:
        sent.append((index, coap.decode(datagram).message_id))

    return Pings([Device() for _ in range(count)], send), sent


def test_each_device_pings_once_in_the_time_given() -> None:
    pings, sent = _pings(4)
    pings.start(100.0, 5.0)
    pings.turn(100.0)
    assert sent == [(0, 1)]
    pings.turn(103.0)
    assert sent == [(0, 1), (1, 1), (2, 1)]
    pings.turn(103.75)
    assert (pings.sent, pings.unanswered) == (4, 4)


def test_a_ping_is_sent_four_times_and_not_after_its_answer() -> None:
    pings, sent = _pings(2)
    pings.start(0.0, 0.0)
    pings.turn(0.0)
    pings.on_answer(0, 1, 0.1)
    for now in range(1, 100):
        pings.turn(float(now))
    assert sent == [(0, 1)] + [(1, 1)] * 4
    assert (pings.sent, pings.sent_again, pings.answered, pings.unanswered) == (2, 3, 1, 1)


def test_a_ping_is_sent_again_no_earlier_than_firmware_does() -> None:
    pings, sent = _pings(1)
    pings.start(0.0, 0.0)
    times = []
    for tenth in range(1000):
        before = len(sent)
        pings.turn(tenth / 10)
        times += [tenth / 10] * (len(sent) - before)
    assert times[0] == 0.0
    assert all(
        at_s <= time_s <= at_s * 1.5 + 0.1
        for at_s, time_s in zip((4, 12, 28), times[1:], strict=True)
    )


def test_the_next_ping_takes_the_place_of_one_without_an_answer() -> None:
    pings, sent = _pings(1)
    pings.start(0.0, 0.0, interval_s=25.0)
    for tenth in range(260):
        pings.turn(tenth / 10)
    assert sent == [(0, 1)] * 3 + [(0, 2)]
    pings.on_answer(0, 1, 26.0)
    assert pings.answered == 0
    pings.on_answer(0, 2, 26.5)
    assert (pings.answered, pings.first_answer_s, pings.last_answer_s) == (1, 26.5, 26.5)
