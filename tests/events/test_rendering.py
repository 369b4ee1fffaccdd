"""An event as JSON (rest-api-core.md §10.5, device-protocol.md §3.6)."""

import msgspec
import pytest

from cyan.events.model import Event
from cyan.events.rendering import to_json

LAMP = "e00fce68ece1d3d21a73dcc9"
OWNER = "5f1e2d3c4b5a69788796a5b4"
AT_MS = 1715598702463
"""2024-05-13T11:11:42.463Z, the stamp of the reference's sample."""


def shown(data: bytes | None, content_format: int) -> object:
    event = Event("n", data, AT_MS, LAMP, OWNER, content_format)
    fields: dict[str, object] = msgspec.json.decode(to_json(event))
    return fields["data"]


def test_a_plain_event_has_the_fields_of_the_sample_in_their_order() -> None:
    event = Event("temperature", b"21.5", AT_MS, LAMP, OWNER, version=3)
    assert to_json(event) == (
        b'{"data":"21.5","ttl":60,"published_at":"2024-05-13T11:11:42.463Z",'
        b'"coreid":"e00fce68ece1d3d21a73dcc9","userid":"5f1e2d3c4b5a69788796a5b4",'
        b'"version":3,"public":false}'
    )


def test_a_product_device_has_a_product_id_and_perhaps_no_owner() -> None:
    """The sample of rest-api-core.md §11."""
    event = Event("spark/flash/status", b"started ", AT_MS, LAMP, None, version=3, product_id=30301)
    assert to_json(event) == (
        b'{"data":"started ","ttl":60,"published_at":"2024-05-13T11:11:42.463Z",'
        b'"coreid":"e00fce68ece1d3d21a73dcc9","userid":"","version":3,"public":false,'
        b'"productID":30301}'
    )


@pytest.mark.parametrize(("ms", "decimals"), [(0, "000"), (7, "007"), (999, "999")])
def test_the_stamp_always_has_three_decimals(ms: int, decimals: str) -> None:
    event = Event("n", b"", 1715598702000 + ms, LAMP, OWNER)
    fields: dict[str, object] = msgspec.json.decode(to_json(event))
    assert fields["published_at"] == f"2024-05-13T11:11:42.{decimals}Z"


def test_no_data_is_null_and_empty_data_is_empty() -> None:
    assert shown(None, 0) is None
    assert shown(b"", 0) == ""


@pytest.mark.parametrize("content_format", [0, 40, 41, 50])
def test_text_stays_text_json_included(content_format: int) -> None:
    assert shown(b'{"a":1}', content_format) == '{"a":1}'


def test_text_that_is_not_utf_8_is_shown_with_replacements() -> None:
    assert shown(b"a\xffb", 0) == "a�b"


@pytest.mark.parametrize(
    ("content_format", "expected"),
    [
        (22, "data:image/jpeg;base64,AP8="),
        (23, "data:image/png;base64,AP8="),
        (42, "data:application/octet-stream;base64,AP8="),
        (47, "data:application/exi;base64,AP8="),
        (60, "data:application/cbor;base64,AP8="),
        (12345, "data:application/octet-stream;base64,AP8="),
    ],
)
def test_binary_data_is_a_data_url(content_format: int, expected: str) -> None:
    assert shown(b"\x00\xff", content_format) == expected


def test_structured_data_is_shown_as_the_json_value_that_it_is() -> None:
    assert shown(bytes.fromhex("a26161016162820203"), 65001) == {"a": 1, "b": [2, 3]}
    assert shown(bytes.fromhex("4401020304"), 65001) == {"_type": "buffer", "_data": "AQIDBA=="}


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x1b" + b"\xff" * 7, bytes.fromhex("81" * 40)])
def test_structured_data_that_cannot_be_read_is_shown_as_it_came(data: bytes) -> None:
    assert str(shown(data, 65001)).startswith("data:application/cbor;base64,")


def test_numbers_beyond_64_bits_do_not_break_a_stream() -> None:
    least = -(2**64)
    assert shown(bytes.fromhex("3bffffffffffffffff"), 65001) == float(least)
    assert shown(bytes.fromhex("1bffffffffffffffff"), 65001) == 2**64 - 1


def test_the_json_is_one_line_whatever_the_data() -> None:
    assert b"\n" not in to_json(Event("n", b"a\r\nb\n", AT_MS, LAMP, OWNER))
