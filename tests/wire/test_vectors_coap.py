"""Every CoAP message that real firmware and its test cloud exchanged in the captured sessions."""

import random
from itertools import pairwise

import pytest

from cyan.wire import coap
from cyan.wire import messages as m
from cyan.wire.describe import (
    ApplicationDescribe,
    Metrics,
    SystemDescribe,
    decode_describe,
    encode_application,
    encode_metrics,
    encode_system_protobuf,
)
from cyan.wire.dtls.key_schedule import derive_keys
from cyan.wire.dtls.record import APPLICATION_DATA, DeviceRecords, ServerRecords, split_records
from cyan.wire.errors import MalformedError
from tests.wire import vectors
from tests.wire.device_side import encode_again

_HANDSHAKE = 0x16
_CLIENT_HELLO = 1
_SERVER_HELLO = 2
_OUT_OF_BAND = (0x19, 0xFD)
_RANDOM = slice(27, 59)
"""After the record header (13), the handshake header (12) and the version (2)."""


def as_message(line: vectors.CoapLine) -> coap.Message:
    return coap.Message(
        line.type, line.code, line.message_id, line.token, line.options, line.payload
    )


def captured_plaintexts(name: str) -> list[tuple[bool, bytes]]:
    """(from the device?, CoAP bytes) of every record of a log with master secrets."""
    secrets = iter(vectors.master_secrets(name))
    client_random = b""
    device = server = None
    found = []
    for datagram in vectors.datagrams(name):
        for record in split_records(datagram.data):
            if record[0] == _HANDSHAKE and record[3:5] == b"\0\0" and record[13] == _CLIENT_HELLO:
                client_random = record[_RANDOM]
            elif record[0] == _HANDSHAKE and record[3:5] == b"\0\0" and record[13] == _SERVER_HELLO:
                keys = derive_keys(next(secrets), client_random, record[_RANDOM])
                connection_id = bytes.fromhex("a1b2c3d4e5f60718")
                device = DeviceRecords(keys, connection_id)
                server = ServerRecords(keys, connection_id)
            elif record[0] in _OUT_OF_BAND or record[3:5] == b"\0\1":
                side = server if datagram.from_device else device
                opened = side and side.open(record)
                if opened and opened[0] == APPLICATION_DATA:
                    found.append((datagram.from_device, opened[1]))
    return found


@pytest.mark.parametrize("name", vectors.LOGS)
def test_every_line_of_every_log_writes_and_reads_back(name: str) -> None:
    for line in vectors.coap_lines(name):
        assert coap.decode(coap.encode(as_message(line))) == as_message(line)


@pytest.mark.parametrize("name", vectors.WITH_MASTER_SECRET)
@pytest.mark.parametrize("from_device", [True, False], ids=["from the device", "from the cloud"])
def test_every_captured_message_reads_as_logged_and_writes_to_the_byte(
    name: str, from_device: bool
) -> None:
    captured = [data for side, data in captured_plaintexts(name) if side == from_device]
    logged = [
        as_message(line) for line in vectors.coap_lines(name) if line.from_device == from_device
    ]
    assert [coap.decode(data) for data in captured] == logged
    assert [coap.encode(message) for message in logged] == captured


def is_request(message: coap.Message) -> bool:
    return message.type <= coap.NON and message.code <= coap.DELETE


@pytest.mark.parametrize("name", vectors.LOGS)
def test_every_request_of_a_device_is_known_and_writes_to_the_byte(name: str) -> None:
    for line in vectors.coap_lines(name):
        message = as_message(line)
        if line.from_device and is_request(message):
            value = m.decode_request(message)
            assert encode_again(message, value) == coap.encode(message)


@pytest.mark.parametrize("name", vectors.LOGS)
def test_calls_and_reads_of_the_cloud_write_to_the_byte(name: str) -> None:
    for line in vectors.coap_lines(name):
        message = as_message(line)
        if line.from_device or not is_request(message):
            continue
        value = m.decode_server_request(message)
        message_id, token = message.message_id, message.token
        match value:
            case m.FunctionCall():
                data = m.encode_function_call(message_id, token, value.name, value.argument)
            case m.VariableRequest():
                data = m.encode_variable_request(message_id, token, value.name)
            case m.DescribeRequest(flags=int(flags)):
                data = m.encode_describe_request(message_id, token, flags)
            case m.CloudHello():
                data = m.encode_cloud_hello(message_id)
            case m.UpdateStart():
                data = m.encode_update_start(message_id, token, value)
            case m.UpdateChunk():
                data = m.encode_update_chunk(message_id, value.index, value.data)
            case m.UpdateFinish():
                data = m.encode_update_finish(message_id, token, value)
            case m.UpdateBegin():
                data = m.encode_update_begin(message_id, token, value)
            case m.Chunk():
                assert value.is_intact
                data = m.encode_chunk(message_id, token, value.data, index=value.index)
            case m.UpdateDone():
                data = m.encode_update_done(message_id, token)
            case _:
                # The bare `GET d` of this test cloud, events in segments.
                continue
        assert data == coap.encode(message)


def test_the_events_of_the_cloud_are_read_with_their_segments_joined() -> None:
    lines = vectors.coap_lines("udp-full-session.log")
    sent = [as_message(line) for line in lines if not line.from_device]
    values = [m.decode_server_request(message) for message in sent]
    assert [value for value in values if isinstance(value, m.EventDown)] == [
        m.EventDown("test/one", b"event data", confirmable=False),
        m.EventDown("group/evt", b"cafe"),
    ]


@pytest.mark.parametrize("name", vectors.LOGS)
def test_every_describe_of_a_device_reads_and_writes_to_the_byte(name: str) -> None:
    count = 0
    for line in vectors.coap_lines(name):
        value = m.decode_request(as_message(line)) if line.from_device else None
        if isinstance(value, m.DescribePost):
            (part,) = decode_describe(value.flags, value.content_format, value.payload)
            match part:
                case SystemDescribe():
                    assert encode_system_protobuf(part) == value.payload
                case ApplicationDescribe():
                    assert encode_application(part) == value.payload
                case Metrics():
                    assert encode_metrics(part) == value.payload
            count += 1
    assert count >= 2


@pytest.mark.parametrize("name", ["udp-full-session.log", "tcp-full-session.log"])
def test_the_session_answers_what_was_asked(name: str) -> None:
    """Variables of every type, a missing one, functions and describes, matched by token."""
    over_udp = name in vectors.UDP_LOGS
    asked: dict[bytes, m.ServerRequest] = {}
    types: dict[str, int] = {}
    values: dict[str, object] = {}
    for line in vectors.coap_lines(name):
        message = as_message(line)
        if not line.from_device:
            if is_request(message) and message.token:
                asked[message.token] = m.decode_server_request(message)
            continue
        request = m.decode_request(message)
        if isinstance(request, m.DescribePost) and request.flags == m.APPLICATION:
            (part,) = decode_describe(request.flags, request.content_format, request.payload)
            assert isinstance(part, ApplicationDescribe)
            types = part.variables
        if message.type > coap.NON or message.code < coap.CREATED:
            continue
        message_id, token, payload = message.message_id, message.token, message.payload
        match asked.pop(token):
            case m.VariableRequest(variable) if message.code == coap.CONTENT:
                values[variable] = m.decode_variable_value(types[variable], payload)
                written = m.encode_variable_value_answer(
                    message_id, token, payload, confirmable=over_udp
                )
            case m.VariableRequest(variable):
                values[variable] = coap.code_text(message.code)
                written = m.encode_answer(message_id, token, message.code, confirmable=over_udp)
            case m.FunctionCall(function):
                values[f"{function}()"] = result = m.decode_function_result(payload)
                written = m.encode_function_result(message_id, token, result, confirmable=over_udp)
            case m.DescribeRequest(flags=int(flags)):
                option = coap.find_option(message, coap.CONTENT_FORMAT) or b""
                content_format = coap.decode_uint(option)
                parts = decode_describe(flags, content_format, payload)
                values[f"d?{flags}"] = [type(part) for part in parts]
                written = m.encode_describe_answer(
                    message_id, token, payload, content_format=content_format
                )
            case other:
                raise AssertionError(f"an answer to {other}")
        assert written == coap.encode(message)
    assert values == {
        "d?1": [SystemDescribe],
        "d?2": [ApplicationDescribe],
        "d?4": [Metrics],
        "vbool": True,
        "vint": -42,
        "vdouble": 3.25,
        "vstring": "hello world" if over_udp else "initial string",
        "vchars": "char array",
        "cbool": False,
        "cint": 4045 if over_udp else 3473,
        "cdouble": 4.047 if over_udp else 3.515,
        "cstring": "calls=0 recv=0 pub=0 ack=0 fail=0",
        "echo()": 11,
        "ctl()": 0,
        **({"nosuch": "4.04"} if over_udp else {}),
    }


def test_the_update_shows_in_hello_and_in_the_describe() -> None:
    lines = [as_message(line) for line in vectors.coap_lines("udp-ota3-lossy.log")]
    values = [m.decode_request(message) for message in lines]
    hellos = [value for value in values if isinstance(value, m.Hello)]
    assert all(one.flags & m.OTA_V3 for one in hellos)
    assert any(
        before.product_version == m.NO_VERSION and after.product_version == 8
        for before, after in pairwise(hellos)
    )
    hashes = {
        part.app_hash
        for value in values
        if isinstance(value, m.DescribePost) and value.flags == m.SYSTEM
        for part in decode_describe(value.flags, value.content_format, value.payload)
        if isinstance(part, SystemDescribe)
    }
    assert len(hashes) == 2


def test_in_safe_mode_a_device_says_so_after_its_describe() -> None:
    lines = [as_message(line) for line in vectors.coap_lines("udp-safe-mode.log")]
    values = [m.decode_request(message) for message in lines if is_request(message)]
    assert m.Publish("spark/device/safemode") in values
    (describe,) = [v for v in values if isinstance(v, m.DescribePost) and v.flags == m.SYSTEM]
    (part,) = decode_describe(describe.flags, describe.content_format, describe.payload)
    assert isinstance(part, SystemDescribe)
    assert all(module.is_valid for module in part.modules)


@pytest.mark.parametrize("rounds", [20_000, pytest.param(2_000_000, marks=pytest.mark.soak)])
def test_captured_messages_with_bytes_changed_are_values_or_malformed(rounds: int) -> None:
    generator = random.Random(rounds)
    corpus = sorted({data for _, data in captured_plaintexts("udp-resume-keys.log")})
    refused = 0
    for _ in range(rounds):
        data = bytearray(generator.choice(corpus))
        for _ in range(generator.randint(1, 3)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        del data[generator.randint(len(data) // 2, 2 * len(data)) :]
        try:
            message = coap.decode(bytes(data))
            m.decode_server_request(message)
            value = m.decode_request(message)
            if isinstance(value, m.DescribePost):
                decode_describe(value.flags, value.content_format, value.payload)
        except MalformedError:
            refused += 1
    assert 0 < refused < rounds
