"""The messages of updates against the byte examples of device-protocol.md (appendix A, section 5),
both ways, and at their bounds. Captured ones are in test_vectors_coap.py."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyan.wire import coap
from cyan.wire import messages as m
from cyan.wire.errors import MalformedError, MisuseError

SHA256 = bytes(range(32))
DATA = bytes(range(256)) * 2

FROM_SERVER: dict[str, tuple[str, m.ServerRequest, Callable[[], bytes]]] = {
    "UpdateStart (appendix A)": (
        "41 02 12 39 09 b1 53 e2 06 f1 26 ed 4d 13" + SHA256.hex() + "42 02 00",
        m.UpdateStart(9965, 512, SHA256),
        lambda: m.encode_update_start(0x1239, b"\x09", m.UpdateStart(9965, 512, SHA256)),
    ),
    "UpdateStart of an asset that discards": (
        "41 02 12 39 09 b1 53 e2 06 f1 26 ed 82 02 00 40 81 09",
        m.UpdateStart(9965, 512, None, True, 9),
        lambda: m.encode_update_start(0x1239, b"\x09", m.UpdateStart(9965, 512, None, True, 9)),
    ),
    "UpdateChunk (appendix A)": (
        "50 02 12 3a b1 43 e1 06 e9 01 ff" + DATA.hex(),
        m.UpdateChunk(1, DATA),
        lambda: m.encode_update_chunk(0x123A, 1, DATA),
    ),
    "UpdateChunk with an index of two bytes": (
        "50 02 12 3a b1 43 e2 06 e9 0100 ff" + DATA.hex(),
        m.UpdateChunk(256, DATA),
        lambda: m.encode_update_chunk(0x123A, 256, memoryview(DATA)),
    ),
    "UpdateFinish (appendix A)": (
        "41 02 12 3b 0a b1 46",
        m.UpdateFinish(),
        lambda: m.encode_update_finish(0x123B, b"\x0a", m.UpdateFinish()),
    ),
    "UpdateFinish that cancels and discards (section 5.2.3)": (
        "41 02 12 3b 0a b1 46 e0 06fd 40",
        m.UpdateFinish(True, True),
        lambda: m.encode_update_finish(0x123B, b"\x0a", m.UpdateFinish(True, True)),
    ),
    "UpdateBegin (tcp-ota1.log)": (
        "41 02 b8 22 01 b1 75 ff 01 0200 00002372 00 00000000",
        m.UpdateBegin(True, 512, 9074),
        lambda: m.encode_update_begin(0xB822, b"\x01", m.UpdateBegin(True, 512, 9074)),
    ),
    "chunk of the slow mode (section 5.1)": (
        "41 02 00 07 05 b1 63 44 352441c2 ff 616263",
        m.Chunk(0x352441C2, b"abc"),
        lambda: m.encode_chunk(7, b"\x05", b"abc"),
    ),
    "chunk of the fast mode (section 5.1)": (
        "51 02 00 07 05 b1 63 44 352441c2 02 0102 ff 616263",
        m.Chunk(0x352441C2, b"abc", 258),
        lambda: m.encode_chunk(7, b"\x05", memoryview(b"abc"), index=258),
    ),
    "UpdateDone (section 5.1)": (
        "41 03 b8 35 14 b1 75",
        m.UpdateDone(),
        lambda: m.encode_update_done(0xB835, b"\x14"),
    ),
}


@pytest.mark.parametrize(("text", "value", "write"), FROM_SERVER.values(), ids=FROM_SERVER)
def test_what_a_server_sends_reads_and_writes(
    text: str, value: m.ServerRequest, write: Callable[[], bytes]
) -> None:
    data = bytes.fromhex(text)
    assert m.decode_server_request(coap.decode(data)) == value
    assert write() == data


@pytest.mark.parametrize(
    ("text", "ack"),
    [
        ("50 02 00 09 b1 41 e1 06 e9 02", m.UpdateAck(2)),
        ("50 02 00 09 b1 41 e0 06 e9", m.UpdateAck(0)),
        ("50 02 00 09 b1 41 e2 06 e9 0100", m.UpdateAck(256)),
        ("50 02 00 09 b1 41 e1 06 e9 05 ff ee000000", m.UpdateAck(5, 0xEE)),
        ("50 02 00 09 b1 41 e1 06 e9 05 ff eeffffff 03000000", m.UpdateAck(5, 0x3FFFFFFEE)),
    ],
)
def test_acknowledgements_read_and_write(text: str, ack: m.UpdateAck) -> None:
    """The first is of appendix A, those with a bitmap of udp-ota3-lossy.log."""
    data = bytes.fromhex(text)
    assert m.decode_request(coap.decode(data)) == ack
    assert m.read_update_ack(data) == ack
    assert m.encode_update_ack(9, ack) == data


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 1 << 300), st.integers(0, 0xFFFF))
def test_any_acknowledgement_reads_back_both_ways(index: int, bitmap: int, number: int) -> None:
    ack = m.UpdateAck(index, bitmap)
    data = m.encode_update_ack(number, ack)
    assert m.decode_request(coap.decode(data)) == ack
    assert m.read_update_ack(data) == ack


@given(st.binary(max_size=24), st.integers(0, 24), st.booleans())
def test_the_short_way_reads_nothing_that_the_long_way_reads_otherwise(
    noise: bytes, at: int, is_changed: bool
) -> None:
    genuine = bytes.fromhex("50020009b141e206e90100ffee000000")
    data = genuine[:at] + noise + genuine[at + len(noise) * is_changed :]
    short = m.read_update_ack(data)
    if short is not None:
        assert m.decode_request(coap.decode(data)) == short


def test_several_chunks_are_what_each_would_be() -> None:
    data = memoryview(bytes(range(250)) * 600)
    chunks = [1, 2, 255, 256, 257, 292]
    written = m.encode_update_chunks(0xFFFE, chunks, data, 1000, 512)
    for number, (chunk, message) in enumerate(zip(chunks, written, strict=True)):
        start = 1000 + (chunk - 1) * 512
        part = data[start : start + 512]
        assert message == m.encode_update_chunk(0xFFFE + number & 0xFFFF, chunk, part)
    assert len(written[-1]) == len(written[-2]) - 512 + (len(data) - 1000) % 512


@pytest.mark.parametrize("chunks", [range(250, 293), [292], [5, 3, 7], [7, 9, 10], [1, 1]])
def test_chunks_in_any_order_are_what_each_would_be(chunks: Sequence[int]) -> None:
    data = memoryview(bytes(range(250)) * 600)
    written = m.encode_update_chunks(9, chunks, data, 1000, 512)
    assert written == [
        m.encode_update_chunk(9 + i, chunk, data[1000 + (chunk - 1) * 512 :][:512])
        for i, chunk in enumerate(chunks)
    ]


def test_answers_have_the_bytes_of_the_examples() -> None:
    started = bytes.fromhex("41 41 00 10 09 e2 06 f8 01 00 40")
    assert m.encode_update_started(0x10, b"\x09", m.UpdateStarted(256)) == started
    assert m.decode_update_started(coap.decode(started)) == m.UpdateStarted(256, 0)
    resumed = bytes.fromhex("41 41 00 10 09 e2 06 f8 0100 42 2800")
    assert m.decode_update_started(coap.decode(resumed)) == m.UpdateStarted(256, 10240)
    ready = bytes.fromhex("51 44 b82b 01 ff 01")
    assert m.encode_update_ready(0xB82B, b"\x01", fast=True, confirmable=False) == ready
    assert m.decode_update_ready(b"\x01")
    assert not m.decode_update_ready(b"")
    missed = bytes.fromhex("40 01 0007 b1 63 ff 0003 0102")
    assert m.encode_chunk_missed(7, m.ChunkMissed((3, 258))) == missed
    assert m.decode_request(coap.decode(missed)) == m.ChunkMissed((3, 258))
    abort = m.encode_update_abort(7, 3)
    assert m.decode_update_abort(coap.decode(abort)) == 3
    assert m.decode_update_abort(coap.decode(started)) is None
    assert m.decode_update_result(b'{"r":0}') == 0
    assert m.decode_update_result(b"") is None
    assert m.encode_update_result(-210) == b'{"r":-210}'
    counts = m.UpdateStatistics(40, 0, 2, 37, 0)
    finished = coap.decode(m.encode_update_finished(49, b"\x02", counts))
    assert m.decode_update_statistics(finished.payload) == counts
    diagnostic = m.Diagnostic(-1380, "Unknown error")
    assert m.decode_diagnostic(m.encode_diagnostic(diagnostic)) == diagnostic


@pytest.mark.parametrize(
    "read",
    [
        lambda: m.decode_update_result(b"{}"),
        lambda: m.decode_update_result(b'{"r":4294967296}'),
        lambda: m.decode_update_result(b'{"r":0' + b" " * 1100 + b"}"),
        lambda: m.decode_update_statistics(b"[" * 1000),
        lambda: m.decode_diagnostic(b'{"code":-99999999999}'),
        lambda: m.decode_diagnostic(b'{"message":"no code"}'),
        lambda: m.decode_update_ready(b"\1\1"),
        lambda: m.decode_update_started(coap.decode(bytes.fromhex("4141001009"))),
        lambda: m.decode_update_started(coap.decode(bytes.fromhex("4141001009e006f8"))),
        lambda: m.decode_request(coap.decode(bytes.fromhex("50020009b141e106e905ffeeff"))),
        lambda: m.decode_request(coap.decode(bytes.fromhex("50020009b141"))),
        lambda: m.decode_request(coap.decode(bytes.fromhex("40010007b163"))),
        lambda: m.decode_request(coap.decode(bytes.fromhex("40010007b163ff000300"))),
        lambda: m.decode_server_request(coap.decode(bytes.fromhex("4102000705b175ff01"))),
        lambda: m.decode_server_request(coap.decode(bytes.fromhex("4102000705b163ff61"))),
        lambda: m.decode_server_request(coap.decode(bytes.fromhex("50020007b143ff61"))),
        lambda: m.decode_server_request(coap.decode(bytes.fromhex("4102000705b153"))),
    ],
)
def test_content_that_makes_no_sense_is_malformed(read: Callable[[], object]) -> None:
    with pytest.raises(MalformedError) as caught:
        read()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "write",
    [
        lambda: m.encode_update_start(1, b"\1", m.UpdateStart(0, 512)),
        lambda: m.encode_update_start(1, b"\1", m.UpdateStart(1, 510)),
        lambda: m.encode_update_start(1, b"\1", m.UpdateStart(1, 1140)),
        lambda: m.encode_update_start(1, b"", m.UpdateStart(1, 512)),
        lambda: m.encode_update_start(1, b"\1", m.UpdateStart(1, 512, b"short")),
        lambda: m.encode_update_chunk(1, 0, b"x"),
        lambda: m.encode_update_chunk(1, 1, b""),
        lambda: m.encode_chunk(1, b"\1", b"x", index=m.MAX_CHUNKS),
        lambda: m.encode_chunk(1, b"\1", b""),
        lambda: m.encode_chunk_missed(1, m.ChunkMissed(())),
        lambda: m.encode_update_begin(1, b"\1", m.UpdateBegin(True, 1 << 16, 1)),
        lambda: m.encode_update_abort(1, 256),
    ],
)
def test_what_a_device_would_refuse_is_misuse(write: Callable[[], bytes]) -> None:
    with pytest.raises(MisuseError):
        write()
