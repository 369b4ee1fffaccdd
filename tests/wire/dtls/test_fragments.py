"""Handshake messages in fragments: any cut, any order, bounds."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyan.wire.dtls.handshake import (
    CERTIFICATE,
    FINISHED,
    MAX_FRAGMENTS_PER_RECORD,
    MAX_MESSAGE_BYTES,
    MAX_MESSAGES_AHEAD,
    Fragment,
    Reassembly,
    decode_fragments,
    encode_fragments,
    encode_message,
)
from cyan.wire.errors import MalformedError, MisuseError


def header(length: int, offset: int, size: int, sequence: int = 0) -> bytes:
    return (
        b"\x0b"
        + length.to_bytes(3, "big")
        + sequence.to_bytes(2, "big")
        + offset.to_bytes(3, "big")
        + size.to_bytes(3, "big")
    )


@given(body=st.binary(max_size=200), size=st.integers(13, 80), order=st.randoms())
def test_fragments_in_any_order_and_twice_give_the_message(
    body: bytes, size: int, order: Random
) -> None:
    message = encode_message(CERTIFICATE, 3, body)
    parts = encode_fragments(message, size) * 2
    assert all(len(part) <= size for part in parts)
    order.shuffle(parts)
    reassembly = Reassembly(3)
    found = []
    for part in parts:
        for fragment in decode_fragments(part):
            reassembly.add(fragment)
            if (whole := reassembly.next_message()) is not None:
                found.append(whole)
    assert found == [message]


def test_fragments_that_overlap_give_the_message() -> None:
    reassembly = Reassembly(0)
    for offset, data in ((0, b"abcd"), (6, b"ghij"), (2, b"cdefgh")):
        assert reassembly.next_message() is None
        reassembly.add(Fragment(CERTIFICATE, 10, 0, offset, data))
    message = reassembly.next_message()
    assert message is not None
    assert message.body == b"abcdefghij"


def test_messages_come_in_order_however_they_arrive() -> None:
    messages = [encode_message(CERTIFICATE, n, bytes([n])) for n in range(5)]
    reassembly = Reassembly(0)
    for message in messages[:0:-1]:
        reassembly.add(decode_fragments(message.encoded)[0])
        assert reassembly.next_message() is None
    reassembly.add(decode_fragments(messages[0].encoded)[0])
    assert [reassembly.next_message() for _ in range(6)] == [*messages, None]


def test_what_is_past_or_far_ahead_is_left_out() -> None:
    reassembly = Reassembly(1)
    for sequence in (0, 1 + MAX_MESSAGES_AHEAD):
        reassembly.add(Fragment(FINISHED, 0, sequence, 0, b""))
    assert reassembly.next_message() is None
    for sequence in range(1, 1 + MAX_MESSAGES_AHEAD):
        reassembly.add(Fragment(FINISHED, 0, sequence, 0, b""))
    count = 0
    while reassembly.next_message():
        count += 1
    assert count == MAX_MESSAGES_AHEAD


@pytest.mark.parametrize(("message_type", "length"), [(FINISHED, 4), (CERTIFICATE, 5)])
def test_fragments_that_disagree_are_malformed_and_harmless(message_type: int, length: int) -> None:
    reassembly = Reassembly(0)
    reassembly.add(Fragment(CERTIFICATE, 4, 0, 0, b"ab"))
    with pytest.raises(MalformedError):
        reassembly.add(Fragment(message_type, length, 0, 0, b"xyz"))
    reassembly.add(Fragment(CERTIFICATE, 4, 0, 2, b"cd"))
    message = reassembly.next_message()
    assert message is not None
    assert message.body == b"abcd"


@pytest.mark.parametrize(
    "content",
    [
        b"\x0b",
        header(4, 0, 4) + b"abc",
        header(4, 2, 3) + b"abc",
        header(MAX_MESSAGE_BYTES + 1, 0, 1) + b"a",
        header(0, 0, 0) * (MAX_FRAGMENTS_PER_RECORD + 1),
        header(0xFFFFFF, 0, 0),
    ],
)
def test_fragments_out_of_bounds_are_malformed(content: bytes) -> None:
    with pytest.raises(MalformedError):
        decode_fragments(content)


def test_as_many_fragments_as_the_bounds_allow_are_read() -> None:
    content = header(0, 0, 0) * MAX_FRAGMENTS_PER_RECORD
    assert len(decode_fragments(content)) == MAX_FRAGMENTS_PER_RECORD
    longest = header(MAX_MESSAGE_BYTES, 0, MAX_MESSAGE_BYTES) + bytes(MAX_MESSAGE_BYTES)
    assert decode_fragments(longest)[0].is_whole


def test_a_fragment_without_room_for_a_byte_is_our_mistake() -> None:
    with pytest.raises(MisuseError):
        encode_fragments(encode_message(CERTIFICATE, 0, b"body"), 12)


@given(st.binary(max_size=100))
def test_any_bytes_are_fragments_or_malformed(data: bytes) -> None:
    try:
        fragments = decode_fragments(data)
    except MalformedError:
        return
    assert sum(12 + len(fragment.data) for fragment in fragments) == len(data)
