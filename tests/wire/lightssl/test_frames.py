"""Frames: the vector of device-protocol.md §1.3.2, streams cut anywhere, hostile streams."""

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from hypothesis import given
from hypothesis import strategies as st

from cyan.wire import coap
from cyan.wire.coap import MAX_MESSAGE
from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.lightssl.frames import MAX_FRAME_BYTES, Channel
from tests.wire import vectors

KEY, IV = bytes(range(16)), bytes(range(16, 32))
SESSION = KEY + IV + bytes(8)
VECTOR = (
    (bytes.fromhex("50020001b168"), bytes.fromhex("0010d2b521aa68b3b7a0926c427fc26fab7f")),
    (bytes.fromhex("40000002"), bytes.fromhex("0010762bdcb7f56bac37a2e8d0226a821f05")),
)


def cbc_frame(iv: bytes, plaintext: bytes) -> bytes:
    """A frame of whole blocks by the book, one cipher for it alone."""
    encryptor = Cipher(AES(KEY), CBC(iv)).encryptor()
    body = encryptor.update(plaintext) + encryptor.finalize()
    return len(body).to_bytes(2, "big") + body


def as_bytes(line: vectors.CoapLine) -> bytes:
    return coap.encode(
        coap.Message(line.type, line.code, line.message_id, line.token, line.options, line.payload)
    )


def test_the_vector_is_sealed_and_opened() -> None:
    sender, receiver = Channel(SESSION), Channel(SESSION)
    for content, frame in VECTOR:
        assert sender.seal(content) == frame
        assert receiver.feed(frame) == [content]


def test_the_next_iv_is_the_first_block_and_not_the_last() -> None:
    long = bytes(range(40))
    first = cbc_frame(IV, long + b"\x08" * 8)
    second = cbc_frame(first[2:18], b"short" + b"\x0b" * 11)
    sender, receiver = Channel(SESSION), Channel(SESSION)
    assert [sender.seal(long), sender.seal(b"short")] == [first, second]
    assert receiver.feed(first + second) == [long, b"short"]


def test_the_directions_do_not_touch_each_other() -> None:
    device, server = Channel(SESSION), Channel(SESSION)
    for content, frame in VECTOR:
        assert device.seal(content) == frame
        assert server.seal(content) == frame
        assert device.feed(frame) == server.feed(frame) == [content]


@pytest.mark.parametrize("name", vectors.TCP_LOGS)
def test_captured_conversations_cross_a_channel_and_come_out_to_the_byte(name: str) -> None:
    for connection in vectors.tcp_connections(name):
        device, server = Channel(SESSION), Channel(SESSION)
        for line in connection.lines:
            data = as_bytes(line)
            if line.from_device:
                assert server.feed(device.seal(data)) == [data]
            else:
                assert device.feed(server.seal(data)) == [data]


def test_the_captured_stream_opens_to_its_messages_and_is_sealed_to_the_byte() -> None:
    server = Channel(vectors.tcp_secrets()["SESSION"])
    [connection] = vectors.tcp_connections(vectors.TCP_WITH_KEYS)
    frames = vectors.datagrams(vectors.TCP_WITH_KEYS)
    logged = {
        from_device: [
            as_bytes(line) for line in connection.lines if line.from_device == from_device
        ]
        for from_device in (True, False)
    }
    stream = b"".join(frame.data for frame in frames if frame.from_device)
    found: list[bytes] = []
    for start in range(0, len(stream), 37):
        found += server.feed(stream[start : start + 37])
    assert found == logged[True]
    sent = [frame.data for frame in frames if not frame.from_device]
    assert [server.seal(content) for content in logged[False]] == sent


@given(st.lists(st.binary(max_size=70), max_size=6), st.integers(1, 50))
def test_a_stream_cut_anywhere_gives_the_same_contents(contents: list[bytes], step: int) -> None:
    sender = Channel(SESSION)
    stream = b"".join(sender.seal(content) for content in contents)
    assert Channel(SESSION).feed(stream) == contents
    receiver = Channel(SESSION)
    found: list[bytes] = []
    for start in range(0, len(stream), step):
        found += receiver.feed(stream[start : start + step])
    assert found == contents
    assert receiver.feed(b"") == []


def test_the_longest_message_passes_and_a_longer_one_is_our_mistake() -> None:
    sender, receiver = Channel(SESSION), Channel(SESSION)
    content = bytes(MAX_MESSAGE)
    frame = sender.seal(content)
    assert len(frame) == 2 + MAX_FRAME_BYTES
    assert receiver.feed(frame) == [content]
    with pytest.raises(MisuseError):
        sender.seal(content + b"x")
    assert receiver.feed(sender.seal(b"goes on")) == [b"goes on"]


@pytest.mark.parametrize(
    "size", [0, 1, 15, 17, MAX_FRAME_BYTES + 1, MAX_FRAME_BYTES + 16, 0xFFF0, 0xFFFF]
)
def test_a_length_that_no_frame_has_ends_the_stream_before_its_body_comes(size: int) -> None:
    receiver = Channel(SESSION)
    assert receiver.feed(VECTOR[0][1] + size.to_bytes(2, "big")[:1]) == [VECTOR[0][0]]
    with pytest.raises(MalformedError):
        receiver.feed(size.to_bytes(2, "big")[1:])


@pytest.mark.parametrize(
    "end", [b"\x00", b"\x11", b"\xff", b"\x03\x02", b"\x02\x02\x03", b"\x0f" + b"\x10" * 15]
)
def test_wrong_padding_ends_the_stream(end: bytes) -> None:
    receiver = Channel(SESSION)
    with pytest.raises(MalformedError):
        receiver.feed(cbc_frame(IV, end.rjust(16, b"x")))


def test_a_whole_block_of_padding_is_an_empty_content() -> None:
    assert Channel(SESSION).feed(cbc_frame(IV, b"\x10" * 16)) == [b""]
    assert Channel(SESSION).seal(b"") == cbc_frame(IV, b"\x10" * 16)


def test_a_stream_out_of_step_stays_so() -> None:
    receiver = Channel(SESSION)
    with pytest.raises(MalformedError):
        receiver.feed(b"\0\0")
    for _ in range(2):
        with pytest.raises(MalformedError):
            receiver.feed(VECTOR[0][1])
    with pytest.raises(MalformedError):
        receiver.feed(b"")


def test_a_session_of_another_length_is_our_mistake() -> None:
    with pytest.raises(MisuseError):
        Channel(SESSION[:-1])


@given(st.lists(st.binary(max_size=80) | st.just(VECTOR[0][1]), max_size=5))
def test_any_stream_gives_contents_or_is_malformed(pieces: list[bytes]) -> None:
    receiver = Channel(SESSION)
    for piece in pieces:
        try:
            contents = receiver.feed(piece)
        except MalformedError:
            return
        assert all(len(content) <= MAX_MESSAGE + 15 for content in contents)
