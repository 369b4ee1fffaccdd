"""Devices whose every byte is a test's, over real sockets: the device's side of both transports
without anything that a device does by itself."""

import os
import socket
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cyan.sim.rsakeys import derive_key
from cyan.wire import coap
from cyan.wire.describe import ApplicationDescribe, encode_application
from cyan.wire.dtls import alerts
from cyan.wire.dtls.client import ClientHandshake
from cyan.wire.dtls.record import ALERT, APPLICATION_DATA, DeviceRecords, split_records
from cyan.wire.lightssl.frames import Channel
from cyan.wire.lightssl.handshake import ClientHandshake as StreamHandshake
from cyan.wire.lightssl.handshake import first_device_message_id
from cyan.wire.messages import (
    APPLICATION,
    DEVICE_INITIATED_DESCRIBE,
    DescribePost,
    Hello,
    Publish,
    encode_describe_post,
    encode_hello,
    encode_publish,
)

ARGON: Final = 12
ANSWER_WITHIN_S: Final = 20.0
CLOSED_WITHIN_S: Final = 60.0
"""A connection whose bytes the server does not take any more."""

AGAIN_AFTER_S: Final = 1.0
"""A datagram without an answer is sent again; a device waits longer."""

MAX_DATAGRAM_BYTES: Final = 2048
_CHUNK_BYTES: Final = 65536

Build = Callable[[int], bytes]


class Where(Protocol):
    """A server, as its devices know it. `data` is its folder, for its public keys."""

    @property
    def host(self) -> str: ...

    @property
    def udp_port(self) -> int: ...

    @property
    def tcp_port(self) -> int: ...

    @property
    def data(self) -> Path: ...


@cache
def udp_public_key(data: Path) -> ec.EllipticCurvePublicKey:
    """Of the server with this data folder."""
    key = load_pem_private_key((data / "server_udp.pem").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.public_key()


@cache
def tcp_public_key(data: Path) -> rsa.RSAPublicKey:
    """Of the server with this data folder."""
    key = load_pem_private_key((data / "server_tcp.pem").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key.public_key()


def device_key(number: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(0xDE71CE + number, ec.SECP256R1())


class _Peer:
    """What both have: an id, counters, and a socket from an address of its own."""

    _type = socket.SOCK_DGRAM
    _again_after_s = AGAIN_AFTER_S

    def __init__(self, server: Where, number: int, *, source: str = "", host: str = "") -> None:
        """`source` is the address that it has, `host` the one where it finds the server."""
        self.device_id = f"fade{number:020x}"
        self.next_id = 1
        self.is_over = False
        """The server has ended the session or the connection."""
        self.receive_buffer_bytes: int | None = None
        """What the kernel keeps for it; None for the usual."""
        self._server = server
        self._host = host or server.host
        self._source = source or self._host
        self._token = 0
        self.socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def open(self, port: int) -> socket.socket:
        """A new connected socket."""
        self.close()
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        self.socket = socket.socket(family, self._type)
        if self.receive_buffer_bytes is not None:
            buffer = (socket.SO_RCVBUF, self.receive_buffer_bytes)
            self.socket.setsockopt(socket.SOL_SOCKET, *buffer)
        self.socket.bind((self._source, 0))
        self.socket.settimeout(ANSWER_WITHIN_S)
        self.socket.connect((self._host, port))
        return self.socket

    def take_id(self) -> int:
        message_id = self.next_id
        self.next_id = (message_id + 1) & 0xFFFF
        return message_id

    def take_token(self) -> bytes:
        self._token = (self._token + 1) & 0xFF
        return bytes((self._token,))

    def transmit(self, message: bytes) -> None:
        """Seal and send one CoAP message."""
        raise NotImplementedError

    def receive(self, timeout_s: float) -> list[coap.Message]:
        """The messages of the next datagram or piece of the stream; none when nothing comes."""
        raise NotImplementedError

    def drain(self) -> None:
        """Take what has come. MalformedError when it cannot be read."""
        raise NotImplementedError

    def say(self, build: Build, within_s: float = ANSWER_WITHIN_S) -> coap.Message | None:
        """Send a confirmable message; what acknowledges it, None when nothing does."""
        message_id = self.take_id()
        message = build(message_id)
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s and not self.is_over:
            self.transmit(message)
            again_s = min(time.monotonic() + self._again_after_s, end_s)
            while (left_s := again_s - time.monotonic()) > 0 and not self.is_over:
                for answer in self.receive(left_s):
                    if answer.type == coap.ACK and answer.message_id == message_id:
                        return answer
                    if answer.type == coap.CON:
                        self.transmit(coap.encode_empty_ack(answer.message_id))
        return None

    def acknowledge(self, within_s: float) -> None:
        """Take what comes next, and acknowledge what asks for it."""
        for message in self.receive(within_s):
            if message.type == coap.CON:
                self.transmit(coap.encode_empty_ack(message.message_id))

    def ping(self, within_s: float = ANSWER_WITHIN_S) -> bool:
        """Whether the server answers."""
        return self.say(coap.encode_ping, within_s) is not None

    def publish(self, data: bytes, name: str = "peer") -> bool:
        """Whether the server acknowledges the event with success."""
        answer = self.say(lambda id_: encode_publish(id_, Publish(name, data)))
        return answer is not None and answer.code < coap.BAD_REQUEST

    def introduce(self) -> None:
        """Hello and the application's describe."""
        hello = Hello(
            product_id=ARGON,
            product_version=0xFFFF,
            flags=DEVICE_INITIATED_DESCRIBE,
            platform_id=ARGON,
            device_id=bytes.fromhex(self.device_id) if self._type == socket.SOCK_DGRAM else b"",
            system_version=6200,
            max_message_size=1152,
            max_binary_size=1_536_000,
            ota_chunk_size=512,
        )
        assert self.say(lambda id_: encode_hello(id_, hello)) is not None, "Hello: no answer"
        post = DescribePost(APPLICATION, encode_application(ApplicationDescribe(("led",), {})))
        token = self.take_token()
        assert self.say(lambda id_: encode_describe_post(id_, token, post)) is not None


class DatagramPeer(_Peer):
    """A device over UDP."""

    def __init__(self, server: Where, number: int, *, source: str = "", host: str = "") -> None:
        super().__init__(server, number, source=source, host=host)
        self.key = device_key(number)
        self.records: DeviceRecords | None = None

    def connect(self) -> Self:
        """A full handshake, Hello and describe."""
        self.shake_hands()
        self.introduce()
        return self

    def begin(self) -> ClientHandshake:
        """A handshake from a new port, nothing of it sent."""
        self.open(self._server.udp_port)
        self.records, self.is_over = None, False
        return ClientHandshake(
            device_key=self.key,
            server_public_key=udp_public_key(self._server.data),
            entropy=os.urandom(64),
        )

    def shake_hands(self) -> DeviceRecords:
        handshake = self.begin()
        flight = [handshake.start()]
        end_s = time.monotonic() + ANSWER_WITHIN_S
        while handshake.established is None:
            assert time.monotonic() < end_s, "the handshake comes to no end"
            for datagram in flight:
                self.send(datagram)
            answer = self.receive_datagram(AGAIN_AFTER_S)
            flight = handshake.retransmit() if answer is None else handshake.feed(answer)
            assert handshake.failed is None, handshake.failed
        self.records = handshake.established
        return self.records

    def send(self, datagram: bytes) -> None:
        assert self.socket is not None
        self.socket.send(datagram)

    def receive_datagram(self, timeout_s: float) -> bytes | None:
        assert self.socket is not None
        self.socket.settimeout(timeout_s)
        try:
            return self.socket.recv(MAX_DATAGRAM_BYTES)
        except (TimeoutError, BlockingIOError):
            return None

    def transmit(self, message: bytes) -> None:
        assert self.records is not None
        self.send(self.records.seal_data(message))

    def receive(self, timeout_s: float) -> list[coap.Message]:
        datagram = self.receive_datagram(timeout_s)
        return [] if datagram is None else self._open(datagram)

    def drain(self) -> None:
        while (datagram := self.receive_datagram(0)) is not None:
            self._open(datagram)

    def _open(self, datagram: bytes) -> list[coap.Message]:
        if self.records is None:
            return []
        messages = []
        for record in split_records(datagram):
            opened = self.records.open(record)
            if opened is None:
                continue
            content_type, content = opened
            if content_type == ALERT and alerts.ends_session(content):
                self.is_over = True
            elif content_type == APPLICATION_DATA:
                messages.append(coap.decode(content))
        return messages


class StreamPeer(_Peer):
    """A device over TCP."""

    _type = socket.SOCK_STREAM
    _again_after_s = ANSWER_WITHIN_S

    def __init__(self, server: Where, number: int, *, source: str = "", host: str = "") -> None:
        super().__init__(server, number, source=source, host=host)
        self.key = derive_key("peers", number)
        self._channel: Channel | None = None

    def connect(self) -> Self:
        """A connection, its handshake, Hello and describe."""
        self.shake_hands()
        self.introduce()
        return self

    def begin(self) -> StreamHandshake:
        """A connection, nothing of it read or sent."""
        self.open(self._server.tcp_port)
        self._channel, self.is_over = None, False
        return StreamHandshake(
            device_key=self.key,
            server_public_key=tcp_public_key(self._server.data),
            device_id=bytes.fromhex(self.device_id),
        )

    def shake_hands(self) -> Channel:
        handshake = self.begin()
        while handshake.session is None:
            data = self.receive_bytes(ANSWER_WITHIN_S)
            assert data, "the server does not answer"
            self.send(handshake.feed(data))
        self.next_id = first_device_message_id(handshake.session)
        self._channel = Channel(handshake.session)
        return self._channel

    def send(self, data: bytes) -> None:
        assert self.socket is not None
        self.socket.settimeout(CLOSED_WITHIN_S)
        try:
            self.socket.sendall(data)
        except ConnectionError:
            self.is_over = True

    def receive_bytes(self, timeout_s: float) -> bytes:
        """What comes; nothing when nothing does, or when the connection is closed."""
        assert self.socket is not None
        self.socket.settimeout(timeout_s)
        try:
            data = self.socket.recv(_CHUNK_BYTES)
        except (TimeoutError, BlockingIOError):
            return b""
        except ConnectionError:
            data = b""
        self.is_over = self.is_over or not data
        return data

    def seal(self, message: bytes) -> bytes:
        """The next frame of the stream."""
        assert self._channel is not None
        return self._channel.seal(message)

    def transmit(self, message: bytes) -> None:
        self.send(self.seal(message))

    def receive(self, timeout_s: float) -> list[coap.Message]:
        assert self._channel is not None
        data = self.receive_bytes(timeout_s)
        return [coap.decode(content) for content in self._channel.feed(data)]

    def drain(self) -> None:
        while self._channel is not None and self.receive(0):
            pass
