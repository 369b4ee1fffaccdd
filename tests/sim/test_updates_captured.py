"""Updates that a cloud sent to real firmware in captured sessions: a simulated device answers the
same messages with the same."""

import re
from collections.abc import Iterator

import pytest

from cyan.sim.facts import EndReason, State
from cyan.wire import coap
from cyan.wire.describe.system import USER_PART
from tests.sim.stream_world import online_stream_world
from tests.sim.updating import AnyWorld, describe, ended, hello, module_of
from tests.sim.world import online_world
from tests.wire.vectors import CoapLine, coap_lines, tcp_connections

UDP_LOGS = ("udp-ota3-lossy.log", "udp-ota3-lossy-keys.log")
TCP_LOG = "tcp-ota1.log"
PROCESSING_TIME = re.compile(rb'"proc_time":\d+')
UPDATE_PATHS = tuple((coap.URI_PATH, path) for path in (b"S", b"C", b"F", b"A", b"u", b"c"))

Answer = tuple[int, int, bytes, tuple[tuple[int, bytes], ...], bytes]


def answer_of(line: CoapLine | coap.Message) -> Answer:
    """All but the id, and the time that the device took, which is another one's."""
    payload = PROCESSING_TIME.sub(b"", line.payload)
    return line.type, line.code, line.token, line.options, payload


def exchanges(lines: list[CoapLine]) -> Iterator[tuple[float, CoapLine, list[CoapLine]]]:
    """The messages of the cloud in an update, each with the wait before it and what the device said
    until the next."""
    starts = [
        at
        for at, line in enumerate(lines)
        if not line.from_device
        and ((line.options[:1] and line.options[0] in UPDATE_PATHS) or is_ack_in(lines, at))
    ]
    for at, start in enumerate(starts):
        end = starts[at + 1] if at + 1 < len(starts) else len(lines)
        replies = [line for line in lines[start + 1 : end] if line.from_device]
        wait = lines[start].at_s - lines[starts[at - 1]].at_s if at else 0.0
        yield wait, lines[start], replies


def is_ack_in(lines: list[CoapLine], at: int) -> bool:
    """Whether the cloud acknowledges an answer of the device to an update's message there."""
    line = lines[at]
    if line.type != coap.ACK:
        return False
    return any(
        other.from_device
        and other.message_id == line.message_id
        and other.type == coap.CON
        and other.code >> 5 == 2
        for other in lines[:at]
    )


def play(world: AnyWorld, lines: list[CoapLine]) -> int:
    """Says what the cloud said, when it did; checks every answer. Returns how many there were."""
    checked = 0
    for wait, line, replies in exchanges(lines):
        world.run(wait)
        if line.type == coap.ACK:
            # The world's own cloud has acknowledged.
            continue
        before = len(world.cloud.messages())
        message = coap.Message(
            line.type, line.code, line.message_id, line.token, line.options, line.payload
        )
        world.deliver(world.cloud.seal(coap.encode(message)))
        told = world.cloud.messages()[before:]
        assert [answer_of(one) for one in told] == [answer_of(one) for one in replies]
        checked += len(replies)
    return checked


def until_restart(lines: list[CoapLine]) -> list[CoapLine]:
    """The lines of the first connection."""
    hellos = [
        at
        for at, line in enumerate(lines)
        if line.from_device and line.options[:1] == ((coap.URI_PATH, b"h"),)
    ]
    return lines[: hellos[1]]


@pytest.mark.parametrize("name", UDP_LOGS)
def test_the_current_protocol_with_lost_chunks_is_answered_as_firmware_did(name: str) -> None:
    world = online_world(platform="argon")
    lines = coap_lines(name)
    assert play(world, until_restart(lines)) > 35
    assert ended(world) == [0]
    assert world.ends[-1][1] is EndReason.RESTART
    world.run(5.0)
    assert world.device.state is State.ONLINE
    after = lines[len(until_restart(lines)) :]
    assert hello(world).product_version == int.from_bytes(after[0].payload[2:4], "big") == 8
    described = next(line for line in after if line.options[:1] == ((coap.URI_PATH, b"d"),))
    user = module_of(describe(world), USER_PART)
    assert user.hash is not None
    assert user.hash in described.payload
    assert user.version == 7


def test_the_legacy_protocol_is_answered_as_firmware_did() -> None:
    world = online_stream_world(platform="gcc")
    first, second = (connection.lines for connection in tcp_connections(TCP_LOG))
    assert play(world, first) == 3
    assert ended(world) == [0]
    world.run(5.0)
    assert world.device.state is State.ONLINE
    assert hello(world).product_version == int.from_bytes(second[0].payload[2:4], "big") == 8
    user = module_of(describe(world), USER_PART)
    described = next(line for line in second if line.options[:1] == ((coap.URI_PATH, b"d"),))
    assert user.hash is not None
    assert user.hash in described.payload
