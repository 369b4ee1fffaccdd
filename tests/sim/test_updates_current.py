"""The device's side of the current protocol: what it answers, refuses and survives."""

import hashlib
import struct

import pytest

from cyan.sim import oserrors
from cyan.sim.behaviour import built_in
from cyan.sim.facts import EndReason, EventSkipped, State, UpdateEnded
from cyan.wire import coap
from cyan.wire.describe.system import USER_PART
from cyan.wire.messages import encode_function_call
from cyan.wire.messages.updates import UpdateStart, encode_update_start
from tests.sim.updating import (
    CHUNK,
    TOKEN,
    began,
    describe,
    ended,
    error_of,
    finish_update,
    hello,
    module_of,
    offset_of,
    send_chunk,
    send_chunks,
    start_update,
    update,
    user_part,
)
from tests.sim.world import World, answer_everything, online_world

FILE = user_part()
LONG = user_part(bytes(range(256)) * 40)
"""About 20 chunks of an application that cannot be run here."""


def raw(world: World, message: coap.Message) -> list[coap.Message]:
    before = len(world.cloud.heard)
    world.deliver(world.cloud.seal(coap.encode(message)))
    return world.cloud.messages()[before:]


def start_message(
    type_: int = coap.CON, token: bytes = TOKEN, **changed: bytes | None
) -> coap.Message:
    options = {
        coap.FILE_SIZE: b"\x10\x00",
        coap.CHUNK_SIZE: b"\x02\x00",
        **{getattr(coap, name): value for name, value in changed.items()},
    }
    listed = sorted((number, value) for number, value in options.items() if value is not None)
    return coap.Message(type_, coap.POST, 40_500, token, ((coap.URI_PATH, b"S"), *listed))


def test_an_update_is_started_received_checked_and_used() -> None:
    world = online_world()
    acknowledgement, started = start_update(world, FILE)
    assert acknowledgement.code == coap.EMPTY
    assert started.code == coap.CREATED
    assert coap.find_option(started, coap.WINDOW_SIZE) == b"\x01\x00"
    assert coap.find_option(started, coap.FILE_SIZE) == b""
    send_chunks(world, FILE)
    acknowledgement, finished = finish_update(world)
    assert finished.code == coap.CHANGED
    assert world.ends[-1][1] is EndReason.RESTART
    world.run(5.0)
    assert world.states[-3:] == [State.OFFLINE, State.CONNECTING, State.ONLINE]
    assert world.handshakes[-1], "memory outlives the restart, and the session with it"
    assert hello(world).product_version == 3
    assert module_of(describe(world), USER_PART).version == 7
    assert ended(world) == [0]


def test_the_reason_of_the_restart_is_told() -> None:
    world = online_world()
    before = len(world.cloud.heard)
    update(world, FILE)
    assert b"update" in [message.payload for message in world.cloud.messages()[before:]]


@pytest.mark.parametrize(
    "message",
    [
        start_message(token=b""),
        start_message(FILE_SIZE=None),
        start_message(FILE_SIZE=b""),
        start_message(CHUNK_SIZE=None),
        start_message(CHUNK_SIZE=struct.pack(">H", 508)),
        start_message(CHUNK_SIZE=struct.pack(">H", 510)),
        start_message(CHUNK_SIZE=struct.pack(">H", 1140)),
        start_message(FILE_SHA256=bytes(31)),
        start_message(DISCARD_DATA=b"\x01"),
        coap.Message(coap.CON, coap.POST, 40_500, b"", ((coap.URI_PATH, b"F"),)),
    ],
)
def test_a_request_that_is_none_is_refused_in_its_acknowledgement(message: coap.Message) -> None:
    world = online_world()
    (answer,) = raw(world, message)
    assert (answer.type, answer.code, answer.token) == (
        coap.ACK,
        coap.SERVICE_UNAVAILABLE,
        message.token,
    )
    assert error_of([answer]) == oserrors.PROTOCOL
    assert world.device.state is State.ONLINE


@pytest.mark.parametrize("size", [512, 1136])
def test_chunks_have_any_size_that_firmware_takes(size: int) -> None:
    world = online_world()
    start = UpdateStart(5_000, size)
    answers = world.ask(lambda id_: encode_update_start(id_, TOKEN, start))
    window = coap.find_option(answers[-1], coap.WINDOW_SIZE)
    assert window is not None
    assert int.from_bytes(window, "big") == 131_072 // size


def test_a_start_that_wants_no_acknowledgement_costs_the_connection() -> None:
    world = online_world()
    (answer,) = raw(world, start_message(coap.NON))
    assert (answer.type, answer.code) == (coap.NON, coap.SERVICE_UNAVAILABLE)
    assert world.ends[-1][1] is EndReason.UPDATE_ERROR
    world.run(0.5)
    assert world.device.state is State.ONLINE
    assert world.handshakes == [False, True], "the session is kept, and resumed at once"


def test_a_file_that_is_too_large_is_refused_and_the_connection_stays() -> None:
    world = online_world()
    start = UpdateStart(1_536_001, CHUNK)
    answers = world.ask(lambda id_: encode_update_start(id_, TOKEN, start))
    assert [answer.type for answer in answers] == [coap.ACK, coap.CON]
    assert answers[-1].code == coap.SERVICE_UNAVAILABLE
    assert answers[-1].token == TOKEN
    assert error_of(answers) == oserrors.INVALID_SIZE
    world.run(1.0)
    assert world.device.state is State.ONLINE


def test_no_update_begins_where_the_application_forbids_it() -> None:
    world = online_world()
    world.device.enable_updates(world.now, enabled=False)
    assert error_of(start_update(world, FILE)) == oserrors.UPDATES_DISABLED
    world.device.updater.is_forced = True
    assert offset_of(start_update(world, FILE)) == 0


def test_an_open_gap_is_told_with_every_chunk_and_when_it_closes() -> None:
    world = online_world()
    start_update(world, LONG)
    pieces = [LONG[at : at + CHUNK] for at in range(0, len(LONG), CHUNK)]
    acks = []
    for index in (1, 3, 3, 2, 4):
        acks += send_chunk(world, index, pieces[index - 1])
    told = [(coap.find_option(ack, coap.CHUNK_INDEX), ack.payload) for ack in acks]
    gap = b"\x02\0\0\0"
    assert told == [(b"\x01", gap), (b"\x01", gap), (b"\x03", b"")]
    world.run(0.3)
    assert coap.find_option(world.cloud.messages()[-1], coap.CHUNK_INDEX) == b"\x04"


def test_one_chunk_is_acknowledged_after_a_moment() -> None:
    world = online_world()
    start_update(world, LONG)
    assert send_chunk(world, 1, LONG[:CHUNK]) == []
    before = len(world.cloud.heard)
    world.run(0.19)
    assert len(world.cloud.heard) == before
    world.run(0.02)
    ack = world.cloud.messages()[-1]
    assert ack.options == ((coap.URI_PATH, b"A"), (coap.CHUNK_INDEX, b"\x01"))


def test_what_lies_behind_the_window_is_ignored() -> None:
    world = online_world()
    file = user_part(bytes(200_000))
    start_update(world, file)
    send_chunk(world, 257, file[256 * CHUNK : 257 * CHUNK])
    world.run(0.3)
    ack = world.cloud.messages()[-1]
    assert coap.find_option(ack, coap.CHUNK_INDEX) == b""
    assert ack.payload == b""
    send_chunk(world, 256, file[255 * CHUNK : 256 * CHUNK])
    assert world.cloud.messages()[-1].payload == bytes(31) + b"\x80"


@pytest.mark.parametrize(
    ("index", "data"),
    [(0, bytes(CHUNK)), (99, bytes(CHUNK)), (1, bytes(CHUNK - 1)), (1, bytes(CHUNK + 4))],
)
def test_a_chunk_that_does_not_fit_costs_the_connection(index: int, data: bytes) -> None:
    world = online_world()
    start_update(world, LONG)
    options = ((coap.URI_PATH, b"C"), (coap.CHUNK_INDEX, coap.encode_uint(index)))
    chunk = coap.Message(coap.NON, coap.POST, 40_500, b"", options, data)
    (answer,) = raw(world, chunk)
    assert (answer.type, answer.message_id) == (coap.RST, 40_500)
    assert world.ends[-1][1] is EndReason.UPDATE_ERROR
    world.run(0.5)
    assert world.device.state is State.ONLINE


def test_a_chunk_with_a_token_is_answered_and_costs_the_connection() -> None:
    world = online_world()
    start_update(world, LONG)
    options = ((coap.URI_PATH, b"C"), (coap.CHUNK_INDEX, b"\x01"))
    chunk = coap.Message(coap.NON, coap.POST, 40_500, TOKEN, options, LONG[:CHUNK])
    (answer,) = raw(world, chunk)
    assert (answer.type, answer.code) == (coap.NON, coap.SERVICE_UNAVAILABLE)
    assert world.ends[-1][1] is EndReason.UPDATE_ERROR


def test_a_confirmable_chunk_is_refused_and_the_update_goes_on() -> None:
    world = online_world()
    start_update(world, FILE)
    options = ((coap.URI_PATH, b"C"), (coap.CHUNK_INDEX, b"\x01"))
    chunk = coap.Message(coap.CON, coap.POST, 40_500, b"", options, FILE[:CHUNK])
    (answer,) = raw(world, chunk)
    assert (answer.type, answer.code) == (coap.ACK, coap.SERVICE_UNAVAILABLE)
    send_chunks(world, FILE)
    assert finish_update(world)[-1].code == coap.CHANGED


def test_a_chunk_without_an_update_is_rejected_and_nothing_else_happens() -> None:
    world = online_world()
    (answer,) = send_chunk(world, 1, bytes(CHUNK))
    assert answer.type == coap.RST
    world.run(1.0)
    assert world.device.state is State.ONLINE


def test_a_finish_without_an_update_is_refused_and_the_connection_stays() -> None:
    world = online_world()
    assert error_of(finish_update(world)) == oserrors.INVALID_STATE
    world.run(1.0)
    assert world.device.state is State.ONLINE


def test_a_finish_too_early_ends_the_connection_and_keeps_what_came() -> None:
    world = online_world()
    start_update(world, LONG)
    send_chunks(world, LONG, until=5 * CHUNK)
    assert error_of(finish_update(world)) == oserrors.PROTOCOL
    assert world.ends[-1][1] is EndReason.UPDATE_ERROR
    world.run(0.5)
    assert offset_of(start_update(world, LONG)) == 5 * CHUNK


def test_a_late_word_on_an_update_before_leaves_the_one_that_runs_alone() -> None:
    world = online_world()
    start_update(world, LONG)
    send_chunks(world, LONG, until=5 * CHUNK)
    world.cloud.answer = lambda message: None
    refusal = finish_update(world)[-1]
    world.cloud.answer = answer_everything
    assert offset_of(start_update(world, LONG)) == 5 * CHUNK
    before = len(world.cloud.heard)
    world.run(7.0)
    again = world.cloud.messages()[before:]
    assert refusal in again, "it was not acknowledged the first time"
    send_chunks(world, LONG, 5 * CHUNK)
    assert finish_update(world)[-1].code == coap.CHANGED


def test_a_file_that_is_not_valid_ends_the_connection_and_is_forgotten() -> None:
    world = online_world()
    damaged = LONG[:-5] + b"\xff" + LONG[-4:]
    start_update(world, damaged)
    send_chunks(world, damaged)
    assert error_of(finish_update(world)) == oserrors.INTEGRITY_CHECK_FAILED
    assert world.ends[-1][1] is EndReason.UPDATE_ERROR
    world.run(0.5)
    assert offset_of(start_update(world, damaged)) == 0
    assert ended(world) == [oserrors.INTEGRITY_CHECK_FAILED]


def test_another_file_than_was_announced_is_found_after_the_last_answer_without_a_word() -> None:
    world = online_world()
    other = user_part(bytes(len(LONG) - len(user_part(b""))))
    assert len(other) == len(LONG)
    start_update(world, LONG)
    send_chunks(world, other)
    assert finish_update(world)[-1].code == coap.CHANGED
    assert world.ends[-1][1] is EndReason.UPDATE_ERROR
    assert ended(world) == [oserrors.RESUMED_UPDATE_FAILED]
    world.run(0.5)
    assert world.handshakes == [False, True]
    assert offset_of(start_update(world, LONG)) == 0


def test_nothing_is_used_before_the_server_has_acknowledged() -> None:
    world = online_world()
    start_update(world, FILE)
    send_chunks(world, FILE)
    world.cloud.answer = lambda message: None
    assert finish_update(world)[-1].code == coap.CHANGED
    world.run(3.0)
    assert world.device.updater.firmware is None
    world.run(100.0)
    assert world.ends[-1][1] is EndReason.MESSAGE_TIMEOUT
    assert world.device.updater.firmware is None


def test_an_update_is_cancelled_and_what_came_is_kept_or_forgotten() -> None:
    world = online_world()
    for discards, kept in ((False, 4 * CHUNK), (True, 0)):
        offset = offset_of(start_update(world, LONG))
        send_chunks(world, LONG, offset, until=4 * CHUNK)
        answers = finish_update(world, cancel=True, discard_data=discards)
        assert [(answer.code, answer.payload) for answer in answers[1:]] == [(coap.CHANGED, b"")]
        assert offset_of(start_update(world, LONG)) == kept
        finish_update(world, cancel=True)
    assert world.device.state is State.ONLINE


def test_an_update_is_resumed_after_the_connection_was_lost() -> None:
    world = online_world()
    start_update(world, LONG)
    send_chunks(world, LONG, until=9 * CHUNK)
    world.deliver(world.cloud.close_notify())
    world.run(1.0)
    offset = offset_of(start_update(world, LONG))
    assert offset == 9 * CHUNK
    send_chunks(world, LONG, offset)
    finish_update(world)
    world.run(5.0)
    assert ended(world) == [0]
    assert [fact.offset_bytes for fact in began(world)] == [0, offset]


def test_a_second_start_goes_on_with_what_came_so_far() -> None:
    world = online_world()
    start_update(world, LONG)
    send_chunks(world, LONG, until=3 * CHUNK)
    assert offset_of(start_update(world, LONG)) == 3 * CHUNK
    assert offset_of(start_update(world, FILE)) == 0
    assert offset_of(start_update(world, LONG)) == 0, "another file has taken its place"


@pytest.mark.parametrize("options", [{"discard_data": True}, {"sha256": None}])
def test_a_start_can_ask_for_the_whole_file(options: dict[str, bool | None]) -> None:
    world = online_world()
    start_update(world, LONG)
    send_chunks(world, LONG, until=3 * CHUNK)
    if "sha256" in options:
        start = UpdateStart(len(LONG), CHUNK)
        answers = world.ask(lambda id_: encode_update_start(id_, TOKEN, start))
    else:
        answers = start_update(world, LONG, discard_data=True)
    assert offset_of(answers) == 0


def test_an_update_without_a_checksum_is_used() -> None:
    world = online_world()
    start = UpdateStart(len(FILE), CHUNK)
    world.ask(lambda id_: encode_update_start(id_, TOKEN, start))
    send_chunks(world, FILE)
    finish_update(world)
    assert ended(world) == [0]


def test_without_a_chunk_for_five_minutes_the_device_gives_up() -> None:
    world = online_world()
    start_update(world, LONG)
    send_chunks(world, LONG, until=3 * CHUNK)
    at = world.now
    world.run(299.0)
    assert world.device.state is State.ONLINE
    world.run(2.0)
    ended_at, reason = world.ends[-1]
    assert reason is EndReason.UPDATE_TIMEOUT
    assert ended_at == pytest.approx(at + 300.0)
    world.run(1.0)
    assert world.handshakes == [False, True]
    assert offset_of(start_update(world, LONG)) == 3 * CHUNK


def test_during_an_update_functions_are_answered_and_nothing_is_published_or_pinged() -> None:
    world = online_world(built_in(event_interval_s=5.0))
    start_update(world, LONG)
    answers = world.ask(lambda id_: encode_function_call(id_, TOKEN, "led", "on"))
    assert answers[-1].payload == bytes((0, 0, 0, 1))
    world.run(1.0)
    before = len(world.cloud.heard)
    world.run(120.0)
    assert len(world.cloud.heard) == before
    assert len(world.of(EventSkipped)) >= 24


def test_the_digest_of_what_was_used_is_told() -> None:
    world = online_world()
    update(world, LONG)
    (fact,) = world.of(UpdateEnded)
    assert isinstance(fact, UpdateEnded)
    assert fact.sha256 == hashlib.sha256(LONG).digest()
