"""The protobuf codec against the examples of protobuf's own encoding guide, and at its bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.protobuf.reader import MAX_FIELDS, Field, read_fields
from cyan.wire.protobuf.varint import decode_varint, encode_varint
from cyan.wire.protobuf.writer import (
    bytes_field,
    fixed32_field,
    optional_bytes_field,
    uint_field,
)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        # protobuf.dev/programming-guides/encoding: "Test1 a = 150", "Test2 b = testing", "Test3".
        ("08 96 01", Field(1, 150)),
        ("12 07 74 65 73 74 69 6e 67", Field(2, data=b"testing")),
        ("1a 03 08 96 01", Field(3, data=bytes.fromhex("089601"))),
        ("35 1e 00 00 00", Field(6, 30)),
        ("09 01 00 00 00 00 00 00 80", Field(1, 1 | 1 << 63)),
    ],
)
def test_an_example_reads(text: str, field: Field) -> None:
    assert list(read_fields(bytes.fromhex(text))) == [field]


def test_fields_write_as_the_examples_have_them() -> None:
    assert uint_field(1, 150) == bytes.fromhex("089601")
    assert bytes_field(2, b"testing") == bytes.fromhex("120774657374696e67")
    assert fixed32_field(6, 30) == bytes.fromhex("351e000000")


def test_defaults_are_left_out_but_empty_messages_are_not() -> None:
    assert uint_field(1, 0) == b""
    assert fixed32_field(1, 0) == b""
    assert optional_bytes_field(1, None) == b""
    assert optional_bytes_field(1, b"") == bytes_field(1, b"") == bytes.fromhex("0a00")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "00"), (127, "7f"), (128, "8001"), (140, "8c01"), ((1 << 64) - 1, "ff" * 9 + "01")],
)
def test_varints_read_and_write(value: int, text: str) -> None:
    assert encode_varint(value) == bytes.fromhex(text)
    assert decode_varint(b"\x00" + bytes.fromhex(text), 1) == (value, 1 + len(text) // 2)


@pytest.mark.parametrize(
    ("why", "text"),
    [
        ("no byte", ""),
        ("cut short", "80"),
        ("65 bits", "ff" * 9 + "02"),
        ("eleven bytes", "80" * 10 + "00"),
    ],
)
def test_a_varint_that_is_none_is_malformed(why: str, text: str) -> None:
    with pytest.raises(MalformedError):
        decode_varint(bytes.fromhex(text), 0)


@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_a_varint_out_of_range_is_misuse(value: int) -> None:
    with pytest.raises(MisuseError):
        encode_varint(value)


@pytest.mark.parametrize(
    ("why", "text"),
    [
        ("field number 0", "0001"),
        ("field number over 29 bits", "80808080100000"),
        ("a group", "0b0c"),
        ("wire type 6", "0e00"),
        ("a tag without value", "08"),
        ("bytes cut short", "0a0261"),
        ("a length without end", "0affffffffffffffffff01"),
        ("fixed32 cut short", "0d000000"),
        ("fixed64 cut short", "0900000000000000"),
    ],
)
def test_what_is_no_message_is_malformed(why: str, text: str) -> None:
    with pytest.raises(MalformedError):
        list(read_fields(bytes.fromhex(text)))


def test_the_number_of_fields_is_bounded() -> None:
    field = bytes.fromhex("0801")
    assert len(list(read_fields(field * MAX_FIELDS))) == MAX_FIELDS
    with pytest.raises(MalformedError):
        list(read_fields(field * (MAX_FIELDS + 1)))


def test_a_field_of_another_kind_than_expected_is_malformed() -> None:
    for read in (Field(1, data=b"x").uint, Field(1, 5).raw, Field(1, 5).text):
        with pytest.raises(MalformedError):
            read()
    with pytest.raises(MalformedError):
        Field(1, 1 << 32).uint()
    with pytest.raises(MalformedError):
        Field(1, data=b"\xff").text()
    assert Field(1, data="é".encode()).text() == "é"


@pytest.mark.parametrize("number", [0, 1 << 29])
def test_a_field_number_out_of_range_is_misuse(number: int) -> None:
    with pytest.raises(MisuseError):
        uint_field(number, 1)


def test_a_fixed32_out_of_range_is_misuse() -> None:
    with pytest.raises(MisuseError):
        fixed32_field(1, 1 << 32)


@given(st.lists(st.tuples(st.integers(1, (1 << 29) - 1), st.binary(max_size=30)), max_size=10))
def test_what_is_written_reads_back(values: list[tuple[int, bytes]]) -> None:
    data = b"".join(bytes_field(number, value) for number, value in values)
    assert list(read_fields(data)) == [Field(number, data=value) for number, value in values]


@given(st.binary(max_size=60))
def test_any_bytes_are_fields_or_malformed(data: bytes) -> None:
    try:
        fields = list(read_fields(data))
    except MalformedError:
        return
    assert all((field.integer is None) != (field.data is None) for field in fields)
