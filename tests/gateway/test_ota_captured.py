"""Transfers against what real firmware said in the captured updates, message by message."""

from collections.abc import Sequence
from typing import TypeVar

from cyan.core.ports import UpdateStage
from cyan.gateway.conversation.ota.current import CurrentTransfer
from cyan.gateway.conversation.ota.legacy import LegacyTransfer
from cyan.gateway.conversation.ota.steps import FINISHED, Ask, Step, Transfer
from cyan.wire import coap
from cyan.wire.messages import (
    Chunk,
    UpdateAck,
    UpdateBegin,
    UpdateChunk,
    UpdateDone,
    UpdateFinish,
    UpdateStart,
    decode_request,
    decode_server_request,
)
from tests.wire import vectors

T = TypeVar("T")

CURRENT = "udp-ota3-lossy.log"
LEGACY = "tcp-ota1.log"


def messages(name: str) -> list[tuple[vectors.CoapLine, coap.Message]]:
    return [
        (
            line,
            coap.Message(
                line.type, line.code, line.message_id, line.token, line.options, line.payload
            ),
        )
        for line in vectors.coap_lines(name)
    ]


def sent_by_the_cloud(name: str, kind: type[T]) -> list[tuple[coap.Message, T]]:
    """Of the test cloud's requests those of this kind, as captured and as values."""
    found: list[tuple[coap.Message, T]] = []
    for line, message in messages(name):
        if not line.from_device and message.type <= coap.NON:
            value = decode_server_request(message)
            if isinstance(value, kind):
                found.append((message, value))
    return found


def written(step: Step, like: coap.Message) -> bytes:
    """What the step would send, with the ids of a captured message."""
    assert isinstance(step, Ask)
    return step.build(like.message_id, like.token)


def take_all(transfer: Transfer, now_s: float) -> list[int]:
    taken: list[int] = []
    while chunks := transfer.take(7, now_s):
        taken.extend(chunks)
    return taken


def file_of(chunks: Sequence[tuple[int, bytes]]) -> bytes:
    return b"".join(data for _, data in sorted(set(chunks)))


def test_the_captured_update_over_udp_goes_as_it_went_then() -> None:
    chunks = [(value.index, value.data) for _, value in sent_by_the_cloud(CURRENT, UpdateChunk)]
    data = file_of(chunks)
    [(start, asked)] = sent_by_the_cloud(CURRENT, UpdateStart)
    assert asked.sha256 is not None
    assert asked.file_size == len(data)
    transfer = CurrentTransfer(memoryview(data), asked.sha256, asked.chunk_size)
    assert written(transfer.start(0.0), start) == coap.encode(start)
    assert transfer.stage is UpdateStage.ASKING

    sent: list[int] = []
    finish: Step = None
    end: Step = None
    for line, message in messages(CURRENT):
        if not line.from_device:
            continue
        if message.code == coap.CREATED:
            assert transfer.on_answer(message, line.at_s) is None
            sent = take_all(transfer, line.at_s)
        elif message.code == coap.CHANGED and finish is not None and end is None:
            end = transfer.on_answer(message, line.at_s)
        elif message.type == coap.NON and message.code == coap.POST:
            said = decode_request(message)
            if isinstance(said, UpdateAck):
                finish = transfer.on_ack(said, line.at_s) or finish
                sent += take_all(transfer, line.at_s)
                assert transfer.confirmed_bytes >= min(said.index * 512, len(data)) > 0

    assert set(sent) == set(range(1, 41))
    # The test cloud lost chunks 6 and 10; nothing else is sent twice. (It was late to send them
    # again, so that acknowledgements of others came meanwhile.)
    assert {chunk for chunk in sent if sent.count(chunk) > 1} == {6, 10}
    assert transfer.resent == len(sent) - 40
    [(captured_finish, _)] = sent_by_the_cloud(CURRENT, UpdateFinish)
    assert written(finish, captured_finish) == coap.encode(captured_finish)
    assert end is FINISHED
    assert transfer.confirmed_bytes == len(data)
    for message, value in sent_by_the_cloud(CURRENT, UpdateChunk):
        assert transfer.encode([value.index], message.message_id)[0] == coap.encode(message)


def test_the_captured_update_over_tcp_goes_as_it_went_then() -> None:
    captured = sent_by_the_cloud(LEGACY, Chunk)
    chunks = [(value.index, value.data) for _, value in captured if value.index is not None]
    data = file_of(chunks)
    [(begin, asked)] = sent_by_the_cloud(LEGACY, UpdateBegin)
    data = data[: asked.file_size]
    # That test cloud filled the last chunk up, as a Core wants it.
    transfer = LegacyTransfer(memoryview(data), asked.chunk_size, is_stream=True, pads=True)
    assert written(transfer.start(0.0), begin) == coap.encode(begin)

    answers = [
        message
        for line, message in messages(LEGACY)
        if line.from_device and message.code == coap.CHANGED
    ]
    assert transfer.on_answer(answers[0], 0.1) is None
    assert take_all(transfer, 0.1) == list(range(len(chunks)))
    [(done, _)] = sent_by_the_cloud(LEGACY, UpdateDone)
    assert written(transfer.on_taken(0.2), done) == coap.encode(done)
    assert transfer.on_answer(answers[1], 0.3) is FINISHED
    for message, value in captured:
        assert value.index is not None
        written_chunk = coap.decode(transfer.encode([value.index], message.message_id)[0])
        assert (written_chunk.options, written_chunk.payload) == (message.options, message.payload)
