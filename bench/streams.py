"""Devices over TCP: boards of the first years, which the server asks for their describe.

A plain generator: what one connection says until it is online, and nothing but events after that.
"""

import json
import select
import socket
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from bench.hosts import address_of
from bench.machine import BenchError
from cyan.sim.identity import Identity
from cyan.wire import coap
from cyan.wire.describe import (
    ApplicationDescribe,
    Module,
    SystemDescribe,
    encode_application,
    encode_system_json,
)
from cyan.wire.lightssl.frames import Channel
from cyan.wire.lightssl.handshake import ClientHandshake, first_device_message_id
from cyan.wire.messages import (
    INT,
    NO_VERSION,
    Hello,
    encode_describe_answer,
    encode_hello,
)
from cyan.wire.messages.events import decode_event_down

PHOTON: Final = 6
SILENCE_S: Final = 5.0
ACK_FRAME_BYTES: Final = 18
"""Two of length, one block with the four bytes of an empty acknowledgement."""

_READ_BYTES: Final = 64 * 1024
_EVENT_PATHS: Final = ((coap.URI_PATH, b"e"), (coap.URI_PATH, b"E"))
_UPDATES_PENDING: Final = "particle/device/updates/pending"
"""The event that a server sends when it has kept a describe."""


def _describe() -> bytes:
    """Both parts in one object, as firmware before 2.0 sends it (device-protocol.md §3.3)."""
    modules = tuple(Module(4, index, 108, 262_144, 0x1E, 0x1E) for index in (1, 2))
    system = json.loads(encode_system_json(SystemDescribe(modules), PHOTON))
    application = ApplicationDescribe(("led", "echo"), {"answer": INT, "ready": INT})
    return json.dumps(system | json.loads(encode_application(application))).encode()


DESCRIBE: Final = _describe()


class StreamDevice:
    """One device and its connection. `is_online` once the server has kept its describe."""

    def __init__(self, identity: Identity, server_key: rsa.RSAPublicKey) -> None:
        self._identity = identity
        self._handshake = ClientHandshake(
            device_key=identity.rsa_key,
            server_public_key=server_key,
            device_id=bytes.fromhex(identity.device_id),
        )
        self._channel: Channel | None = None
        self._message_id = 0
        self.is_online = False
        self.bytes_received = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connect(self, address: tuple[str, int]) -> None:
        """From an address of its own: a server lets only so many begin from one."""
        self.socket.bind((socket.inet_ntoa(address_of(self._identity.index)), 0))
        self.socket.connect_ex(address)

    def on_readable(self) -> None:
        """Until it is online."""
        data = self._read()
        if self._channel is None:
            if answer := self._handshake.feed(data):
                self.socket.send(answer)
            if self._handshake.session is None:
                return
            self._say_hello(self._handshake.session)
            data = self._handshake.unread
        assert self._channel is not None
        for content in self._channel.feed(data):
            self._on_message(coap.decode(content))

    def seal(self, content: bytes) -> bytes:
        assert self._channel is not None
        return self._channel.seal(content)

    def next_message_id(self) -> int:
        self._message_id = (self._message_id + 1) & 0xFFFF
        return self._message_id

    def on_acknowledgements(self) -> int:
        """How many came; from now on nothing else does."""
        before = self.bytes_received // ACK_FRAME_BYTES
        self.bytes_received += len(self._read())
        return self.bytes_received // ACK_FRAME_BYTES - before

    def _read(self) -> bytes:
        data = self.socket.recv(_READ_BYTES)
        if not data:
            raise BenchError("The server closed a connection.")
        return data

    def _say_hello(self, session: bytes) -> None:
        self._channel = Channel(session)
        self._message_id = first_device_message_id(session)
        hello = Hello(PHOTON, NO_VERSION, flags=0, platform_id=PHOTON)
        content = encode_hello(self._message_id, hello, confirmable=False)
        self.socket.send(self._channel.seal(content))

    def _on_message(self, message: coap.Message) -> None:
        if message.code == coap.GET:
            answer = encode_describe_answer(
                message.message_id, message.token, DESCRIBE, piggybacked=True
            )
            self.socket.send(self.seal(answer))
        elif message.code == coap.POST and message.options[0] in _EVENT_PATHS:
            self.is_online |= decode_event_down(message).name == _UPDATES_PENDING


class StreamFleet:
    """Devices over TCP, `at_once` of them connecting at the same time."""

    def __init__(
        self,
        identities: list[Identity],
        server_key: rsa.RSAPublicKey,
        address: tuple[str, int],
        at_once: int,
    ) -> None:
        self.devices = [StreamDevice(identity, server_key) for identity in identities]
        self._address = address
        self._at_once = at_once

    def go_online(self) -> None:
        """Returns when all are; BenchError when they do not get there."""
        waiting = list(reversed(self.devices))
        under_way: dict[int, StreamDevice] = {}
        with select.epoll() as poll:
            while waiting or under_way:
                while waiting and len(under_way) < self._at_once:
                    device = waiting.pop()
                    device.connect(self._address)
                    under_way[device.socket.fileno()] = device
                    poll.register(device.socket, select.EPOLLIN)
                ready = poll.poll(SILENCE_S)
                if not ready:
                    raise BenchError(f"{len(under_way)} connections do not come online.")
                for file, _ in ready:
                    device = under_way[file]
                    device.on_readable()
                    if device.is_online:
                        poll.unregister(file)
                        del under_way[file]

    def close(self) -> None:
        for device in self.devices:
            device.socket.close()

    def __enter__(self) -> "StreamFleet":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
