"""CBOR against the examples of RFC 8949, Appendix A, and against damaged input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyan.events.cbor import MAX_DEPTH, decode
from cyan.wire.errors import MalformedError

RFC_8949_APPENDIX_A: list[tuple[str, object]] = [
    ("00", 0),
    ("17", 23),
    ("1818", 24),
    ("1903e8", 1000),
    ("1a000f4240", 1_000_000),
    ("1b000000e8d4a51000", 1_000_000_000_000),
    ("1bffffffffffffffff", 18446744073709551615),
    ("20", -1),
    ("3903e7", -1000),
    ("3bffffffffffffffff", -18446744073709551616),
    ("f90000", 0.0),
    ("f93c00", 1.0),
    ("fb3ff199999999999a", 1.1),
    ("f97bff", 65504.0),
    ("fa47c35000", 100000.0),
    ("fb7e37e43c8800759c", 1.0e300),
    ("f90001", 5.960464477539063e-8),
    ("fbc010666666666666", -4.1),
    ("f97c00", None),  # Infinity, which JSON cannot show
    ("f97e00", None),  # NaN
    ("f4", False),
    ("f5", True),
    ("f6", None),
    ("f7", None),
    ("c074323031332d30332d32315432303a30343a30305a", "2013-03-21T20:04:00Z"),
    ("c11a514b67b0", 1363896240),
    ("40", {"_type": "buffer", "_data": ""}),
    ("4401020304", {"_type": "buffer", "_data": "AQIDBA=="}),
    ("60", ""),
    ("6161", "a"),
    ("62225c", '"\\'),
    ("62c3bc", "ü"),
    ("64f0908591", "\U00010151"),
    ("80", []),
    ("8301820203820405", [1, [2, 3], [4, 5]]),
    ("a0", {}),
    ("a201020304", {"1": 2, "3": 4}),
    ("a26161016162820203", {"a": 1, "b": [2, 3]}),
    ("5f42010243030405ff", {"_type": "buffer", "_data": "AQIDBAU="}),
    ("7f657374726561646d696e67ff", "streaming"),
    ("9fff", []),
    ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
    ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
    ("826161bf61626163ff", ["a", {"b": "c"}]),
    ("bf6346756ef563416d7421ff", {"Fun": True, "Amt": -2}),
]


@pytest.mark.parametrize(("text", "value"), RFC_8949_APPENDIX_A)
def test_the_examples_of_the_rfc_are_read(text: str, value: object) -> None:
    assert decode(bytes.fromhex(text)) == value


@pytest.mark.parametrize("text", [text for text, _ in RFC_8949_APPENDIX_A])
def test_every_example_cut_short_or_with_a_tail_is_refused(text: str) -> None:
    whole = bytes.fromhex(text)
    for size in range(len(whole)):
        with pytest.raises(MalformedError):
            decode(whole[:size])
    with pytest.raises(MalformedError):
        decode(whole + b"\x00")


@pytest.mark.parametrize(
    "text",
    [
        "ff",  # a break with nothing to end
        "81ff",
        "1c",  # reserved additional information
        "1f",  # an indefinite number
        "df00ff",  # an indefinite tag
        "f0",  # an unassigned simple value
        "61ff",  # text that is not UTF-8
        "5f6161ff",  # a text chunk in a byte string
        "5f5f4100ffff",  # an indefinite chunk
        "bf6161ff",  # a key without a value
        "a1f500",  # a key that JSON does not have
        "a18000",
        "9bffffffffffffffff",  # a huge array
        "bbffffffffffffffff",
        "5bffffffffffffffff",
    ],
)
def test_what_is_not_well_formed_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        decode(bytes.fromhex(text))


@pytest.mark.parametrize("opening", [b"\x81", b"\x9f", b"\xa1\x00", b"\xc1"])
def test_nesting_has_a_bound(opening: bytes) -> None:
    closing = b"\xff" if opening == b"\x9f" else b""
    decode(opening * MAX_DEPTH + b"\x00" + closing * MAX_DEPTH)
    with pytest.raises(MalformedError):
        decode(opening * (MAX_DEPTH + 1) + b"\x00" + closing * (MAX_DEPTH + 1))


@given(st.binary(max_size=64))
def test_any_bytes_give_a_value_or_the_one_error(data: bytes) -> None:
    try:
        decode(data)
    except MalformedError:
        return
