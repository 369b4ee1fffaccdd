"""What a peer's bytes can reach, by name, with real bytes to change: for `test_fuzz.py` and the
soak. Each target gives a value or raises MalformedError; anything else is a bug.

`TARGETS[name].run(data)` feeds one input. `mutate(random, seeds)` makes one of the target's seeds.
Targets keep nothing between inputs but for handshakes that are still open, which go on until they
end and then begin anew, so that what was sent once is met in every state.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import Final

from cyan.wire import blockwise, bundle, coap, exchange, ledger, messages, server_key, simulated
from cyan.wire.describe import Asset, ModuleDependency, decode_describe
from cyan.wire.describe.metrics import decode_metrics
from cyan.wire.describe.system_json import decode_json
from cyan.wire.describe.system_protobuf import decode_system_protobuf
from cyan.wire.dtls import alerts, bodies, handshake, hello
from cyan.wire.dtls.client import ClientHandshake
from cyan.wire.dtls.reader import Reader
from cyan.wire.dtls.record import (
    DeviceRecords,
    Keys,
    ServerRecords,
    connection_id_of,
    split_moved,
    split_records,
)
from cyan.wire.dtls.server import ServerHandshake
from cyan.wire.errors import MalformedError
from cyan.wire.lightssl.frames import Channel
from cyan.wire.lightssl.handshake import ClientHandshake as TcpClientHandshake
from cyan.wire.lightssl.handshake import make_response, open_request
from cyan.wire.messages import (
    calls,
    control,
    describing,
    events,
    goodbye,
    names,
    special,
    updates,
    updates_legacy,
)
from cyan.wire.messages.hello import decode_hello
from cyan.wire.messages.ledgers import decode_ledger_post
from cyan.wire.messages.unknown import as_unknown
from cyan.wire.module import (
    Extension,
    combine_modules,
    compress_module,
    decode_asset,
    decompress_module,
    encode_asset,
    encode_module,
    parse_module,
    split_modules,
)
from cyan.wire.module.extensions import take_extensions
from cyan.wire.module.prefix import read_prefix
from cyan.wire.module.reading import read_rest
from cyan.wire.module.values import HASHED_TAIL_BYTES, seal
from cyan.wire.protobuf.reader import read_fields
from cyan.wire.protobuf.varint import decode_varint
from tests.wire import vectors
from tests.wire.dtls.captured import sessions
from tests.wire.dtls.peers import DEVICE_KEY, SERVER_KEY, device, server_for
from tests.wire.lightssl import textbook

MAX_INPUT_BYTES: Final = 4096

Run = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Target:
    """`seeds` are genuine inputs. `is_slow` where each input costs 0.1 ms or more."""

    run: Run
    seeds: tuple[bytes, ...]
    is_slow: bool = False


def mutate(random: Random, seeds: Sequence[bytes]) -> bytes:
    """A seed with some changes, most often one; now and then with none, so that machines come
    further, or bytes without any sense."""
    if random.random() < 0.03:
        return random.randbytes(random.randrange(64))
    data = bytearray(random.choice(seeds))
    for _ in range(random.choice((0, 1, 1, 1, 1, 2, 3, 4))):
        at = random.randint(0, len(data))
        end = min(len(data), at + random.choice((1, 1, 2, 4, 16)))
        match random.randrange(6):
            case 0:
                data[at:end] = random.randbytes(end - at)
            case 1:
                data[at:at] = random.randbytes(random.randint(1, 8))
            case 2:
                del data[at:end]
            case 3:
                data[at:end] = random.choice((b"\0", b"\x7f", b"\x80", b"\xff", b"\xfe")) * (
                    end - at
                )
            case 4:
                other = random.choice(seeds)
                data[at:] = other[random.randint(0, len(other)) :]
            case _:
                data[at:at] = data[at:end] * random.choice((1, 2, 64))
    return bytes(data[:MAX_INPUT_BYTES])


def is_accepted(target: Target, data: bytes) -> bool:
    """Runs one input; False when it was malformed. Whatever else is raised is a bug."""
    try:
        target.run(data)
    except MalformedError:
        return False
    return True


# -- genuine bytes ------------------------------------------------------------------------------

_COAP: Final = tuple(
    sorted(
        {
            coap.encode(
                coap.Message(
                    line.type, line.code, line.message_id, line.token, line.options, line.payload
                )
            )
            for name in vectors.LOGS
            for line in vectors.coap_lines(name)
        }
    )
)
_DESCRIBES: Final = tuple(
    sorted(
        {
            line.payload
            for name in vectors.LOGS
            for line in vectors.coap_lines(name)
            if line.from_device and (coap.URI_PATH, b"d") in line.options
        }
        | {
            line.payload
            for line in vectors.coap_lines("udp-full-session.log")
            if line.code == coap.CONTENT and len(line.payload) > 40
        }
        | {
            b'{"f":["led"],"v":{"temp":9},"p":6,"imei":"35","m":[{"s":262144,"l":"m","vc":30,"vv":26,'
            b'"u":"'
            + b"ab" * 32
            + b'","f":"u","n":"2","v":6,"d":[{"f":"s","n":"1","v":4200,"_":""}]}]}'
        }
    )
)
_DATAGRAMS: Final = tuple(
    sorted({datagram.data for datagram in vectors.datagrams("udp-resume-keys.log")})
)
[_SESSION] = sessions("udp-resume-keys.log")
_BODIES: Final = {message.type: message.body for message in _SESSION.messages}

_KEYS: Final = Keys(bytes(range(16)), bytes(range(16)), b"\x10\x11\x12\x13", b"\x10\x11\x12\x13")
_ID: Final = bytes(8)
_DEVICE_ID: Final = bytes(range(12))
_FROM_DEVICE: Final = tuple(DeviceRecords(_KEYS, _ID).seal_data(data) for data in _COAP[:40])
_WITHOUT_ID: Final = tuple(ServerRecords(_KEYS, _ID).seal_data(data) for data in _COAP[:40])
_MOVED: Final = tuple(
    DeviceRecords(_KEYS, b"", moving=True, device_id=_DEVICE_ID).seal_data(data)
    for data in _COAP[:40]
)


def _flights(*, offer_connection_id: bool) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """What a server and a device send in a handshake, whole and in single records."""
    client = device(offer_connection_id=offer_connection_id)
    server = server_for(client.start())
    [answer] = client.feed(server.flight)
    return (server.flight, *split_records(server.flight)), (answer, *split_records(answer))


_SERVER_FLIGHT, _DEVICE_FLIGHT = _flights(offer_connection_id=True)
_, _OLD_DEVICE_FLIGHT = _flights(offer_connection_id=False)

_TCP: Final = vectors.tcp_secrets()
_STREAMS: Final = tuple(
    b"".join(
        frame.data
        for frame in vectors.datagrams(vectors.TCP_WITH_KEYS)
        if frame.from_device == from_device
    )
    for from_device in (True, False)
)
_NONCE: Final = bytes(40)
_REQUEST: Final = TcpClientHandshake(
    device_key=textbook.device_key(),
    server_public_key=textbook.server_key().public_key(),
    device_id=_DEVICE_ID,
).feed(_NONCE)
_RESPONSE: Final = make_response(
    textbook.server_key(), textbook.spki(textbook.device_key()), bytes(40)
)


# -- machines -----------------------------------------------------------------------------------


class _ServerSide:
    """A DTLS handshake that a device has begun."""

    def __init__(self, *, offer_connection_id: bool) -> None:
        self._hello = device(offer_connection_id=offer_connection_id).start()
        self._handshake = server_for(self._hello)

    def __call__(self, data: bytes) -> object:
        if self._handshake.established is not None or self._handshake.failed is not None:
            self._handshake = server_for(self._hello)
        return self._handshake.feed(data)


class _DeviceSide:
    """A DTLS handshake that waits for a server."""

    def __init__(self) -> None:
        self._handshake: ClientHandshake = device()

    def __call__(self, data: bytes) -> object:
        if self._handshake.established is not None or self._handshake.failed is not None:
            self._handshake = device()
        return self._handshake.feed(data)


def _begin(data: bytes) -> object:
    """What a server does with the first datagram of a stranger."""
    found = hello.read_client_hello(data)
    cookie = hello.make_cookie(b"secret", b"address", found)
    assert len(hello.hello_verify_request(found, cookie)) < 100
    return ServerHandshake(found, server_key=SERVER_KEY, entropy=bytes(64), connection_id=_ID)


def _reassemble_messages(data: bytes) -> object:
    reassembly = handshake.Reassembly(0)
    for fragment in handshake.decode_fragments(data):
        reassembly.add(fragment)
    return reassembly.next_message()


def _reassemble_blocks(data: bytes) -> object:
    """Each message of 16 bytes is a block."""
    reassembly = blockwise.Reassembly()
    for start in range(0, len(data) - 1, 16):
        block = blockwise.decode_block(data[start : start + 1])
        reassembly.feed(1, block, data[start + 1 : start + 17])
    return reassembly.is_open


def _exchange(data: bytes) -> object:
    """A message meets a server that waits for an answer."""
    message = coap.decode(data)
    waiting = exchange.Exchange(next_message_id=message.message_id)
    ends: list[str] = []
    waiting.send(lambda _id, token: token, 0.0, 0.0, ends.append, lambda _message: None)
    waiting.send(lambda _id, token: token, 0.0, 0.0, ends.append)
    waiting.on_ack(message)
    waiting.on_response(message)
    waiting.on_pong()
    waiting.on_reset(message.message_id)
    assert len(ends) <= 2
    return waiting.is_new(message.message_id, 1.0)


def _tcp_device(data: bytes) -> object:
    client = TcpClientHandshake(
        device_key=textbook.device_key(),
        server_public_key=textbook.server_key().public_key(),
        device_id=_DEVICE_ID,
    )
    client.feed(_NONCE)
    return client.feed(data)


def _on_message(decode: Callable[[coap.Message], object]) -> Run:
    return lambda data: decode(coap.decode(data))


def _on_handshake_message(decode: Callable[[handshake.Message], object]) -> Run:
    return lambda data: decode(handshake.encode_message(0, 0, data))


_ASSET_DATA: Final = b"sound " * 40
_APPLICATION: Final = encode_module(
    b"code " * 60,
    platform_id=13,
    function=5,
    start_address=0xB4000,
    dependencies=[ModuleDependency(4, index, 5800) for index in (1, 2, 3)],
    assets=[Asset(sha256(_ASSET_DATA).digest(), "sound.wav")],
    product_version=3,
)
_MODULES: Final = (
    _APPLICATION,
    encode_module(bytes(99), platform_id=6, function=4, vector_table=bytes(0x184)),
    encode_module(b"", platform_id=32, function=5, prefix_extensions=[Extension(0x77, b"abc")]),
    encode_asset("sound.wav", _ASSET_DATA, compress=False),
    encode_asset("sound.wav", _ASSET_DATA),
    compress_module(_APPLICATION),
    combine_modules([_APPLICATION, _APPLICATION]),
)


_IMAGES: Final = (
    simulated.encode_image(
        simulated.Image(
            3,
            (
                simulated.Variable("uptime", "int", 0, step=1, every_s=1.0),
                simulated.Variable("led", "bool", False),
            ),
            (simulated.Function("lamp", {"on": 1, "off": 0}, -1, into="led"),),
            (simulated.Event("up", (simulated.Piece("for ", "uptime"),), 10.0),),
            (simulated.Subscription("alarm/", into="led"),),
        )
    )[len(simulated.MAGIC) :],
    b"{}",
)
"""Behind the magic."""


def _on_module(read: Callable[[bytes], object]) -> Run:
    """With right checksums, without which no change would be seen."""

    def run(data: bytes) -> object:
        return read(seal(bytearray(data.ljust(HASHED_TAIL_BYTES, b"\0"))))

    return run


def _read_rest(data: bytes) -> object:
    prefix = read_prefix(memoryview(data))
    return read_rest(memoryview(data)[: prefix.module_bytes], prefix)


# -- the registry -------------------------------------------------------------------------------

_MESSAGE_DECODERS: Final[dict[str, Callable[[coap.Message], object]]] = {
    "messages.requests.decode_request": messages.decode_request,
    "messages.requests.decode_server_request": messages.decode_server_request,
    "messages.calls.decode_function_call": calls.decode_function_call,
    "messages.calls.decode_variable_request": calls.decode_variable_request,
    "messages.control.decode_signal": control.decode_signal,
    "messages.control.decode_key_change": control.decode_key_change,
    "messages.describing.decode_describe_post": describing.decode_describe_post,
    "messages.describing.decode_describe_request": describing.decode_describe_request,
    "messages.events.decode_publish": events.decode_publish,
    "messages.events.decode_event_down": events.decode_event_down,
    "messages.events.decode_subscribe": events.decode_subscribe,
    "messages.goodbye.decode_goodbye": goodbye.decode_goodbye,
    "messages.hello.decode_hello": decode_hello,
    "messages.ledgers.decode_ledger_post": decode_ledger_post,
    "messages.unknown.as_unknown": as_unknown,
    "messages.updates.decode_update_start": updates.decode_update_start,
    "messages.updates.decode_update_started": updates.decode_update_started,
    "messages.updates.decode_update_chunk": updates.decode_update_chunk,
    "messages.updates.decode_update_ack": updates.decode_update_ack,
    "messages.updates.decode_update_finish": updates.decode_update_finish,
    "messages.updates_legacy.decode_update_begin": updates_legacy.decode_update_begin,
    "messages.updates_legacy.decode_chunk": updates_legacy.decode_chunk,
    "messages.updates_legacy.decode_chunk_missed": updates_legacy.decode_chunk_missed,
    "messages.updates_legacy.decode_update_done": updates_legacy.decode_update_done,
    "messages.updates_legacy.decode_update_abort": updates_legacy.decode_update_abort,
}

_LEDGER_REQUESTS: Final = tuple(
    map(
        bytes.fromhex,
        (
            "0801120a0a0873657474696e6773",
            "08021a160a0470756d701202aabb1908070605040302015201a0",
            "080322130a0470756d701202aabb190000000000000000",
            "08042a0c0a0a0a0470756d701202aabb",
            "080532110a0f0a0470756d70110807060504030201",
            "08063a00",
        ),
    )
)
_LEDGER_RESPONSES: Final = tuple(
    map(
        bytes.fromhex,
        (
            "011a190a170a0470756d701202aabb18012002290807060504030201",
            "032a0c0908070605040302015201a0",
            "0432190a0f0a0470756d701108070605040302010a060a0470756d70",
            "03080812026e6f",
        ),
    )
)
"""As in test_ledger.py; the first byte of a response says of which request."""

_NAMES: Final = (b"led", b"particle/device/name", "ü/\u2028".encode(), b"x" * 64)
_RANDOMS: Final = b"".join(_SESSION.randoms)

TARGETS: Final[dict[str, Target]] = {
    "coap.decode": Target(coap.decode, _COAP),
    "coap.decode_uint": Target(coap.decode_uint, (b"", b"\1", b"\1\2", b"\1\2\3\4")),
    "exchange.Exchange": Target(_exchange, _COAP),
    "blockwise.decode_block": Target(blockwise.decode_block, (b"", b"\x0e", b"\x1e", b"\x01\x26")),
    "blockwise.Reassembly.feed": Target(
        _reassemble_blocks, (b"\x08" + b"a" * 15 + b"\x18" + b"b" * 15 + b"\x20c",)
    ),
    **{name: Target(_on_message(decode), _COAP) for name, decode in _MESSAGE_DECODERS.items()},
    "blockwise.find_block": Target(
        _on_message(lambda message: blockwise.find_block(message, coap.BLOCK1)), _COAP
    ),
    "messages.calls.decode_function_result": Target(calls.decode_function_result, (bytes(4),)),
    "messages.calls.decode_variable_value": Target(
        lambda data: calls.decode_variable_value(data[0] if data else 0, data[1:]),
        (b"\x01\x01", b"\x02\0\0\0\1", b"\x04text", b"\x09" + bytes(8)),
    ),
    "messages.control.decode_time_answer": Target(control.decode_time_answer, (bytes(4),)),
    "messages.updates.decode_update_statistics": Target(
        updates.decode_update_statistics, (b'{"recv_chunks":4,"dup_chunks":1,"proc_time":12}',)
    ),
    "messages.updates.decode_diagnostic": Target(
        updates.decode_diagnostic, (b'{"code":-1380,"message":"Unknown error"}',)
    ),
    "messages.updates.read_update_ack": Target(updates.read_update_ack, _COAP),
    "messages.updates_legacy.decode_update_ready": Target(
        updates_legacy.decode_update_ready, (b"\0", b"\1")
    ),
    "messages.updates_legacy.decode_update_result": Target(
        updates_legacy.decode_update_result, (b'{"r":0}', b'{"r":-210}', b"")
    ),
    "messages.names.decode_name": Target(names.decode_name, _NAMES),
    "messages.special.question_of": Target(
        lambda data: special.question_of(names.decode_name(data)), _NAMES
    ),
    "describe.decode_describe": Target(
        lambda data: decode_describe(
            data[0] & 7 if data else 0, coap.OCTET_STREAM if data[:1] < b"\x80" else 0, data[1:]
        ),
        tuple(bytes((flags,)) + data for data in _DESCRIBES for flags in (1, 2, 3, 4, 0x83)),
    ),
    "ledger.decode_request": Target(ledger.decode_request, _LEDGER_REQUESTS),
    "ledger.decode_response": Target(
        lambda data: ledger.decode_response(data[0] & 7 if data else 0, data[1:]),
        _LEDGER_RESPONSES,
    ),
    "describe.metrics.decode_metrics": Target(decode_metrics, _DESCRIBES),
    "describe.system_json.decode_json": Target(decode_json, _DESCRIBES),
    "describe.system_protobuf.decode_system_protobuf": Target(decode_system_protobuf, _DESCRIBES),
    "protobuf.reader.read_fields": Target(lambda data: list(read_fields(data)), _DESCRIBES),
    "protobuf.varint.decode_varint": Target(
        lambda data: decode_varint(data, 0), (b"\0", b"\xff\x01", b"\xff" * 9 + b"\x01")
    ),
    "server_key.decode_server_key": Target(
        server_key.decode_server_key,
        tuple(
            server_key.encode_server_key(server_key.ServerKey(key, host, 5683))
            for key in (vectors.SERVER_PUBLIC_KEY, textbook.spki(textbook.server_key()))
            for host in ("cloud.example.org", "192.0.2.1", None)
        ),
    ),
    "dtls.alerts.decode_alert": Target(alerts.decode_alert, (alerts.CLOSE_NOTIFY, b"\x02\x28")),
    "dtls.alerts.ends_session": Target(alerts.ends_session, (alerts.CLOSE_NOTIFY, b"\x02\x28")),
    "dtls.record.split_records": Target(split_records, _DATAGRAMS),
    "dtls.record.split_moved": Target(split_moved, _MOVED),
    "dtls.record.connection_id_of": Target(connection_id_of, _DATAGRAMS),
    "dtls.record.ServerRecords.open": Target(
        lambda data: ServerRecords(_KEYS, _ID).open(data), _FROM_DEVICE
    ),
    "dtls.record.ServerRecords.open (no id)": Target(
        lambda data: ServerRecords(_KEYS, _ID, has_connection_id=False).open(data), _WITHOUT_ID
    ),
    "dtls.record.DeviceRecords.open": Target(
        lambda data: DeviceRecords(_KEYS, _ID).open(data), _WITHOUT_ID
    ),
    "dtls.handshake.decode_fragments": Target(
        handshake.decode_fragments, tuple(message.encoded for message in _SESSION.messages)
    ),
    "dtls.handshake.Reassembly.add": Target(
        _reassemble_messages, tuple(message.encoded for message in _SESSION.messages)
    ),
    "dtls.hello.read_client_hello": Target(hello.read_client_hello, tuple(vectors.client_hellos())),
    "dtls.hello.refuse_what_we_cannot_serve": Target(
        _begin, tuple(vectors.client_hellos()), is_slow=True
    ),
    "dtls.hello.decode_hello_verify_request": Target(
        _on_handshake_message(hello.decode_hello_verify_request), (b"\xfe\xff\x04cook",)
    ),
    "dtls.hello.decode_server_hello": Target(
        _on_handshake_message(hello.decode_server_hello), (_BODIES[handshake.SERVER_HELLO],)
    ),
    "dtls.hello.connection_id_in": Target(
        lambda data: hello.connection_id_in({bodies.CONNECTION_ID: data}), (b"\0", b"\x08" + _ID)
    ),
    "dtls.bodies.decode_extensions": Target(
        lambda data: bodies.decode_extensions(Reader(data)),
        (_BODIES[handshake.CLIENT_HELLO][-0x2F:], b""),
    ),
    "dtls.bodies.decode_certificate": Target(
        bodies.decode_certificate, (_BODIES[handshake.CERTIFICATE],)
    ),
    "dtls.bodies.decode_public_key": Target(bodies.decode_public_key, (vectors.SERVER_PUBLIC_KEY,)),
    "dtls.bodies.decode_point": Target(bodies.decode_point, (vectors.SERVER_PUBLIC_KEY[-65:],)),
    "dtls.bodies.decode_client_key_exchange": Target(
        bodies.decode_client_key_exchange, (_BODIES[handshake.CLIENT_KEY_EXCHANGE],)
    ),
    "dtls.bodies.decode_server_key_exchange": Target(
        lambda data: bodies.decode_server_key_exchange(data, _RANDOMS, SERVER_KEY.public_key()),
        (_BODIES[handshake.SERVER_KEY_EXCHANGE],),
        is_slow=True,
    ),
    "dtls.bodies.is_verified": Target(
        lambda data: bodies.is_verified(data, bytes(32), DEVICE_KEY.public_key()),
        (_BODIES[handshake.CERTIFICATE_VERIFY],),
        is_slow=True,
    ),
    "dtls.server.ServerHandshake.feed": Target(
        _ServerSide(offer_connection_id=True), (*_DEVICE_FLIGHT, *_DATAGRAMS[:2]), is_slow=True
    ),
    "dtls.server.ServerHandshake.feed (no id)": Target(
        _ServerSide(offer_connection_id=False), _OLD_DEVICE_FLIGHT, is_slow=True
    ),
    "dtls.client.ClientHandshake.feed": Target(
        _DeviceSide(), (*_SERVER_FLIGHT, *_DATAGRAMS[:2]), is_slow=True
    ),
    "lightssl.frames.Channel.feed": Target(
        lambda data: Channel(_TCP["SESSION"]).feed(data), _STREAMS
    ),
    "lightssl.handshake.open_request": Target(
        lambda data: open_request(textbook.server_key(), _NONCE, data), (_REQUEST,), is_slow=True
    ),
    "lightssl.handshake.ClientHandshake.feed": Target(
        _tcp_device, (_RESPONSE, _RESPONSE + b"tail"), is_slow=True
    ),
    "module.prefix.read_prefix": Target(lambda data: read_prefix(memoryview(data)), _MODULES),
    "module.reading.read_rest": Target(_on_module(_read_rest), _MODULES),
    "module.reading.parse_module": Target(parse_module, _MODULES),
    "module.reading.parse_module (sealed)": Target(_on_module(parse_module), _MODULES),
    "module.extensions.take_extensions": Target(
        lambda data: take_extensions(memoryview(data), "suffix"),
        (_APPLICATION[-300:-40], b"\x12\0\x07\0abc\x77\0\x04\0\0\0\x04\0"),
    ),
    "module.combining.split_modules": Target(split_modules, _MODULES),
    "module.compression.decompress_module": Target(_on_module(decompress_module), _MODULES),
    "module.assets.decode_asset": Target(decode_asset, _MODULES),
    "module.assets.decode_asset (sealed)": Target(_on_module(decode_asset), _MODULES),
    "simulated.decode_image": Target(
        simulated.decode_image, tuple(simulated.MAGIC + body for body in _IMAGES)
    ),
    "simulated.decode_image (magic)": Target(
        lambda data: simulated.decode_image(simulated.MAGIC + data), _IMAGES
    ),
    "bundle.read_bundle": Target(
        bundle.read_bundle,
        (bundle.encode_bundle(_APPLICATION, (bundle.BundledAsset("sound.wav", _ASSET_DATA),)),),
        is_slow=True,
    ),
}
