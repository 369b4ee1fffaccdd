"""CoAP messages against RFC 7252's own examples, at their bounds, and with anything at all."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyan.wire import coap
from cyan.wire.errors import MalformedError, MisuseError

# RFC 7252 appendix A, figures 16 to 20; the payload there is "22.3 C".
RFC_EXAMPLES = {
    "figure 16, a confirmable GET": (
        "40 01 7d 34 bb" + b"temperature".hex(),
        coap.Message(coap.CON, coap.GET, 0x7D34, b"", ((coap.URI_PATH, b"temperature"),)),
    ),
    "figure 16, its piggybacked 2.05": (
        "60 45 7d 34 ff" + b"22.3 C".hex(),
        coap.Message(coap.ACK, coap.CONTENT, 0x7D34, payload=b"22.3 C"),
    ),
    "figure 17, with a token": (
        "41 01 7d 35 20 bb" + b"temperature".hex(),
        coap.Message(coap.CON, coap.GET, 0x7D35, b"\x20", ((coap.URI_PATH, b"temperature"),)),
    ),
    "figure 20, an empty acknowledgement": (
        "60 00 7d 38",
        coap.Message(coap.ACK, coap.EMPTY, 0x7D38),
    ),
    "figure 20, the separate response": (
        "41 45 ad 7b 53 ff" + b"22.3 C".hex(),
        coap.Message(coap.CON, coap.CONTENT, 0xAD7B, b"\x53", (), b"22.3 C"),
    ),
}


@pytest.mark.parametrize(("text", "message"), RFC_EXAMPLES.values(), ids=RFC_EXAMPLES)
def test_an_example_of_the_rfc_reads_and_writes(text: str, message: coap.Message) -> None:
    assert coap.decode(bytes.fromhex(text)) == message
    assert coap.encode(message) == bytes.fromhex(text)


@pytest.mark.parametrize(
    ("number", "length", "header"),
    [
        (0, 0, "00"),
        (12, 12, "cc"),
        (13, 13, "dd 00 00"),
        (268, 268, "dd ff ff"),
        (269, 269, "ee 0000 0000"),
        (2049, 2, "e2 06f4"),
        (65535, 1, "e1 fef2"),
    ],
)
def test_option_deltas_and_lengths_change_form_at_13_and_269(
    number: int, length: int, header: str
) -> None:
    value = b"v" * length
    data = bytes.fromhex("40010001" + header) + value
    message = coap.Message(coap.CON, coap.GET, 1, b"", ((number, value),))
    assert coap.decode(data) == message
    assert coap.encode(message) == data


@pytest.mark.parametrize(
    ("why", "text"),
    [
        ("nothing", ""),
        ("three bytes", "400100"),
        ("version 0", "00010001"),
        ("version 2", "80010001"),
        ("token length 9", "49010001" + "00" * 9),
        ("token length 15", "4f010001" + "00" * 15),
        ("token cut short", "4401000100"),
        ("an empty message with a token", "4100000100"),
        ("an empty message with a payload", "40000001ff00"),
        ("an empty message with an option", "40000001b161"),
        ("an empty message with a payload marker", "40000001ff"),
        ("a reserved delta", "40010001f1"),
        ("a reserved length", "400100011f"),
        ("a delta byte cut off", "40010001d0"),
        ("two delta bytes cut off", "40010001e000"),
        ("two length bytes cut off", "400100010e01"),
        ("a value cut off", "40010001b26b"),
        ("a long value cut off", "40010001be0010"),
        ("a number over 65535", "40010001e0fef300"),
        ("too many options", "40010001" + "00" * (coap.MAX_OPTIONS + 1)),
        ("too many bytes", "40010001ff" + "00" * (coap.MAX_MESSAGE - 4)),
    ],
)
def test_what_is_no_message_is_malformed(why: str, text: str) -> None:
    with pytest.raises(MalformedError):
        coap.decode(bytes.fromhex(text))


def test_the_largest_message_and_the_most_options_are_read() -> None:
    largest = bytes.fromhex("40010001ff") + bytes(coap.MAX_MESSAGE - 5)
    assert len(coap.decode(largest).payload) == coap.MAX_MESSAGE - 5
    options = bytes.fromhex("40010001") + bytes(coap.MAX_OPTIONS)
    assert len(coap.decode(options).options) == coap.MAX_OPTIONS


@pytest.mark.parametrize(
    "message",
    [
        coap.Message(4, coap.GET, 1),
        coap.Message(coap.CON, 256, 1),
        coap.Message(coap.CON, coap.GET, 65536),
        coap.Message(coap.CON, coap.GET, -1),
        coap.Message(coap.CON, coap.GET, 1, bytes(9)),
        coap.Message(coap.CON, coap.EMPTY, 1, b"t"),
        coap.Message(coap.CON, coap.EMPTY, 1, payload=b"p"),
        coap.Message(coap.CON, coap.GET, 1, b"", ((12, b""), (11, b"late"))),
        coap.Message(coap.CON, coap.GET, 1, b"", ((65536, b""),)),
        coap.Message(coap.CON, coap.GET, 1, b"", ((1, b""),) * (coap.MAX_OPTIONS + 1)),
        coap.Message(coap.CON, coap.GET, 1, b"", ((1, bytes(65805)),)),
        coap.Message(coap.CON, coap.GET, 1, payload=bytes(coap.MAX_MESSAGE)),
    ],
)
def test_what_the_wire_cannot_express_is_misuse(message: coap.Message) -> None:
    with pytest.raises(MisuseError):
        coap.encode(message)


def test_the_short_forms_are_those_of_the_encoder() -> None:
    message_id, token = 0xBEEF, b"\x07"
    assert coap.encode_empty_ack(message_id) == coap.encode(
        coap.Message(coap.ACK, coap.EMPTY, message_id)
    )
    assert coap.encode_reset(message_id) == coap.encode(
        coap.Message(coap.RST, coap.EMPTY, message_id)
    )
    assert coap.encode_ping(message_id) == coap.encode(
        coap.Message(coap.CON, coap.EMPTY, message_id)
    )
    for payload in (b"", b"answer"):
        assert coap.encode_ack(message_id, coap.CHANGED, token, payload) == coap.encode(
            coap.Message(coap.ACK, coap.CHANGED, message_id, token, (), payload)
        )
    with pytest.raises(MisuseError):
        coap.encode_ack(message_id, coap.CHANGED, bytes(9))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, ""),
        (1, "01"),
        (255, "ff"),
        (256, "0100"),
        (65535, "ffff"),
        (65536, "00010000"),
        (0xFFFFFFFF, "ffffffff"),
    ],
)
def test_numbers_in_options_have_0_1_2_or_4_bytes(value: int, text: str) -> None:
    assert coap.encode_uint(value) == bytes.fromhex(text)
    assert coap.decode_uint(bytes.fromhex(text)) == value


def test_a_number_of_three_bytes_is_read_and_one_of_five_is_not() -> None:
    assert coap.decode_uint(b"\x01\x00\x00") == 65536
    with pytest.raises(MalformedError):
        coap.decode_uint(bytes(5))
    for value in (-1, 1 << 32):
        with pytest.raises(MisuseError):
            coap.encode_uint(value)


def test_a_code_has_its_usual_spelling() -> None:
    assert [coap.code_text(code) for code in (coap.CONTENT, coap.GATEWAY_TIMEOUT, coap.GET)] == [
        "2.05",
        "5.04",
        "0.01",
    ]


def test_the_first_of_several_options_is_found() -> None:
    message = coap.Message(coap.CON, coap.GET, 1, b"", ((11, b"a"), (11, b"b")))
    assert coap.find_option(message, 11) == b"a"
    assert coap.find_option(message, 12) is None


@st.composite
def messages(draw: st.DrawFn) -> coap.Message:
    """Any message that the encoder takes."""
    options = draw(
        st.lists(
            st.tuples(st.integers(0, 65535), st.binary(max_size=40)),
            max_size=coap.MAX_OPTIONS,
        )
    )
    return coap.Message(
        draw(st.integers(0, 3)),
        draw(st.integers(1, 255)),
        draw(st.integers(0, 65535)),
        draw(st.binary(max_size=coap.MAX_TOKEN)),
        tuple(sorted(options, key=lambda option: option[0])),
        draw(st.binary(max_size=200)),
    )


@given(messages())
def test_what_is_written_reads_back(message: coap.Message) -> None:
    assert coap.decode(coap.encode(message)) == message


@given(st.binary(max_size=60).map(lambda tail: b"\x41\x02" + tail) | st.binary(max_size=60))
def test_any_bytes_are_a_message_that_writes_back_or_malformed(data: bytes) -> None:
    try:
        message = coap.decode(data)
    except MalformedError:
        return
    written = coap.encode(message)
    assert written == data or (written + b"\xff" == data and not message.payload)


def test_a_payload_marker_without_payload_is_no_payload() -> None:
    # An event with the data "" of Device OS 2.3.1.
    path = ((coap.URI_PATH, b"E"), (coap.URI_PATH, b"a"))
    message = coap.Message(coap.CON, coap.POST, 1, b"", path)
    assert coap.decode(bytes.fromhex("40020001 b145 0161 ff")) == message
    assert coap.encode(message) == bytes.fromhex("40020001 b145 0161")


@given(messages(), st.data())
def test_a_message_cut_short_never_reads_as_itself(
    message: coap.Message, data: st.DataObject
) -> None:
    whole = coap.encode(message)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with contextlib.suppress(MalformedError):
        assert coap.decode(cut) != message
