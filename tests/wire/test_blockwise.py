"""Describes in blocks: Block options (RFC 7959) and their reassembly (device-protocol.md 2.5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyan.wire import coap
from cyan.wire.blockwise import (
    MAX_BLOCKS,
    MAX_DESCRIBE_BYTES,
    SZX_512,
    SZX_1024,
    Block,
    Reassembly,
    decode_block,
    encode_block,
    find_block,
    split,
)
from cyan.wire.errors import MalformedError, MisuseError

SYSTEM = 1
APPLICATION = 2


@pytest.mark.parametrize(
    ("block", "text"),
    [
        # device-protocol.md appendix A: the first of several blocks of 1024 bytes.
        (Block(0, True, SZX_1024), "0e"),
        # RFC 7959 section 3.2, figures 7 to 9: 1:0/1/128 and 1:3/0/128 at szx 3.
        (Block(0, True, 3), "0b"),
        (Block(3, False, 3), "33"),
        (Block(0, False, 0), ""),
        (Block(16, False, SZX_512), "0105"),
        (Block(MAX_BLOCKS - 1, True, SZX_512), "07fd"),
    ],
)
def test_a_block_option_reads_and_writes(block: Block, text: str) -> None:
    assert decode_block(bytes.fromhex(text)) == block
    assert encode_block(block) == bytes.fromhex(text)


def test_a_block_has_16_bytes_at_szx_0_and_1024_at_szx_6() -> None:
    assert Block(0, False, 0).size_bytes == 16
    assert Block(0, False, SZX_512).size_bytes == 512
    assert Block(0, False, SZX_1024).size_bytes == 1024


@pytest.mark.parametrize("text", ["0f", "0806", "ffffff", "0000000000"])
def test_a_reserved_size_or_a_number_over_the_bound_is_malformed(text: str) -> None:
    with pytest.raises(MalformedError):
        decode_block(bytes.fromhex(text))


@pytest.mark.parametrize("block", [Block(MAX_BLOCKS, False, 6), Block(0, False, 7)])
def test_a_block_out_of_range_is_misuse(block: Block) -> None:
    with pytest.raises(MisuseError):
        encode_block(block)


def test_the_block_of_a_message_is_found() -> None:
    message = coap.Message(coap.CON, coap.POST, 1, b"", ((coap.BLOCK1, b"\x0e"),))
    assert find_block(message, coap.BLOCK1) == Block(0, True, SZX_1024)
    assert find_block(message, coap.BLOCK2) is None


@pytest.mark.parametrize(
    ("size", "lengths"),
    [(0, [0]), (1, [1]), (512, [512]), (513, [512, 1]), (1024, [512, 512]), (1025, [512, 512, 1])],
)
def test_a_payload_is_cut_into_full_blocks_and_a_rest(size: int, lengths: list[int]) -> None:
    parts = split(bytes(size), SZX_512)
    assert [len(payload) for _, payload in parts] == lengths
    assert [block.number for block, _ in parts] == list(range(len(lengths)))
    assert [block.more for block, _ in parts] == [True] * (len(lengths) - 1) + [False]


@given(st.binary(min_size=1, max_size=5000), st.sampled_from([4, SZX_512, SZX_1024]))
def test_what_was_cut_comes_together_again(payload: bytes, szx: int) -> None:
    reassembly = Reassembly()
    parts = split(payload, szx)
    results = [reassembly.feed(SYSTEM, block, part) for block, part in parts]
    assert results[:-1] == [None] * (len(parts) - 1)
    assert results[-1] == payload
    assert not reassembly.is_open


def test_the_largest_describe_comes_together_and_one_byte_more_does_not() -> None:
    reassembly = Reassembly()
    payload = bytes(MAX_DESCRIBE_BYTES)
    whole = [reassembly.feed(SYSTEM, block, part) for block, part in split(payload, SZX_512)]
    assert whole[-1] == payload
    with pytest.raises(MalformedError):
        for block, part in split(payload + b"x", SZX_512):
            reassembly.feed(SYSTEM, block, part)
    assert not reassembly.is_open


def test_the_number_of_small_blocks_is_bounded() -> None:
    reassembly = Reassembly()
    for number in range(MAX_BLOCKS):
        assert reassembly.feed(SYSTEM, Block(number, True, 0), bytes(16)) is None
    with pytest.raises(MalformedError):
        reassembly.feed(SYSTEM, Block(MAX_BLOCKS, True, 0), bytes(16))


def test_a_transfer_is_open_from_its_first_block_on() -> None:
    reassembly = Reassembly()
    reassembly.feed(SYSTEM, Block(0, True, SZX_512), bytes(512))
    assert reassembly.is_open


def test_block_0_starts_anew() -> None:
    reassembly = Reassembly()
    old, new = split(b"o" * 600, SZX_512), split(b"n" * 600, SZX_512)
    assert reassembly.feed(SYSTEM, *old[0]) is None
    assert reassembly.feed(SYSTEM, *new[0]) is None
    assert reassembly.feed(SYSTEM, *new[1]) == b"n" * 600


def test_the_block_that_came_last_may_come_twice() -> None:
    reassembly = Reassembly()
    parts = split(bytes(range(256)) * 5, SZX_512)
    assert reassembly.feed(SYSTEM, *parts[0]) is None
    assert reassembly.feed(SYSTEM, *parts[1]) is None
    assert reassembly.feed(SYSTEM, *parts[1]) is None
    assert reassembly.feed(SYSTEM, *parts[2]) == bytes(range(256)) * 5


@pytest.mark.parametrize(
    ("why", "flags", "block", "payload"),
    [
        ("a block left out", SYSTEM, Block(2, False, SZX_512), b"x"),
        ("another describe", APPLICATION, Block(1, False, SZX_512), b"x"),
        ("another size", SYSTEM, Block(1, False, SZX_1024), b"x"),
        ("a short block in the middle", SYSTEM, Block(1, True, SZX_512), bytes(511)),
        ("a long block in the middle", SYSTEM, Block(1, True, SZX_512), bytes(513)),
        ("a last block that is too long", SYSTEM, Block(1, False, SZX_512), bytes(513)),
        ("an empty last block", SYSTEM, Block(1, False, SZX_512), b""),
    ],
)
def test_a_block_that_does_not_continue_ends_the_transfer(
    why: str, flags: int, block: Block, payload: bytes
) -> None:
    reassembly = Reassembly()
    assert reassembly.feed(SYSTEM, Block(0, True, SZX_512), bytes(512)) is None
    with pytest.raises(MalformedError):
        reassembly.feed(flags, block, payload)
    assert not reassembly.is_open
    with pytest.raises(MalformedError):
        reassembly.feed(SYSTEM, Block(1, False, SZX_512), b"rest")


def test_other_bytes_under_the_last_number_end_the_transfer() -> None:
    reassembly = Reassembly()
    reassembly.feed(SYSTEM, Block(0, True, SZX_512), bytes(512))
    reassembly.feed(SYSTEM, Block(1, True, SZX_512), bytes(512))
    with pytest.raises(MalformedError):
        reassembly.feed(SYSTEM, Block(1, True, SZX_512), b"x" * 512)
    assert not reassembly.is_open


@given(
    st.lists(
        st.tuples(
            st.integers(1, 3),
            st.builds(Block, st.integers(0, 3), st.booleans(), st.integers(0, 1)),
            st.binary(max_size=40) | st.sampled_from([bytes(16), bytes(32)]),
        ),
        max_size=12,
    )
)
def test_any_blocks_give_a_describe_nothing_or_malformed(
    feeds: list[tuple[int, Block, bytes]],
) -> None:
    reassembly = Reassembly()
    for flags, block, payload in feeds:
        try:
            whole = reassembly.feed(flags, block, payload)
        except MalformedError:
            assert not reassembly.is_open
        else:
            assert whole is None or (not block.more and whole.endswith(payload))
