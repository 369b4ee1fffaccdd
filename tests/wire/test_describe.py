"""Describes of every form: captured ones, the example of device-protocol.md 3.3.3, bounds."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyan.wire import coap
from cyan.wire.describe import (
    ApplicationDescribe,
    Asset,
    Metric,
    Metrics,
    Module,
    ModuleDependency,
    ModuleSecurity,
    SystemDescribe,
    decode_describe,
    encode_application,
    encode_metrics,
    encode_system_json,
    encode_system_protobuf,
)
from cyan.wire.describe.application import MAX_FUNCTIONS, MAX_VARIABLES
from cyan.wire.describe.metrics import MAX_METRICS
from cyan.wire.describe.system import (
    BOOTLOADER,
    FUNCTION_LETTERS,
    MAX_ASSETS,
    MAX_MODULES,
    MONOLITHIC,
    NCP_FIRMWARE,
    SCRATCHPAD,
    SYSTEM_PART,
    USER_PART,
)
from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.messages import APPLICATION, METRICS, SYSTEM

# udp-full-session.log, the describe with message id 2.
CAPTURED_SYSTEM = bytes.fromhex(
    "0a19080218e8072880808005351e0000003d1e0000005884808005"
    "0a20080318b8302880808005351e0000003d1e0000004a05080218e8075884808005"
)
CAPTURED_MODULES = (
    Module(
        function=BOOTLOADER,
        version=1000,
        max_size=10 << 20,
        checked=30,
        passed=30,
        size=(10 << 20) + 4,
    ),
    Module(
        function=MONOLITHIC,
        version=6200,
        max_size=10 << 20,
        checked=30,
        passed=30,
        dependencies=(ModuleDependency(BOOTLOADER, 0, 1000),),
        size=(10 << 20) + 4,
    ),
)

# device-protocol.md section 3.3.3; what it leaves out with dots is made up.
JSON_SYSTEM = (
    b'{"p":13,"imei":"352753090000000","iccid":"89314404000000000000","cellfw":"L0.0.00.00.05.06",'
    b'"m":[{"s":49152,"l":"m","vc":30,"vv":30,"f":"b","n":"0","v":1101,"d":[]},'
    b'{"s":262144,"l":"m","vc":30,"vv":26,"u":"'
    + b"a67c" * 16
    + b'","f":"u","n":"2","v":6,"d":[{"f":"s","n":"1","v":4200}]}]}'
)

# udp-full-session.log, the answer to a request for metrics.
CAPTURED_METRICS = bytes.fromhex(
    "00040002000400060004000000080004000000090000000000"
    "0a00020000000c00000000000d00000000000e00000000001400000000001500000000001600000000001700"
    "0c00000019809cffffff1a809cffffff1b00010000001c00000000001d00010000001e00000000001f000300"
    "000021809cffffff22809cffffff23809cffffff24000100000025809cffffff3c0000000000"
)


def test_a_captured_system_describe_reads_and_writes() -> None:
    (found,) = decode_describe(SYSTEM, coap.OCTET_STREAM, CAPTURED_SYSTEM)
    assert found == SystemDescribe(CAPTURED_MODULES)
    assert encode_system_protobuf(SystemDescribe(CAPTURED_MODULES)) == CAPTURED_SYSTEM


def test_a_json_system_describe_reads_and_writes() -> None:
    (found,) = decode_describe(SYSTEM, coap.TEXT, JSON_SYSTEM)
    assert isinstance(found, SystemDescribe)
    assert found.platform_id == 13
    assert found.imei == "352753090000000"
    bootloader, user = found.modules
    assert bootloader.is_valid
    assert not user.is_valid
    assert (user.function, user.index, user.version) == (USER_PART, 2, 6)
    assert user.dependencies == (ModuleDependency(SYSTEM_PART, 1, 4200),)
    assert found.app_hash == "a67c" * 16
    assert encode_system_json(found) == JSON_SYSTEM


def test_a_protobuf_describe_is_told_in_json_with_the_platform_of_hello() -> None:
    describe = SystemDescribe(
        modules=(
            Module(
                function=USER_PART,
                index=1,
                version=7,
                store=SCRATCHPAD,
                max_size=262144,
                checked=30,
                passed=26,
                hash=bytes(32),
                dependencies=(ModuleDependency(NCP_FIRMWARE, 0, 5),),
            ),
            Module(function=200, store=9),
        ),
        iccid="8931",
    )
    assert describe.to_json(13) == {
        "p": 13,
        "iccid": "8931",
        "m": [
            {
                "s": 262144,
                "l": "t",
                "vc": 30,
                "vv": 26,
                "u": "00" * 32,
                "f": "u",
                "n": "1",
                "v": 7,
                "d": [{"f": "c", "n": "0", "v": 5}],
            },
            {"s": 0, "l": "_", "vc": 0, "vv": 0, "f": "_", "n": "0", "v": 0, "d": []},
        ],
    }
    assert "p" not in describe.to_json()


def test_app_hash_and_system_version_are_those_of_the_main_store() -> None:
    backup = Module(USER_PART, store=SCRATCHPAD, hash=b"\x01" * 32)
    current = Module(USER_PART, hash=b"\x02" * 32)
    describe = SystemDescribe((backup, current, Module(SYSTEM_PART, 1, 6200)))
    assert describe.app_hash == "02" * 32
    assert describe.system_version == 6200
    assert SystemDescribe((backup,)).app_hash is None
    assert SystemDescribe().system_version is None
    assert SystemDescribe(CAPTURED_MODULES).system_version == 6200


def test_module_functions_have_the_letters_of_firmware() -> None:
    assert FUNCTION_LETTERS[BOOTLOADER] == "b"
    assert FUNCTION_LETTERS[NCP_FIRMWARE] == "c"
    assert len(FUNCTION_LETTERS) == 10


def test_every_field_of_the_protobuf_form_reads_back() -> None:
    asset = Asset(bytes(range(32)), "logo.png", 1000, 800)
    describe = SystemDescribe(
        modules=(
            Module(
                function=USER_PART,
                index=1,
                version=2,
                store=3,
                max_size=4,
                checked=5,
                passed=6,
                hash=bytes(32),
                dependencies=(ModuleDependency(4, 1, 6200), ModuleDependency(4, 2, 6200)),
                asset_dependencies=(asset,),
                size=7,
                security=ModuleSecurity(1, b"fingerprint"),
            ),
        ),
        imei="35",
        iccid="89",
        modem_firmware_version="L0",
        assets=(asset,),
        protected=True,
        env_vars_hash=b"h" * 32,
    )
    data = encode_system_protobuf(describe)
    assert decode_describe(SYSTEM, coap.OCTET_STREAM, data) == (describe,)
    unknown_fields = bytes.fromhex("7801 82010161 8d0100000000 91010000000000000000")
    assert decode_describe(SYSTEM, coap.OCTET_STREAM, data + unknown_fields) == (describe,)


def test_a_captured_application_describe_reads_and_writes() -> None:
    payload = (
        b'{"f":["echo","ctl"],"v":{"vbool":1,"vint":2,"vdouble":9,"vstring":4,"vchars":4,'
        b'"cbool":1,"cint":2,"cdouble":9,"cstring":4,"last":4}}'
    )
    (found,) = decode_describe(APPLICATION, coap.TEXT, payload)
    assert isinstance(found, ApplicationDescribe)
    assert found.functions == ("echo", "ctl")
    assert list(found.variables.items())[:3] == [("vbool", 1), ("vint", 2), ("vdouble", 9)]
    assert encode_application(found) == payload


def test_in_safe_mode_there_are_no_functions_and_no_variables() -> None:
    # udp-safe-mode.log
    empty = ApplicationDescribe()
    assert decode_describe(APPLICATION, coap.TEXT, b'{"f":[],"v":{}}') == (empty,)
    assert encode_application(empty) == b'{"f":[],"v":{}}'


def test_old_firmware_sends_both_parts_in_one_object() -> None:
    payload = b'{"f":["led"],"v":{"temp":2},"p":6,"m":[],"unheard":[{"of":null}]}'
    assert decode_describe(SYSTEM | APPLICATION, coap.TEXT, payload) == (
        SystemDescribe(platform_id=6),
        ApplicationDescribe(("led",), {"temp": 2}),
    )


def test_captured_metrics_read_and_write() -> None:
    (found,) = decode_describe(METRICS, coap.TEXT, CAPTURED_METRICS)
    assert isinstance(found, Metrics)
    assert len(found.values) == 24
    assert found.values[0] == Metric(6, 4)
    assert Metric(25, error=-100) in found.values
    assert found.values[-1] == Metric(60, 0)
    assert encode_metrics(found) == CAPTURED_METRICS


def test_signed_metrics_and_those_of_an_application_are_told_apart() -> None:
    header = bytes.fromhex("00040002000400")
    payload = header + bytes.fromhex("1300c4ffffff 0200c4ffffff 01c0feffffff 0080feffffff")
    values = (
        Metric(19, -60),
        Metric(2, 0xFFFFFFC4),
        Metric(0xC001, 0xFFFFFFFE),
        Metric(0x8000, 0xFFFFFFFE),
    )
    assert decode_describe(METRICS, coap.TEXT, payload) == (Metrics(values),)
    assert encode_metrics(Metrics(values)) == payload


@pytest.mark.parametrize(
    "metric",
    [Metric(1), Metric(1, 1, -1), Metric(65536, 1), Metric(1, 1 << 32), Metric(1, -(1 << 31) - 1)],
)
def test_a_metric_that_the_wire_cannot_express_is_misuse(metric: Metric) -> None:
    with pytest.raises(MisuseError):
        encode_metrics(Metrics((metric,)))


def module_bytes(count: int) -> bytes:
    return encode_system_protobuf(SystemDescribe((Module(USER_PART),) * count))


def asset_bytes(count: int) -> bytes:
    return encode_system_protobuf(SystemDescribe(assets=(Asset(b"", ""),) * count))


def functions_json(count: int) -> bytes:
    return msgspec.json.encode({"f": [f"f{index}" for index in range(count)]})


def variables_json(count: int) -> bytes:
    return msgspec.json.encode({"v": {f"v{index}": 2 for index in range(count)}})


def metrics_bytes(count: int) -> bytes:
    return encode_metrics(Metrics((Metric(1, 0),) * count))


@pytest.mark.parametrize(
    ("flags", "make", "most"),
    [
        (SYSTEM, module_bytes, MAX_MODULES),
        (SYSTEM, asset_bytes, MAX_ASSETS),
        (APPLICATION, functions_json, MAX_FUNCTIONS),
        (APPLICATION, variables_json, MAX_VARIABLES),
        (METRICS, metrics_bytes, MAX_METRICS),
    ],
)
def test_counts_are_bounded(flags: int, make: Callable[[int], bytes], most: int) -> None:
    assert len(decode_describe(flags, coap.OCTET_STREAM, make(most))) == 1
    with pytest.raises(MalformedError):
        decode_describe(flags, coap.OCTET_STREAM, make(most + 1))


@pytest.mark.parametrize(
    ("why", "flags", "payload"),
    [
        ("nothing, where JSON is due", APPLICATION, b""),
        ("protobuf, where JSON is due", APPLICATION, CAPTURED_SYSTEM),
        ("JSON without a part", SYSTEM, b"{}"),
        ("JSON cut short", APPLICATION, b'{"f":["led"'),
        ("a name that is a number", APPLICATION, b'{"f":[1]}'),
        ("a name of 65 bytes", APPLICATION, b'{"f":["' + b"x" * 65 + b'"]}'),
        ("a variable's name of 65 bytes", APPLICATION, b'{"v":{"' + b"x" * 65 + b'":2}}'),
        ("a type that is negative", APPLICATION, b'{"v":{"a":-1}}'),
        ("text that is not UTF-8", APPLICATION, b'{"f":["\xff"]}'),
        ("JSON that is too deep", APPLICATION, b'{"x":' + b"[" * 30000),
        ("a hash that is not hex", SYSTEM, b'{"m":[{"f":"u","u":"xy"}]}'),
        ("too many modules", SYSTEM, b'{"m":[' + b"{}," * MAX_MODULES + b"{}]}"),
        ("metrics cut in their header", METRICS, bytes.fromhex("000400020004")),
        ("metrics with other sizes", METRICS, bytes.fromhex("00040002000800")),
        ("metrics cut in a value", METRICS, CAPTURED_METRICS[:-1]),
        ("a hash of 33 bytes", SYSTEM, bytes.fromhex("3a21" + "00" * 33)),
        ("a text of 129 bytes", SYSTEM, bytes.fromhex("128101" + "30" * 129)),
        ("a text that is not UTF-8", SYSTEM, bytes.fromhex("1201ff")),
        ("a module that is a number", SYSTEM, bytes.fromhex("0801")),
        ("a module cut short", SYSTEM, CAPTURED_SYSTEM[:-1]),
        ("more bytes than a describe may have", SYSTEM, bytes.fromhex("7a00") * 40000),
    ],
)
def test_what_is_no_describe_is_malformed(why: str, flags: int, payload: bytes) -> None:
    with pytest.raises(MalformedError):
        decode_describe(flags, coap.TEXT, payload)


def test_an_application_over_the_bounds_is_misuse() -> None:
    with pytest.raises(MisuseError):
        encode_application(ApplicationDescribe(("x" * 65,)))


json_objects = st.dictionaries(
    st.sampled_from(["f", "v", "p", "m", "imei", "x"]),
    st.recursive(
        st.sampled_from([None, True, -1, 0, 7, 1 << 40, 0.5, "", "u", "_", "00", "é"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["f", "n", "v", "u", "d", "l", "s"]), inner, max_size=4
            )
        ),
        max_leaves=8,
    ),
)


@given(
    st.integers(1, 7),
    st.sampled_from([coap.TEXT, coap.OCTET_STREAM]),
    st.binary(max_size=80)
    | st.binary(max_size=60).map(lambda tail: bytes.fromhex("00040002000400") + tail)
    | json_objects.map(msgspec.json.encode),
)
def test_any_payload_is_parts_or_malformed(flags: int, content_format: int, payload: bytes) -> None:
    try:
        parts = decode_describe(flags, content_format, payload)
    except MalformedError:
        return
    assert parts
    for part in parts:
        if isinstance(part, SystemDescribe):
            again = encode_system_protobuf(part)
            (read,) = decode_describe(SYSTEM, coap.OCTET_STREAM, again) if again else (part,)
            assert isinstance(read, SystemDescribe)
            assert read.modules == part.modules
        elif isinstance(part, Metrics):
            assert encode_metrics(part) == payload
        else:
            assert decode_describe(APPLICATION, coap.TEXT, encode_application(part)) == (part,)
