"""Messages against the byte examples of device-protocol.md (appendix A and section 3), both ways,
at their bounds, and with anything at all."""

from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyan.wire import coap
from cyan.wire import messages as m
from cyan.wire.blockwise import Block
from cyan.wire.errors import MalformedError, MisuseError
from tests.wire.device_side import encode_again

BORON_ID = bytes(range(1, 13))
DEVICE_ID = "0123456789abcdef01234567"
FIRST_BLOCK = bytes(1024)


def hexed(text: str) -> str:
    return text.encode().hex()


# What a device sends: the bytes and the value.
FROM_DEVICE: dict[str, tuple[str, m.DeviceRequest]] = {
    "Hello of a Boron (appendix A)": (
        "40 02 00 01 b1 68 ff 00 0d ff ff 00 f6 00 0d 00 0c 01 02 03 04 05 06 07 08 09 0a 0b 0c"
        "18 38 04 80 00 17 70 00 02 00",
        m.Hello(13, m.NO_VERSION, 0xF6, 13, BORON_ID, 6200, 1152, 1_536_000, 512),
    ),
    "Hello on TCP (section 3.2)": (
        "50 02 00 01 b1 68 ff 0003 ffff 0036 0003 00 00 1838 0480 00a00000 0200",
        m.Hello(3, m.NO_VERSION, 0x36, 3, b"", 6200, 1152, 10 << 20, 512),
    ),
    "Hello of the oldest firmware (section 3.2)": (
        "50 02 00 01 b1 68 ff 0006 0001 0000 0006",
        m.Hello(6, 1, 0, 6),
    ),
    "first block of a system describe (appendix A)": (
        "41 02 00 05 30 b1 64 11 2a 31 01 c1 0e ff" + FIRST_BLOCK.hex(),
        m.DescribePost(m.SYSTEM, FIRST_BLOCK, coap.OCTET_STREAM, Block(0, True, 6)),
    ),
    "application describe (appendix A)": (
        "41 02 00 06 31 b1 64 41 02 ff 7b 7d",
        m.DescribePost(m.APPLICATION, b"{}"),
    ),
    "both describes without a token (2.0 to 3.2, section 3.3.1)": (
        "40 02 00 06 b1 64 41 03 ff 7b 7d",
        m.DescribePost(m.SYSTEM | m.APPLICATION, b"{}"),
    ),
    "subscription (appendix A)": (
        "40 01 00 03 b1 65 05 73 70 61 72 6b",
        m.Subscribe("spark"),
    ),
    "subscription to everything of one's own (section 3.7)": (
        "40 01 00 03 b1 65 41 75",
        m.Subscribe("", mine=True),
    ),
    "subscription to one device (section 3.7)": (
        f"40 01 00 03 b1 65 01 61 ff {hexed(DEVICE_ID)}",
        m.Subscribe("a", device_id=DEVICE_ID),
    ),
    "subscription that takes binary (section 3.7)": (
        "50 01 00 03 b1 65 01 61 41 62",
        m.Subscribe("a", binary=True),
    ),
    "subscription that wants CBOR (section 3.7)": (
        "40 01 00 03 b1 65 01 61 41 63",
        m.Subscribe("a", cbor=True),
    ),
    "time request (appendix A)": (
        "41 01 00 04 21 b1 74",
        m.TimeRequest(),
    ),
    "event (appendix A)": (
        "40 02 12 36 b1 45 05 68 65 6c 6c 6f ff 77 6f 72 6c 64",
        m.Publish("hello", b"world"),
    ),
    "event without data or acknowledgement (section 3.6)": (
        "50 02 12 36 b1 45 03 61 2f 62",
        m.Publish("a/b", confirmable=False),
    ),
    "event with content format and time to live (section 3.6)": (
        "40 02 12 36 b1 45 01 61 12 fde9 22 012c ff a0",
        m.Publish("a", b"\xa0", coap.STRUCTURED, 300),
    ),
    "event that lives no second, with a token": (
        "41 02 12 36 77 b1 45 01 61 30",
        m.Publish("a", max_age=0),
    ),
    "goodbye for a reset (appendix A)": (
        "40 02 00 42 b1 78 ff 03 05 8c 01",
        m.Goodbye(5, 140),
    ),
    "goodbye on TCP (section 3.9)": (
        "50 02 00 42 b1 78 d0 ea ff 05 06 d8 04",
        m.Goodbye(6, sleep_s=600),
    ),
    "ping (section 3.9)": ("40 00 00 07", m.Ping()),
}


@pytest.mark.parametrize(("text", "value"), FROM_DEVICE.values(), ids=FROM_DEVICE)
def test_what_a_device_sends_reads_and_writes(text: str, value: m.DeviceRequest) -> None:
    data = bytes.fromhex(text)
    message = coap.decode(data)
    assert m.decode_request(message) == value
    assert encode_again(message, value) == data


# What a server sends; appendix A unless a section is named.
FROM_SERVER: dict[str, tuple[str, m.ServerRequest, Callable[[], bytes]]] = {
    "function with an argument": (
        "41 02 12 34 05 b1 66 03 6c 65 64 42 6f 6e",
        m.FunctionCall("led", "on"),
        lambda: m.encode_function_call(0x1234, b"\x05", "led", "on"),
    ),
    "function without an argument": (
        "41 02 12 34 05 b1 66 03 6c 65 64 40",
        m.FunctionCall("led", ""),
        lambda: m.encode_function_call(0x1234, b"\x05", "led", ""),
    ),
    "function with lengths of two bytes": (
        "41 02 12 34 05 b1 66 0d 01" + hexed("fourteen_chars") + "4d 02" + "78" * 15,
        m.FunctionCall("fourteen_chars", "x" * 15),
        lambda: m.encode_function_call(0x1234, b"\x05", "fourteen_chars", "x" * 15),
    ),
    "function with the longest argument": (
        "41 02 12 34 05 b1 66 01 66 4e 02f3" + "78" * m.MAX_ARGUMENT,
        m.FunctionCall("f", "x" * m.MAX_ARGUMENT),
        lambda: m.encode_function_call(0x1234, b"\x05", "f", "x" * m.MAX_ARGUMENT),
    ),
    "variable": (
        "41 01 12 35 06 b1 76 04 74 65 6d 70",
        m.VariableRequest("temp"),
        lambda: m.encode_variable_request(0x1235, b"\x06", "temp"),
    ),
    "describe request": (
        "41 01 12 37 07 b1 64 41 01",
        m.DescribeRequest(m.SYSTEM),
        lambda: m.encode_describe_request(0x1237, b"\x07", m.SYSTEM),
    ),
    "describe request for a later block (section 2.5)": (
        "41 01 12 37 07 b1 64 41 01 81 26",
        m.DescribeRequest(m.SYSTEM, Block(2, False, 6)),
        lambda: m.encode_describe_request(0x1237, b"\x07", m.SYSTEM, block_number=2, szx=6),
    ),
    "signal on": (
        "41 03 12 38 08 b1 73 41 01",
        m.Signal(True),
        lambda: m.encode_signal(0x1238, b"\x08", on=True),
    ),
    "signal off (section 3.9)": (
        "41 03 12 38 08 b1 73 41 00",
        m.Signal(False),
        lambda: m.encode_signal(0x1238, b"\x08", on=False),
    ),
    "key change": (
        "40 03 12 3c b1 6b 41 01",
        m.KeyChange(1),
        lambda: m.encode_key_change(0x123C),
    ),
    "event": (
        "40 02 12 36 b1 45 05 68 65 6c 6c 6f ff 77 6f 72 6c 64",
        m.EventDown("hello", b"world"),
        lambda: m.encode_event(0x1236, "hello", b"world", confirmable=True),
    ),
    "CBOR event without acknowledgement (section 3.8)": (
        "50 02 12 36 b1 45 01 61 11 3c 21 3d ff a0",
        m.EventDown("a", b"\xa0", coap.CBOR, 61, confirmable=False),
        lambda: m.encode_event(
            0x1236, "a", b"\xa0", confirmable=False, content_format=coap.CBOR, max_age=61
        ),
    ),
    "Hello (section 3.2)": (
        "50 02 00 09 b1 68",
        m.CloudHello(),
        lambda: m.encode_cloud_hello(9),
    ),
    "confirmable Hello (section 3.2)": (
        "40 02 00 09 b1 68",
        m.CloudHello(),
        lambda: m.encode_cloud_hello(9, confirmable=True),
    ),
    "ping": ("40 00 00 07", m.Ping(), lambda: coap.encode_ping(7)),
}


@pytest.mark.parametrize(("text", "value", "write"), FROM_SERVER.values(), ids=FROM_SERVER)
def test_what_a_server_sends_reads_and_writes(
    text: str, value: m.ServerRequest, write: Callable[[], bytes]
) -> None:
    data = bytes.fromhex(text)
    assert m.decode_server_request(coap.decode(data)) == value
    assert write() == data


def test_answers_have_the_bytes_of_the_examples() -> None:
    time_answer = bytes.fromhex("61 45 00 04 21 ff 65 53 f1 00")
    assert m.encode_time_answer(4, b"\x21", 1_700_000_000) == time_answer
    assert m.decode_time_answer(coap.decode(time_answer).payload) == 1_700_000_000
    result = bytes.fromhex("41 44 00 09 05 ff 00 00 00 01")
    assert m.encode_function_result(9, b"\x05", 1) == result
    assert m.decode_function_result(coap.decode(result).payload) == 1
    assert coap.encode_ack(0x1238, coap.CHANGED, b"\x08") == bytes.fromhex("61 44 12 38 08")
    assert m.encode_answer(9, b"\x05", coap.NOT_FOUND, confirmable=False) == bytes.fromhex(
        "51 84 00 09 05"
    )
    # Section 2.5: Block2, ETag of one byte and the content format stand in every block.
    assert m.encode_describe_answer(
        9, b"\x05", b"x", content_format=coap.OCTET_STREAM, block=Block(1, False, 6), etag=b"\x01"
    ) == bytes.fromhex("41 45 00 09 05 41 01 81 2a b1 16 ff 78")


def test_every_goodbye_field_is_read_and_an_unknown_one_ignored() -> None:
    def goodbye(payload: str) -> m.DeviceRequest:
        return m.decode_request(coap.decode(bytes.fromhex("40020042b178" + payload)))

    assert goodbye("ff 0f 03 0a ac02 04") == m.Goodbye(3, 10, 300, 4)
    assert goodbye("ff 12 14 63") == m.Goodbye(reset_reason=20)
    assert goodbye("ff 01 02") == m.Goodbye(2)
    assert goodbye("") == m.Goodbye()
    assert m.DISCONNECT_REASONS[2] == "user"


@pytest.mark.parametrize("path", ["b145 0161 0162", "b165 0361 2f62"])
def test_an_event_name_may_come_in_segments_and_as_public(path: str) -> None:
    message = coap.decode(bytes.fromhex("40021236" + path + "ff 31"))
    assert m.decode_request(message) == m.Publish("a/b", b"1")
    assert m.decode_server_request(message) == m.EventDown("a/b", b"1")


def test_a_prefix_may_come_in_segments() -> None:
    message = coap.decode(bytes.fromhex("40010003 b165 0161 00 4175"))
    assert m.decode_request(message) == m.Subscribe("a/", mine=True)


def test_an_event_in_blocks_is_unknown() -> None:
    message = coap.decode(bytes.fromhex("41021236 55 b145 0161 d1 03 0e ff 31"))
    assert m.decode_request(message) == m.Unknown(coap.POST, "E/a")


def test_an_empty_prefix_may_be_an_empty_segment() -> None:
    assert m.decode_request(coap.decode(bytes.fromhex("40010003 b165 00 4175"))) == m.Subscribe(
        "", mine=True
    )


def test_an_upper_case_device_id_is_the_same_device() -> None:
    data = bytes.fromhex("40010003 b165 0161 ff") + DEVICE_ID.upper().encode()
    assert m.decode_request(coap.decode(data)) == m.Subscribe("a", device_id=DEVICE_ID)


@pytest.mark.parametrize(
    ("why", "text"),
    [
        ("a Hello cut in its fixed part", "40020001b168ff 000dffff00f600"),
        ("a Hello without a payload", "40020001b168"),
        ("a Hello cut in the length of its id", "40020001b168ff 000dffff00f6000d00"),
        ("a Hello cut in its id", "40020001b168ff 000dffff00f6000d000c0102"),
        ("a Hello with an id of 13 bytes", "40020001b168ff 000dffff00f6000d000d" + "01" * 13),
        ("a Hello cut in its tail", "40020001b168ff 000dffff00f6000d0000183804"),
        ("an event without a name", "40020001b145"),
        ("an event with an empty name", "40020001b14500"),
        ("an event with a name of 65 bytes", "40020001b1450d34" + "61" * 65),
        ("an event with a name that is not UTF-8", "40020001b14502c328"),
        ("an event with a line break in its name", "40020001b14503610a62"),
        ("an event with a C1 control in its name", "40020001b14502c285"),
        ("an event with too much data", "40020001b1450161ff" + "61" * (m.MAX_EVENT_DATA + 1)),
        ("such an event of another form", "40020001b1650161" + "00ff" + "61" * 1025),
        ("an event with a content format of 5 bytes", "40020001b1450161150000000000"),
        ("a subscription with a prefix of 65 bytes", "40010001b1650d34" + "61" * 65),
        ("a subscription to no device id", "40010001b1650161ff3031"),
        ("a describe without flags", "40020001b164ff7b7d"),
        ("a describe with two bytes of flags", "40020001b164420101ff7b7d"),
        ("a describe with no flag", "40020001b1644100ff7b7d"),
        ("a describe with an unknown flag", "40020001b1644108ff7b7d"),
        ("a describe with a reserved block size", "40020001b1644101c10fff7b7d"),
        ("a goodbye that lacks a value", "40020001b178ff0305"),
        ("a goodbye with a value over 32 bits", "40020001b178ff018080808010"),
    ],
)
def test_a_known_request_with_wrong_content_is_malformed(why: str, text: str) -> None:
    message = coap.decode(bytes.fromhex(text))
    with pytest.raises(MalformedError) as caught:
        m.decode_request(message)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "41020001 05 b166 0161 41ff",
        "41020001 05 b166 02c328 40",
        "41020001 05 b166 0161 4e02f4" + "61" * 1025,
        "41030001 05 b173",
        "40030001 b16b 40",
        "41010001 05 b164 420101",
    ],
)
def test_a_server_request_with_wrong_content_is_malformed(text: str) -> None:
    message = coap.decode(bytes.fromhex(text))
    with pytest.raises(MalformedError):
        m.decode_server_request(message)


def test_a_bare_describe_request_has_no_flags() -> None:
    # The device answers it with 4.00: udp-full-session.log.
    message = coap.decode(bytes.fromhex("41010001 05 b164"))
    assert m.decode_server_request(message) == m.DescribeRequest(None)


def test_names_and_data_at_their_bounds_pass() -> None:
    name = "é" * (m.MAX_NAME // 2)
    publish = m.Publish(name, bytes(m.MAX_EVENT_DATA))
    assert m.decode_request(coap.decode(m.encode_publish(1, publish))) == publish
    # Each slash of 64 is a segment of its own: the most options that a name can take.
    text = "40020001b145" + "00" * 33 + "ff31"
    assert m.decode_request(coap.decode(bytes.fromhex(text))) == m.Publish("/" * 32, b"1")


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("40020001 b17a", m.Unknown(coap.POST, "z")),
        ("40020001 b151 0161", m.Unknown(coap.POST, "Q/a")),
        ("40010001 b168", m.Unknown(coap.GET, "h")),
        ("40040001", m.Unknown(coap.DELETE, "")),
        ("40020001 51 78 61 45", m.Unknown(coap.POST, "E")),
        ("60020001 b145 0161", m.Unknown(coap.POST, "E/a")),
        ("40020001 b20aff", m.Unknown(coap.POST, "?\N{REPLACEMENT CHARACTER}")),
        ("50000001", m.Unknown(coap.EMPTY, "")),
        ("60000001", m.Unknown(coap.EMPTY, "")),
        ("70000001", m.Unknown(coap.EMPTY, "")),
        ("41440001 05", m.Unknown(coap.CHANGED, "")),
    ],
)
def test_other_messages_are_unknown_and_fit_for_a_log(text: str, unknown: m.Unknown) -> None:
    message = coap.decode(bytes.fromhex(text))
    assert m.decode_request(message) == unknown
    assert m.decode_server_request(message) == unknown


def test_the_path_of_an_unknown_message_is_cut() -> None:
    path = ((coap.URI_PATH, b"z" * 300),)
    found = m.decode_request(coap.Message(coap.CON, coap.POST, 1, b"", path))
    assert found == m.Unknown(coap.POST, "z" * 64)


@pytest.mark.parametrize(
    ("type_code", "value", "text"),
    [
        # udp-full-session.log
        (m.BOOL, False, "00"),
        (m.BOOL, True, "01"),
        (m.INT, -42, "ffffffd6"),
        (m.INT, 4045, "00000fcd"),
        (m.DOUBLE, 3.25, "0000000000000a40"),
        (m.STRING, "char array", "63686172206172726179"),
        (m.STRING, "", ""),
    ],
)
def test_variables_of_every_type_read_and_write(
    type_code: int, value: bool | float | str, text: str
) -> None:
    payload = bytes.fromhex(text)
    found = m.decode_variable_value(type_code, payload)
    assert found == value
    assert type(found) is type(value)
    assert m.encode_variable_value(type_code, value) == payload
    answer = coap.decode(m.encode_variable_value_answer(1, b"\x01", payload))
    assert (answer.code, answer.payload) == (coap.CONTENT, payload)


def test_text_that_is_not_utf_8_is_read_with_replacements() -> None:
    assert m.decode_variable_value(m.STRING, b"a\xffb") == "a\N{REPLACEMENT CHARACTER}b"


@pytest.mark.parametrize(
    ("type_code", "text"),
    [
        (m.BOOL, ""),
        (m.BOOL, "0000"),
        (m.INT, "000001"),
        (m.DOUBLE, "00000001"),
        (m.STRING, "61" * (m.MAX_VARIABLE + 1)),
        (3, "00000001"),
    ],
)
def test_a_value_that_does_not_fit_its_type_is_malformed(type_code: int, text: str) -> None:
    with pytest.raises(MalformedError):
        m.decode_variable_value(type_code, bytes.fromhex(text))


@pytest.mark.parametrize(
    ("type_code", "value"),
    [(m.BOOL, 1), (m.INT, 1 << 31), (m.INT, 0.5), (m.DOUBLE, "1"), (m.STRING, 1), (3, 1)],
)
def test_a_value_of_another_type_is_misuse(type_code: int, value: float | str) -> None:
    with pytest.raises(MisuseError):
        m.encode_variable_value(type_code, value)


def test_results_and_times_of_other_lengths_are_malformed() -> None:
    for payload in (b"", b"\0" * 3, b"\0" * 5):
        with pytest.raises(MalformedError):
            m.decode_function_result(payload)
        with pytest.raises(MalformedError):
            m.decode_time_answer(payload)
    assert m.decode_function_result(b"\xff\xff\xff\xff") == -1


@pytest.mark.parametrize(
    "write",
    [
        lambda: m.encode_function_call(1, b"", "led", ""),
        lambda: m.encode_function_call(1, b"12", "led", ""),
        lambda: m.encode_function_call(1, b"1", "", ""),
        lambda: m.encode_function_call(1, b"1", "x" * 65, ""),
        lambda: m.encode_function_call(1, b"1", "led", "x" * 1025),
        lambda: m.encode_function_call(1, b"1", "led", "\ud800"),
        lambda: m.encode_variable_request(1, b"", "temp"),
        lambda: m.encode_variable_request(1, b"1", "\ud800"),
        lambda: m.encode_describe_request(1, b"1", 3),
        lambda: m.encode_describe_request(1, b"1", 0),
        lambda: m.encode_describe_request(1, b"", 1),
        lambda: m.encode_describe_post(1, b"", m.DescribePost(8, b"")),
        lambda: m.encode_signal(1, b"", on=True),
        lambda: m.encode_time_answer(1, b"1", 1 << 32),
        lambda: m.encode_event(1, "", b"", confirmable=True),
        lambda: m.encode_event(1, "a\nb", b"", confirmable=True),
        lambda: m.encode_event(1, "a", bytes(1025), confirmable=True),
        lambda: m.encode_event(1, "a", b"", confirmable=True, max_age=-1),
        lambda: m.encode_event(65536, "a", b"", confirmable=True),
        lambda: m.encode_function_result(1, b"1", 1 << 31),
        lambda: m.encode_hello(1, m.Hello(1, 1, 1, 1, b"short")),
        lambda: m.encode_hello(1, m.Hello(65536, 1, 1, 1)),
        lambda: m.encode_hello(1, m.Hello(1, 1, 1, 1, b"", None, 1152)),
        lambda: m.encode_subscribe(1, m.Subscribe("a", device_id="xyz")),
        lambda: m.encode_subscribe(1, m.Subscribe("x" * 65)),
        lambda: m.encode_goodbye(1, m.Goodbye(-1)),
    ],
)
def test_what_a_device_would_not_survive_or_read_is_misuse(write: Callable[[], bytes]) -> None:
    with pytest.raises(MisuseError):
        write()


names = st.text(
    st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=m.MAX_NAME
).filter(lambda name: len(name.encode()) <= m.MAX_NAME)


@given(
    st.integers(0, 65535),
    st.builds(
        m.Publish,
        names,
        st.none() | st.binary(min_size=1, max_size=100),
        st.sampled_from([coap.TEXT, coap.JSON, coap.OCTET_STREAM, coap.STRUCTURED]),
        st.integers(0, 0xFFFFFF),
        st.booleans(),
    ),
)
def test_any_event_reads_back(message_id: int, publish: m.Publish) -> None:
    message = coap.decode(m.encode_publish(message_id, publish))
    assert message.message_id == message_id
    assert m.decode_request(message) == publish


@given(
    st.sampled_from([coap.EMPTY, coap.GET, coap.POST, coap.PUT]),
    st.sampled_from(list(b"EehdtxfvskLzuc")),
    st.lists(st.tuples(st.sampled_from([0, 1, 3, 4, 8, 12]), st.binary(max_size=70)), max_size=5),
    st.binary(max_size=80),
)
def test_any_message_is_a_value_or_malformed(
    code: int, path: int, rest: list[tuple[int, bytes]], payload: bytes
) -> None:
    number, options = coap.URI_PATH, [(coap.URI_PATH, bytes((path,)))]
    for delta, value in rest:
        number += delta
        options.append((number, value))
    message = coap.Message(coap.CON, code, 1, b"t", tuple(options), payload)
    for decode in (m.decode_request, m.decode_server_request):
        try:
            value_found = decode(message)
        except MalformedError:
            continue
        assert type(value_found) in get_args(m.DeviceRequest) + get_args(m.ServerRequest)
