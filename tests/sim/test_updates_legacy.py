"""The device's side of the legacy protocol: what it answers, refuses and survives."""

from collections.abc import Callable
from functools import partial

import pytest

from cyan.sim import oserrors
from cyan.sim.facts import EndReason, State
from cyan.wire import coap
from cyan.wire.describe.system import MONOLITHIC, SYSTEM_PART, USER_PART, ModuleDependency
from cyan.wire.messages import OTA_APPLIED, encode_cloud_hello, encode_key_change
from cyan.wire.messages.updates_legacy import (
    UpdateBegin,
    decode_chunk_missed,
    decode_update_result,
    encode_chunk,
    encode_update_begin,
)
from tests.sim.stream_world import online_stream_world
from tests.sim.updating import (
    CHUNK,
    TOKEN,
    AnyWorld,
    begin_legacy,
    describe,
    encode_legacy,
    end_legacy,
    ended,
    hello,
    module_of,
    send_legacy,
    update_legacy,
    user_part,
)
from tests.sim.world import online_world

ELECTRON, PHOTON, GCC = 10, 6, 3
NEEDS = (ModuleDependency(SYSTEM_PART, 2, 2302),)
ELECTRON_FILE = user_part(bytes(range(256)) * 20, platform_id=ELECTRON, dependencies=NEEDS)
PHOTON_FILE = user_part(bytes(range(256)) * 20, platform_id=PHOTON, dependencies=NEEDS)


def electron() -> tuple[AnyWorld, bytes]:
    return online_world(platform="electron"), ELECTRON_FILE


def photon() -> tuple[AnyWorld, bytes]:
    return online_stream_world(platform="photon"), PHOTON_FILE


BOARDS = pytest.mark.parametrize("make", [electron, photon])


def result_of(answers: list[coap.Message]) -> int | None:
    return decode_update_result(answers[0].payload)


@BOARDS
def test_a_fast_update_is_received_and_used(make: Callable[[], tuple[AnyWorld, bytes]]) -> None:
    world, file = make()
    acknowledgement, ready = begin_legacy(world, file)
    is_stream = world.device.board.platform.name == "photon"
    assert (acknowledgement.type, acknowledgement.code) == (coap.ACK, coap.EMPTY)
    assert ready.type == (coap.NON if is_stream else coap.CON)
    assert (ready.code, ready.token, ready.payload) == (coap.CHANGED, TOKEN, b"\x01")
    before = len(world.cloud.messages())
    send_legacy(world, file)
    assert len(world.cloud.messages()) == before, "no chunk is answered"
    (answer,) = end_legacy(world)
    assert (answer.type, answer.code) == (coap.ACK, coap.CHANGED)
    assert result_of([answer]) == 0
    assert world.ends[-1][1] is EndReason.RESTART
    world.run(5.0)
    assert world.device.state is State.ONLINE
    told = hello(world)
    assert told.product_version == 3
    assert told.flags & OTA_APPLIED
    assert ended(world) == [0]


def test_that_an_update_was_applied_is_told_until_the_server_has_said_hello() -> None:
    world, file = electron()
    update_legacy(world, file)
    assert hello(world).flags & OTA_APPLIED
    world.ask(lambda id_: encode_cloud_hello(id_, confirmable=False))
    before = len(world.cloud.heard)
    world.device.stop(world.now)
    world.device.resume(world.now)
    world.run(2.0)
    paths = [message.options[:1] for message in world.cloud.messages()[before:]]
    assert ((coap.URI_PATH, b"h"),) not in paths, "that it is no news is none"
    world.ask(encode_key_change)
    world.run(60.0)
    assert not hello(world).flags & OTA_APPLIED


@BOARDS
def test_chunks_one_by_one_are_answered_each(make: Callable[[], tuple[AnyWorld, bytes]]) -> None:
    world, file = make()
    begin_legacy(world, file, fast=False)
    for at in range(0, len(file), CHUNK):
        data = file[at : at + CHUNK]
        acknowledgement, answer = world.ask(partial(encode_legacy, data=data, index=None))
        assert (acknowledgement.type, acknowledgement.code) == (coap.ACK, coap.EMPTY)
        assert (answer.code, answer.token) == (coap.CHANGED, TOKEN)
    assert result_of(end_legacy(world)) == 0


def test_a_damaged_chunk_is_asked_for_again() -> None:
    world, file = electron()
    begin_legacy(world, file, fast=False)

    def damaged(message_id: int) -> bytes:
        encoded = encode_chunk(message_id, TOKEN, file[:CHUNK])
        return encoded[:-1] + bytes((encoded[-1] ^ 1,))

    assert world.ask(damaged)[-1].code == coap.BAD_REQUEST
    send_legacy(world, file, fast=False)
    assert result_of(end_legacy(world)) == 0


@BOARDS
def test_missing_chunks_are_asked_for(make: Callable[[], tuple[AnyWorld, bytes]]) -> None:
    world, file = make()
    begin_legacy(world, file)
    send_legacy(world, file, but=(1, 4, 5))
    refusal, request = end_legacy(world)
    assert (refusal.type, refusal.code, refusal.token) == (coap.ACK, coap.BAD_REQUEST, TOKEN)
    assert (request.code, request.token) == (coap.GET, b"")
    assert decode_chunk_missed(request).indices == (1, 4, 5)
    send_legacy(world, file, but=tuple(at for at in range(99) if at not in (1, 4, 5)))
    assert result_of(end_legacy(world)) == 0
    assert ended(world) == [0]


def test_no_more_chunks_are_asked_for_than_came_and_a_few() -> None:
    world, file = electron()
    begin_legacy(world, file)
    count = -(-len(file) // CHUNK)
    send_legacy(world, file, but=tuple(range(3, count)))
    assert decode_chunk_missed(end_legacy(world)[1]).indices == tuple(range(3, 8))


@pytest.mark.parametrize(
    "begin",
    [
        UpdateBegin(True, CHUNK, 1000, store=1),
        UpdateBegin(True, CHUNK, 128 * 1024 + 1),
        UpdateBegin(True, 1, 65_536),
    ],
)
def test_what_cannot_be_taken_is_refused_at_once(begin: UpdateBegin) -> None:
    world, _ = electron()
    (answer,) = world.ask(lambda id_: encode_update_begin(id_, TOKEN, begin))
    assert (answer.type, answer.code, answer.token) == (coap.ACK, coap.SERVICE_UNAVAILABLE, TOKEN)
    world.run(1.0)
    assert world.device.state is State.ONLINE


def test_a_second_begin_is_refused_and_the_first_goes_on() -> None:
    world, file = photon()
    begin_legacy(world, file)
    (refusal,) = begin_legacy(world, file)
    assert refusal.code == coap.SERVICE_UNAVAILABLE
    send_legacy(world, file)
    assert result_of(end_legacy(world)) == 0


def test_an_end_without_an_update_tells_so_in_a_success() -> None:
    world, _ = photon()
    (answer,) = end_legacy(world)
    assert answer.code == coap.CHANGED
    assert result_of([answer]) == oserrors.INVALID_STATE
    world.run(1.0)
    assert world.device.state is State.ONLINE


@BOARDS
def test_a_file_that_is_not_valid_is_told_and_the_device_restarts_all_the_same(
    make: Callable[[], tuple[AnyWorld, bytes]],
) -> None:
    world, file = make()
    damaged = file[:-5] + b"\xff" + file[-4:]
    assert result_of(update_legacy(world, damaged)) == oserrors.INTEGRITY_CHECK_FAILED
    assert EndReason.RESTART in [reason for _, reason in world.ends]
    assert world.device.state is State.ONLINE
    assert world.device.updater.firmware is None
    assert ended(world) == [oserrors.INTEGRITY_CHECK_FAILED]


def test_the_last_chunk_may_be_padded() -> None:
    world, file = photon()
    begin_legacy(world, file)
    send_legacy(world, file.ljust(-(-len(file) // CHUNK) * CHUNK, b"\0"))
    assert result_of(end_legacy(world)) == 0


def test_without_a_chunk_for_five_minutes_the_device_resets() -> None:
    world, file = photon()
    begin_legacy(world, file)
    before = len(world.cloud.messages())
    world.run(301.0)
    assert world.ends[-1][1] is EndReason.RESTART
    world.run(5.0)
    told = [message.payload for message in world.cloud.messages()[before:]]
    assert b"update_timeout" in told
    assert world.device.state is State.ONLINE


def test_a_lost_connection_is_the_end_of_it() -> None:
    world, file = electron()
    begin_legacy(world, file)
    send_legacy(world, file, but=(0,))
    world.device.stop(world.now)
    world.device.resume(world.now)
    world.run(5.0)
    assert result_of(end_legacy(world)) == oserrors.INVALID_STATE


def test_a_host_build_looks_at_no_checksum_and_restarts_unchanged() -> None:
    world = online_stream_world(platform="gcc")
    file = user_part(platform_id=GCC, dependencies=(ModuleDependency(MONOLITHIC, 0, 6200),))
    assert result_of(update_legacy(world, file[:-1] + b"\xff")) == 0
    assert world.device.updater.firmware is not None
    assert hello(world).product_version == 0xFFFF
    assert result_of(update_legacy(world, file)) == 0
    assert hello(world).product_version == 3
    assert module_of(describe(world), USER_PART).version == 7
