"""What devices answer in a transfer, and what it means: every refusal, silence and oddity."""

import zlib
from collections.abc import Callable

import pytest

from cyan.core.ports import UpdateStage
from cyan.gateway.conversation.ota import legacy, steps
from cyan.gateway.conversation.ota.current import CurrentTransfer, encode_cancel
from cyan.gateway.conversation.ota.legacy import LegacyTransfer
from cyan.gateway.conversation.ota.steps import FINISHED, Ask, Failed, Step, Transfer, Why
from cyan.wire import coap
from cyan.wire.messages import (
    Chunk,
    ChunkMissed,
    Diagnostic,
    UpdateAck,
    UpdateBegin,
    UpdateDone,
    UpdateFinish,
    UpdateStart,
    UpdateStarted,
    decode_server_request,
    encode_diagnostic,
    encode_update_ready,
    encode_update_started,
)

DATA = memoryview(bytes(range(256)) * 20 + b"end")
SHA256 = bytes(range(32))
CHUNK = 512
COUNT = 11


def current(function: int = 5) -> CurrentTransfer:
    return CurrentTransfer(DATA, SHA256, CHUNK, module_function=function)


def over_udp() -> LegacyTransfer:
    return LegacyTransfer(DATA, CHUNK, is_stream=False)


def over_tcp() -> LegacyTransfer:
    return LegacyTransfer(DATA, CHUNK, is_stream=True)


def asked(step: Step) -> object:
    """What is asked by this step."""
    assert isinstance(step, Ask)
    return decode_server_request(coap.decode(step.build(7, b"\x07")))


def answer(code: int, payload: bytes = b"") -> coap.Message:
    return coap.Message(coap.CON, code, 9, b"\x07", (), payload)


def error(code: int) -> coap.Message:
    return answer(coap.SERVICE_UNAVAILABLE, encode_diagnostic(Diagnostic(code, "Unknown error")))


def started(window: int = 256, offset: int = 0) -> coap.Message:
    return coap.decode(encode_update_started(9, b"\x07", UpdateStarted(window, offset)))


def ready(*, fast: bool) -> coap.Message:
    return coap.decode(encode_update_ready(9, b"\x07", fast=fast))


def taken(transfer: Transfer, now_s: float) -> list[int]:
    found: list[int] = []
    while chunks := transfer.take(7, now_s):
        found.extend(chunks)
    return found


def failed(step: Step) -> tuple[Why, int | None]:
    assert isinstance(step, Failed)
    assert step.text.endswith(".")
    return step.why, step.code


# -- the current protocol ----------------------------------------------------------------------


def test_an_update_starts_with_its_hash_so_that_it_can_be_resumed() -> None:
    assert asked(current().start(0.0)) == UpdateStart(len(DATA), CHUNK, SHA256)


def test_an_asset_says_that_it_is_one() -> None:
    assert asked(current(9).start(0.0)) == UpdateStart(len(DATA), CHUNK, SHA256, False, 9)


@pytest.mark.parametrize("code", [-1380, -1351, -190, -240])
def test_a_refusal_of_the_start_is_told_with_its_code(code: int) -> None:
    transfer = current()
    transfer.start(0.0)
    assert failed(transfer.on_answer(error(code), 1.0)) == (Why.REFUSED, code)


@pytest.mark.parametrize("payload", [b"", b"{", b"[" * 1000, b'{"code":"x"}'])
def test_a_refusal_without_a_reason_is_one_all_the_same(payload: bytes) -> None:
    transfer = current()
    transfer.start(0.0)
    refused = answer(coap.BAD_REQUEST, payload)
    assert failed(transfer.on_answer(refused, 1.0)) == (Why.REFUSED, None)


@pytest.mark.parametrize(
    "nonsense",
    [
        answer(coap.CHANGED),
        answer(coap.CONTENT, b"hello"),
        answer(coap.CREATED),
        started(offset=len(DATA) + 1),
    ],
    ids=["2.04", "2.05", "2.01 without a window", "beyond the end"],
)
def test_nonsense_to_the_start_is_a_refusal(nonsense: coap.Message) -> None:
    transfer = current()
    transfer.start(0.0)
    assert failed(transfer.on_answer(nonsense, 1.0)) == (Why.REFUSED, None)


def test_a_transfer_goes_on_where_the_device_says() -> None:
    transfer = current()
    transfer.start(0.0)
    assert transfer.on_answer(started(offset=1000), 1.0) is None
    assert transfer.confirmed_bytes == 1000
    assert taken(transfer, 1.0) == list(range(1, 10))
    first = decode_server_request(coap.decode(transfer.encode([1], 5)[0]))
    assert first.data == DATA[1000:1512]  # type: ignore[union-attr]
    last = decode_server_request(coap.decode(transfer.encode([9], 5)[0]))
    assert last.data == DATA[1000 + 8 * 512 :]  # type: ignore[union-attr]
    transfer.on_ack(UpdateAck(2), 1.1)
    assert transfer.confirmed_bytes == 2024
    assert asked(transfer.on_ack(UpdateAck(9), 1.2)) == UpdateFinish()
    assert transfer.confirmed_bytes == len(DATA)


def test_a_device_that_has_all_of_it_is_asked_to_finish_at_once() -> None:
    transfer = current()
    transfer.start(0.0)
    assert asked(transfer.on_answer(started(offset=len(DATA)), 1.0)) == UpdateFinish()
    assert transfer.stage is UpdateStage.CHECKING


def finishing() -> CurrentTransfer:
    transfer = current()
    transfer.start(0.0)
    transfer.on_answer(started(offset=len(DATA)), 1.0)
    return transfer


@pytest.mark.parametrize("payload", [b"", b'{"recv_chunks":11}', b"nonsense"])
def test_changed_is_the_end_whatever_it_counts(payload: bytes) -> None:
    assert finishing().on_answer(answer(coap.CHANGED, payload), 2.0) is FINISHED


@pytest.mark.parametrize(
    ("code", "why"),
    [(-1320, Why.REFUSED), (-1360, Why.REFUSED), (-210, Why.INTERRUPTED), (-240, Why.INTERRUPTED)],
)
def test_an_error_at_the_end_tells_what_is_wrong(code: int, why: Why) -> None:
    assert failed(finishing().on_answer(error(code), 2.0)) == (why, code)


def test_each_stage_of_the_current_protocol_has_a_deadline() -> None:
    transfer = current()
    transfer.start(0.0)
    assert transfer.on_time(steps.ANSWER_WITHIN_S - 1) is None
    assert failed(transfer.on_time(steps.ANSWER_WITHIN_S)) == (Why.TIMEOUT, None)

    transfer.on_answer(started(), 100.0)
    taken(transfer, 100.0)
    transfer.on_ack(UpdateAck(2), 130.0)
    assert transfer.on_time(189.0) is None
    assert failed(transfer.on_time(130.0 + steps.PROGRESS_WITHIN_S)) == (Why.INTERRUPTED, None)

    transfer.on_ack(UpdateAck(COUNT - 1), 200.0)
    taken(transfer, 200.0)
    transfer.on_ack(UpdateAck(COUNT), 200.0)
    assert transfer.on_time(200.0 + steps.CHECKED_WITHIN_S - 1) is None
    assert failed(transfer.on_time(200.0 + steps.CHECKED_WITHIN_S)) == (Why.INTERRUPTED, None)


def test_one_chunk_a_minute_is_not_kept_up_for_days() -> None:
    transfer = CurrentTransfer(memoryview(bytes(512 * 1000)), SHA256, CHUNK)
    transfer.start(0.0)
    transfer.on_answer(started(), 1.0)
    now_s, step = 1.0, None
    for count in range(1, 1000):
        now_s += 50
        taken(transfer, now_s)
        transfer.on_ack(UpdateAck(count), now_s)
        step = transfer.on_time(now_s)
        if step is not None:
            break
    assert failed(step) == (Why.INTERRUPTED, None)
    assert now_s < steps.longest_s(512_000) + 100


def test_acknowledgements_before_the_start_and_after_the_end_change_nothing() -> None:
    transfer = current()
    transfer.start(0.0)
    assert transfer.on_ack(UpdateAck(5), 0.5) is None
    assert not transfer.take(1, 0.5)
    assert transfer.on_missed(ChunkMissed((1,)), 0.5) is None
    assert transfer.on_taken(0.5) is None
    ended = finishing()
    assert ended.on_ack(UpdateAck(0), 2.0) is None
    assert ended.stage is UpdateStage.CHECKING


def test_who_cancels_lets_the_device_keep_what_it_has() -> None:
    assert asked(Ask(encode_cancel)) == UpdateFinish(cancel=True)


# -- the legacy protocol -----------------------------------------------------------------------


@pytest.mark.parametrize("make", [over_udp, over_tcp])
def test_a_legacy_update_offers_the_fast_mode(make: Callable[[], LegacyTransfer]) -> None:
    assert asked(make().start(0.0)) == UpdateBegin(True, CHUNK, len(DATA))


@pytest.mark.parametrize("make", [current, over_udp, over_tcp])
def test_a_device_that_does_not_answer_is_a_time_out(make: Callable[[], Transfer]) -> None:
    transfer = make()
    transfer.start(0.0)
    assert failed(transfer.on_unanswered("timeout", 65.0)) == (Why.TIMEOUT, None)
    assert failed(transfer.on_unanswered("reset", 65.0)) == (Why.REFUSED, None)


def refused() -> LegacyTransfer:
    """The device has said 5.03, and is asked whether it is in the middle of an earlier update."""
    transfer = over_udp()
    transfer.start(0.0)
    assert asked(transfer.on_answer(answer(coap.SERVICE_UNAVAILABLE), 1.0)) == UpdateDone()
    assert transfer.stage is UpdateStage.ASKING
    return transfer


@pytest.mark.parametrize("payload", [b'{"r":-210}', b"garbage"])
def test_a_legacy_refusal_has_no_code(payload: bytes) -> None:
    step = refused().on_answer(answer(coap.CHANGED, payload), 2.0)
    assert failed(step) == (Why.REFUSED, None)
    # Without an answer there is no telling.
    assert failed(refused().on_unanswered("timeout", 70.0)) == (Why.INTERRUPTED, None)
    assert refused().on_time(1.0 + steps.ANSWER_WITHIN_S - 1) is None
    assert failed(refused().on_time(1.0 + steps.ANSWER_WITHIN_S)) == (Why.INTERRUPTED, None)
    other = refused().on_answer(answer(coap.SERVICE_UNAVAILABLE), 2.0)
    assert failed(other) == (Why.REFUSED, None)


def test_a_legacy_update_that_a_dead_server_began_is_gone_on_with() -> None:
    transfer = refused()
    assert transfer.on_answer(answer(coap.BAD_REQUEST), 2.0) is None
    assert transfer.stage is UpdateStage.SENDING
    # The list of what it lacks is not waited for.
    assert transfer.on_missed(ChunkMissed((3,)), 2.0) is None
    assert taken(transfer, 4.0) == list(range(COUNT))
    assert asked(transfer.on_taken(4.0)) == UpdateDone()
    assert transfer.on_answer(answer(coap.CHANGED, b'{"r":0}'), 5.0) is FINISHED


def test_a_legacy_update_whose_end_a_dead_server_asked_for_is_done() -> None:
    assert refused().on_answer(answer(coap.CHANGED, b'{"r":0}'), 2.0) is FINISHED


def test_a_legacy_update_that_the_device_gives_up_may_begin_anew() -> None:
    step = refused().on_answer(answer(coap.CHANGED, b'{"r":-1320}'), 2.0)
    assert failed(step) == (Why.INTERRUPTED, None)


def test_nonsense_to_the_beginning_is_a_refusal() -> None:
    for nonsense in (answer(coap.CONTENT), answer(coap.CHANGED, b"no byte")):
        transfer = over_tcp()
        transfer.start(0.0)
        assert failed(transfer.on_answer(nonsense, 1.0)) == (Why.REFUSED, None)


def test_in_the_slow_mode_each_chunk_waits_for_the_one_before() -> None:
    transfer = over_udp()
    transfer.start(0.0)
    step = transfer.on_answer(ready(fast=False), 1.0)
    got = []
    for _ in range(COUNT):
        chunk = asked(step)
        assert isinstance(chunk, Chunk)
        assert chunk.index is None
        assert chunk.is_intact
        assert not transfer.take(1, 1.0)
        assert transfer.on_taken(1.0) is None
        got.append(chunk.data)
        step = transfer.on_answer(answer(coap.CHANGED), 1.0)
    assert b"".join(got) == DATA
    assert asked(step) == UpdateDone()
    assert transfer.on_answer(answer(coap.CHANGED, b'{"r":0}'), 2.0) is FINISHED


def test_in_the_slow_mode_a_damaged_chunk_comes_again_until_it_is_hopeless() -> None:
    transfer = over_udp()
    transfer.start(0.0)
    first = transfer.on_answer(ready(fast=False), 1.0)
    for _ in range(legacy.SAME_ROUNDS):
        again = transfer.on_answer(answer(coap.BAD_REQUEST), 1.0)
        assert asked(again) == asked(first)
    assert transfer.resent == legacy.SAME_ROUNDS
    hopeless = transfer.on_answer(answer(coap.BAD_REQUEST), 1.0)
    assert failed(hopeless) == (Why.INTERRUPTED, None)


def fast(make: Callable[[], LegacyTransfer] = over_tcp) -> LegacyTransfer:
    """All chunks are sent, and UpdateDone."""
    transfer = make()
    transfer.start(0.0)
    assert transfer.on_answer(ready(fast=True), 1.0) is None
    assert taken(transfer, 2.0) == list(range(COUNT))
    assert asked(transfer.on_taken(2.0)) == UpdateDone()
    return transfer


@pytest.mark.parametrize("make", [over_udp, over_tcp])
def test_missed_chunks_are_sent_again_and_then_the_end(
    make: Callable[[], LegacyTransfer],
) -> None:
    transfer = fast(make)
    assert transfer.on_answer(answer(coap.BAD_REQUEST), 3.0) is None
    assert not transfer.take(1, 3.0)
    assert transfer.on_missed(ChunkMissed((3, 7, COUNT)), 3.1) is None
    assert taken(transfer, 4.0) == [3, 7]
    assert transfer.resent == 2
    assert asked(transfer.on_taken(4.0)) == UpdateDone()
    assert transfer.on_answer(answer(coap.CHANGED, b'{"r":0}'), 5.0) is FINISHED


def test_the_list_of_missed_chunks_may_come_first() -> None:
    transfer = fast()
    transfer.on_missed(ChunkMissed((3,)), 2.9)
    assert not transfer.take(1, 2.9)
    transfer.on_answer(answer(coap.BAD_REQUEST), 3.0)
    assert taken(transfer, 3.0) == [3]


def test_without_a_list_the_end_is_asked_for_again() -> None:
    transfer = fast()
    transfer.on_answer(answer(coap.BAD_REQUEST), 3.0)
    assert transfer.on_time(3.0 + legacy.MISSED_WITHIN_S - 1) is None
    assert asked(transfer.on_time(3.0 + legacy.MISSED_WITHIN_S)) == UpdateDone()


def test_chunks_that_never_arrive_end_it() -> None:
    transfer = fast()
    now_s = 3.0
    for _ in range(legacy.SAME_ROUNDS + 1):
        transfer.on_answer(answer(coap.BAD_REQUEST), now_s)
        assert transfer.on_missed(ChunkMissed((3,)), now_s) is None
        assert taken(transfer, now_s) == [3]
        assert asked(transfer.on_taken(now_s)) == UpdateDone()
        now_s += 1
    transfer.on_answer(answer(coap.BAD_REQUEST), now_s)
    assert failed(transfer.on_missed(ChunkMissed((3,)), now_s)) == (Why.INTERRUPTED, None)


@pytest.mark.parametrize(
    ("payload", "end"),
    [
        (b"", None),
        (b'{"r":0}', None),
        (b'{"r":0,"s":"x"}', None),
        (b'{"r":-210}', (Why.INTERRUPTED, -210)),
        (b'{"r":-1320}', (Why.REFUSED, -1320)),
        (b"garbage", (Why.REFUSED, None)),
    ],
)
def test_changed_alone_is_no_success(payload: bytes, end: tuple[Why, int | None] | None) -> None:
    step = fast().on_answer(answer(coap.CHANGED, payload), 3.0)
    assert step is FINISHED if end is None else failed(step) == end


def test_over_udp_many_missed_chunks_slow_it_down() -> None:
    data = memoryview(bytes(512 * 2000))
    transfer = LegacyTransfer(data, CHUNK, is_stream=False)
    transfer.start(0.0)
    transfer.on_answer(ready(fast=True), 0.0)

    def rate(now_s: float) -> int:
        """Chunks in half a second, taken at ten turns."""
        return sum(len(taken(transfer, now_s + turn * 0.05)) for turn in range(1, 11))

    assert rate(0.0) == pytest.approx(legacy.CHUNKS_PER_S / 2, abs=2)
    now_s = 1.0
    while transfer.on_taken(now_s) is None:
        now_s += 0.05
        taken(transfer, now_s)
    transfer.on_answer(answer(coap.BAD_REQUEST), now_s)
    transfer.on_missed(ChunkMissed(tuple(range(40))), now_s)
    sent = 0
    first_s = now_s
    while transfer.on_taken(now_s) is None:
        now_s += 0.05
        sent += len(taken(transfer, now_s))
    assert sent == 40
    assert now_s - first_s == pytest.approx(40 / (legacy.CHUNKS_PER_S / 2), abs=0.1)


def test_each_stage_of_the_legacy_protocol_has_a_deadline() -> None:
    transfer = over_tcp()
    transfer.start(0.0)
    assert failed(transfer.on_time(steps.ANSWER_WITHIN_S)) == (Why.TIMEOUT, None)
    transfer.on_answer(ready(fast=True), 50.0)
    transfer.take(1, 50.0)
    # The connection takes nothing any more.
    assert transfer.on_time(50.0 + steps.PROGRESS_WITHIN_S - 1) is None
    stuck = transfer.on_time(50.0 + steps.PROGRESS_WITHIN_S)
    assert failed(stuck) == (Why.INTERRUPTED, None)
    done = fast()
    assert done.on_time(2.0 + steps.CHECKED_WITHIN_S - 1) is None
    assert failed(done.on_time(2.0 + steps.CHECKED_WITHIN_S)) == (Why.INTERRUPTED, None)


def test_the_last_chunk_is_filled_up_for_a_core_only() -> None:
    core = LegacyTransfer(DATA, CHUNK, is_stream=True, pads=True)
    last = decode_server_request(coap.decode(core.encode([COUNT - 1], 5)[0]))
    assert isinstance(last, Chunk)
    assert last.data == bytes(DATA[10 * 512 :]).ljust(512, b"\0")
    assert last.crc32 == zlib.crc32(last.data)
    other = decode_server_request(coap.decode(over_tcp().encode([COUNT - 1], 5)[0]))
    assert isinstance(other, Chunk)
    assert other.data == DATA[10 * 512 :]
