"""Messages in the forms of older firmware. No capture of it is at hand: the bytes are laid out by
hand as the source of the named release of Device OS lays them out."""

import pytest

from cyan.wire import coap
from cyan.wire import messages as m
from cyan.wire.describe import (
    ApplicationDescribe,
    Module,
    ModuleDependency,
    SystemDescribe,
    decode_describe,
)
from cyan.wire.describe.system import BOOTLOADER, FACTORY, MONOLITHIC, SYSTEM_PART, USER_PART
from cyan.wire.errors import MisuseError
from cyan.wire.messages import special
from tests.wire import vectors
from tests.wire.device_side import encode_again

DEVICE_ID = bytes.fromhex("0123456789abcdef01234567")

# messages.cpp, events.cpp: the bytes and the value, which our own device's side writes too.
WRITTEN_ALIKE: dict[str, tuple[str, m.DeviceRequest]] = {
    "Hello on TCP, 0.7.0": (
        "50 02 00 01 b1 68 ff 0006 ffff 00 00 0006",
        m.Hello(6, m.NO_VERSION, 0, 6),
    ),
    "Hello on UDP, 2.3.1": (
        "40 02 00 01 b1 68 ff 000a ffff 00 36 000a 000c" + DEVICE_ID.hex(),
        m.Hello(10, m.NO_VERSION, 0x36, 10, DEVICE_ID),
    ),
    "describe of both, 2.3.1": (
        "40 02 00 06 b1 64 41 03 ff 7b7d",
        m.DescribePost(m.SYSTEM | m.APPLICATION, b"{}"),
    ),
    "subscription on TCP, 0.7.0": (
        "40 01 00 03 b1 65 05 737061726b 41 75",
        m.Subscribe("spark", mine=True),
    ),
}

# Forms that are only read: we write one shape for all firmware.
ONLY_READ: dict[str, tuple[str, m.DeviceRequest]] = {
    "public event, 2.3.1": (
        "50 02 00 09 b1 65 01 61 ff 31",
        m.Publish("a", b"1", confirmable=False),
    ),
    "time to live in three bytes, before 6.2": (
        "40 02 00 09 b1 45 01 61 33 00012c ff 31",
        m.Publish("a", b"1", max_age=300),
    ),
    "time to live of 0, before 6.2": (
        "40 02 00 09 b1 45 01 61 33 000000",
        m.Publish("a", max_age=0),
    ),
    'event with the data "", before 3.0': ("40 02 00 09 b1 45 01 61 ff", m.Publish("a")),
    "both at once, before 3.0": (
        "40 02 00 09 b1 45 01 61 33 000e10 ff",
        m.Publish("a", max_age=3600),
    ),
}


@pytest.mark.parametrize(("text", "value"), WRITTEN_ALIKE.values(), ids=WRITTEN_ALIKE)
def test_what_older_firmware_sends_reads_and_writes(text: str, value: m.DeviceRequest) -> None:
    message = coap.decode(bytes.fromhex(text))
    assert m.decode_request(message) == value
    assert encode_again(message, value) == bytes.fromhex(text)


@pytest.mark.parametrize(("text", "value"), ONLY_READ.values(), ids=ONLY_READ)
def test_other_shapes_of_older_firmware_are_read(text: str, value: m.DeviceRequest) -> None:
    assert m.decode_request(coap.decode(bytes.fromhex(text))) == value


def test_a_describe_may_be_asked_for_with_no_flag_one_or_several() -> None:
    def request(flags: int | None) -> bytes:
        return m.encode_describe_request(0x1237, b"\x07", flags, before_3_3=True)

    assert request(None) == bytes.fromhex("41 01 12 37 07 b1 64")
    assert request(m.SYSTEM) == bytes.fromhex("41 01 12 37 07 b1 64 41 01")
    assert request(m.SYSTEM | m.APPLICATION) == bytes.fromhex("41 01 12 37 07 b1 64 41 03")
    for flags in (0, 8):
        with pytest.raises(MisuseError):
            request(flags)
    with pytest.raises(MisuseError):
        m.encode_describe_request(0x1237, b"\x07", None)


# system_update.cpp and protocol.cpp, 1.5.2: the application first, dependencies with a last `_`,
# a place without a module in it.
COMBINED = (
    b'{"f":["led"],"v":{"temp":9},"p":6,"imei":"35","m":['
    b'{"s":16384,"l":"m","vc":30,"vv":30,"f":"b","n":"0","v":501,"d":[]},'
    b'{"s":262144,"l":"m","vc":30,"vv":30,"f":"s","n":"2","v":1512,"d":['
    b'{"f":"s","n":"1","v":1512,"_":""},{"f":"b","n":"0","v":400,"_":""}]},'
    b'{"s":131072,"l":"m","vc":30,"vv":26,"u":"' + b"ab" * 32 + b'","f":"u","n":"1","v":4,"d":['
    b'{"f":"s","n":"2","v":1512,"_":""}]},'
    b'{"s":131072,"l":"f","vc":30,"vv":0,"d":[]}]}'
)


def test_a_describe_in_the_acknowledgement_is_read() -> None:
    answer = bytes.fromhex("61 45 12 37 07 ff") + COMBINED
    assert m.encode_describe_answer(0x1237, b"\x07", COMBINED, piggybacked=True) == answer
    system, application = decode_describe(
        m.SYSTEM | m.APPLICATION, coap.TEXT, coap.decode(answer).payload
    )
    assert application == ApplicationDescribe(("led",), {"temp": 9})
    assert isinstance(system, SystemDescribe)
    assert (system.platform_id, system.imei) == (6, "35")
    assert system.system_version == 1512
    assert system.app_hash == "ab" * 32
    bootloader, part, user, factory = system.modules
    assert (bootloader.function, bootloader.version) == (BOOTLOADER, 501)
    assert part.dependencies == (
        ModuleDependency(SYSTEM_PART, 1, 1512),
        ModuleDependency(BOOTLOADER, 0, 400),
    )
    assert (user.function, user.is_valid) == (USER_PART, False)
    assert factory.store == FACTORY
    assert not factory.is_valid


def test_a_core_tells_one_module() -> None:
    payload = (
        b'{"f":[],"v":{},"p":0,"m":['
        b'{"s":110592,"l":"m","vc":30,"vv":30,"f":"m","n":"0","v":41,"d":[]}]}'
    )
    system, application = decode_describe(m.SYSTEM | m.APPLICATION, coap.TEXT, payload)
    assert application == ApplicationDescribe()
    assert isinstance(system, SystemDescribe)
    assert system.modules == (
        Module(MONOLITHIC, version=41, max_size=110592, checked=30, passed=30),
    )


@pytest.mark.parametrize(
    ("text", "type_code", "value"),
    [
        ("61 45 12 35 06 ff 01", m.BOOL, True),
        ("61 45 12 35 06 ff ffffffd6", m.INT, -42),
        ("61 45 12 35 06 ff 0000000000000a40", m.DOUBLE, 3.25),
        ("61 45 12 35 06 ff 6f6e", m.STRING, "on"),
        ("61 45 12 35 06 ff", m.STRING, ""),
    ],
)
def test_a_variable_in_the_acknowledgement_is_read(
    text: str, type_code: int, value: bool | float | str
) -> None:
    # messages.cpp, 0.7.0
    message = coap.decode(bytes.fromhex(text))
    assert (message.type, message.code, message.token) == (coap.ACK, coap.CONTENT, b"\x06")
    assert m.decode_variable_value(type_code, message.payload) == value


def test_a_refused_argument_has_no_token() -> None:
    # functions.h, 1.5.2: coded_ack without a token.
    message = coap.decode(bytes.fromhex("60 80 12 34"))
    assert (message.type, message.code, message.token) == (coap.ACK, coap.BAD_REQUEST, b"")


@pytest.mark.parametrize("name", vectors.LOGS)
def test_the_events_that_devices_send_of_themselves_have_names_that_we_know(name: str) -> None:
    known = {value for value in vars(special).values() if isinstance(value, str)}
    for line in vectors.coap_lines(name):
        message = coap.Message(
            line.type, line.code, line.message_id, line.token, line.options, line.payload
        )
        value = m.decode_request(message) if line.from_device else None
        if isinstance(value, m.Publish) and value.name.startswith(("spark/", "particle/")):
            assert value.name in known


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("particle/device/name", "name"),
        ("spark/device/ip", "ip"),
        ("particle/device/random", "random"),
        ("particle/device/names", None),
        ("particle/device/", None),
        ("Particle/device/name", None),
        ("spark/device/claim/code", None),
    ],
)
def test_a_question_has_two_spellings(name: str, question: str | None) -> None:
    assert special.question_of(name) == question
