"""JSON as CBOR for devices. The examples are those of RFC 8949, appendix A."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyan.events import cbor
from cyan.ledgers.cbor import IntegerRangeError, encode

RFC_8949 = [
    (0, "00"),
    (23, "17"),
    (24, "1818"),
    (1000, "1903e8"),
    (1000000, "1a000f4240"),
    (18446744073709551615, "1bffffffffffffffff"),
    (-1, "20"),
    (-1000, "3903e7"),
    (-18446744073709551616, "3bffffffffffffffff"),
    (1.1, "fb3ff199999999999a"),
    (100000.0, "fa47c35000"),
    (3.4028234663852886e38, "fa7f7fffff"),
    (1.0e300, "fb7e37e43c8800759c"),
    (False, "f4"),
    (True, "f5"),
    (None, "f6"),
    ("", "60"),
    ("IETF", "6449455446"),
    ("ü", "62c3bc"),
    ([], "80"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    ({}, "a0"),
    ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
    ({"_type": "buffer", "_data": "AQIDBA=="}, "4401020304"),
]

integers = st.integers(-(1 << 63), (1 << 64) - 1)
scalars = st.none() | st.booleans() | integers | st.floats(allow_nan=False) | st.text(max_size=9)
keys = st.text(max_size=5)
documents = st.dictionaries(
    keys,
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=3,
)


@pytest.mark.parametrize(("value", "expected"), RFC_8949)
def test_examples_of_the_standard(value: object, expected: str) -> None:
    assert encode(value).hex() == expected


@pytest.mark.parametrize(
    "value", [{"_type": "buffer", "_data": "not base64!"}, {"_type": "buffer", "_data": 7}]
)
def test_what_only_looks_like_a_buffer_stays_an_object(value: object) -> None:
    assert cbor.decode(encode(value)) == value


@pytest.mark.parametrize("value", [1 << 64, -(1 << 64) - 1, 10**400])
def test_a_whole_number_of_more_than_64_bits_is_refused(value: int) -> None:
    with pytest.raises(IntegerRangeError):
        encode({"n": value})


@given(documents)
def test_what_is_written_is_read_again(document: dict[str, object]) -> None:
    assert cbor.decode(encode(document)) == _as_read(document)


def _as_read(value: object) -> object:
    """Infinities, which JSON lacks, become null."""
    if isinstance(value, dict):
        return {key: _as_read(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_read(each) for each in value]
    if isinstance(value, float) and math.isinf(value):
        return None
    return value
