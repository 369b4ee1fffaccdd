"""Which request a message is, by its code and the first segment of its path.

Devices and servers both put the path first, of one character (device-protocol.md section 2.1).
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from cyan.wire import coap
from cyan.wire.messages.calls import (
    FunctionCall,
    VariableRequest,
    decode_function_call,
    decode_variable_request,
)
from cyan.wire.messages.control import (
    KeyChange,
    Ping,
    Signal,
    TimeRequest,
    decode_key_change,
    decode_signal,
)
from cyan.wire.messages.describing import (
    DescribePost,
    DescribeRequest,
    decode_describe_post,
    decode_describe_request,
)
from cyan.wire.messages.events import (
    EventDown,
    Publish,
    Subscribe,
    decode_event_down,
    decode_publish,
    decode_subscribe,
)
from cyan.wire.messages.goodbye import Goodbye, decode_goodbye
from cyan.wire.messages.hello import CloudHello, Hello, decode_hello
from cyan.wire.messages.ledgers import PATH as LEDGERS
from cyan.wire.messages.ledgers import LedgerPost, decode_ledger_post
from cyan.wire.messages.unknown import Unknown, as_unknown
from cyan.wire.messages.updates import (
    UpdateAck,
    UpdateChunk,
    UpdateFinish,
    UpdateStart,
    decode_update_ack,
    decode_update_chunk,
    decode_update_finish,
    decode_update_start,
)
from cyan.wire.messages.updates_legacy import (
    Chunk,
    ChunkMissed,
    UpdateBegin,
    UpdateDone,
    decode_chunk,
    decode_chunk_missed,
    decode_update_begin,
    decode_update_done,
)

DeviceRequest: TypeAlias = (
    Hello
    | Publish
    | Subscribe
    | TimeRequest
    | DescribePost
    | LedgerPost
    | Goodbye
    | UpdateAck
    | ChunkMissed
    | Ping
    | Unknown
)
ServerRequest: TypeAlias = (
    EventDown
    | FunctionCall
    | VariableRequest
    | DescribeRequest
    | Signal
    | KeyChange
    | CloudHello
    | LedgerPost
    | UpdateStart
    | UpdateChunk
    | UpdateFinish
    | UpdateBegin
    | Chunk
    | UpdateDone
    | Ping
    | Unknown
)

_PING: Final = Ping()
_CLOUD_HELLO: Final = CloudHello()
_TIME: Final = TimeRequest()


def _path(segment: bytes) -> tuple[int, bytes]:
    return (coap.URI_PATH, segment)


_FROM_DEVICE: Final[
    dict[tuple[int, tuple[int, bytes]], Callable[[coap.Message], DeviceRequest]]
] = {
    (coap.POST, _path(b"E")): decode_publish,
    (coap.POST, _path(b"e")): decode_publish,
    (coap.GET, _path(b"e")): decode_subscribe,
    (coap.GET, _path(b"E")): decode_subscribe,
    (coap.GET, _path(b"t")): lambda message: _TIME,
    (coap.POST, _path(b"h")): decode_hello,
    (coap.POST, _path(b"d")): decode_describe_post,
    (coap.POST, _path(b"x")): decode_goodbye,
    (coap.POST, _path(LEDGERS)): decode_ledger_post,
    (coap.POST, _path(b"A")): decode_update_ack,
    (coap.GET, _path(b"c")): decode_chunk_missed,
}

_FROM_SERVER: Final[
    dict[tuple[int, tuple[int, bytes]], Callable[[coap.Message], ServerRequest]]
] = {
    (coap.POST, _path(b"E")): decode_event_down,
    (coap.POST, _path(b"e")): decode_event_down,
    (coap.POST, _path(b"f")): decode_function_call,
    (coap.GET, _path(b"v")): decode_variable_request,
    (coap.GET, _path(b"d")): decode_describe_request,
    (coap.PUT, _path(b"s")): decode_signal,
    (coap.PUT, _path(b"k")): decode_key_change,
    (coap.POST, _path(b"h")): lambda message: _CLOUD_HELLO,
    (coap.POST, _path(LEDGERS)): decode_ledger_post,
    (coap.POST, _path(b"S")): decode_update_start,
    (coap.POST, _path(b"C")): decode_update_chunk,
    (coap.POST, _path(b"F")): decode_update_finish,
    (coap.POST, _path(b"u")): decode_update_begin,
    (coap.POST, _path(b"s")): decode_update_begin,
    (coap.POST, _path(b"c")): decode_chunk,
    (coap.PUT, _path(b"u")): decode_update_done,
}


def decode_request(message: coap.Message) -> DeviceRequest:
    """What a device asks. Responses, acknowledgements and resets are Unknown here.

    Raises:
        MalformedError: A request that we know, with content that its layout does not allow. Its
            text is fit for a log.
    """
    if message.type <= coap.NON and message.options:
        decode = _FROM_DEVICE.get((message.code, message.options[0]))
        if decode is not None:
            return decode(message)
        if message.options[0][0] == coap.ETAG and message.options[1:2] == (_path(LEDGERS),):
            # The one request of a device whose path is not its first option.
            return decode_ledger_post(message)
    return _PING if _is_ping(message) else as_unknown(message)


def decode_server_request(message: coap.Message) -> ServerRequest:
    """What a server asks of a device, for the device's side; as `decode_request`."""
    if message.type <= coap.NON and message.options:
        decode = _FROM_SERVER.get((message.code, message.options[0]))
        if decode is not None:
            return decode(message)
    return _PING if _is_ping(message) else as_unknown(message)


def _is_ping(message: coap.Message) -> bool:
    return message.code == coap.EMPTY and message.type == coap.CON
