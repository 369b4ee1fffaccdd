"""A device over TCP whose every word is a test's: a real connection, no behaviour of its own."""

import asyncio
import socket
from collections.abc import Iterable
from typing import cast

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cyan.core.ids import DeviceId
from cyan.sim.rsakeys import derive_key
from cyan.wire import coap
from cyan.wire.lightssl.frames import Channel
from cyan.wire.lightssl.handshake import ClientHandshake, first_device_message_id
from cyan.wire.messages import (
    Hello,
    Publish,
    Subscribe,
    encode_hello,
    encode_publish,
    encode_subscribe,
)
from tests.gateway.speaker import Speaker
from tests.gateway.world import STREAM_BUFFER_BYTES, STREAM_KEY, World

PHOTON = 6


def make_key(index: int) -> rsa.RSAPrivateKey:
    """The RSA-1024 key of device number `index`."""
    return derive_key("stream boards", index)


class StreamBoard(Speaker):
    """The device number `index`. Its claim is what the handshake says, its Hello has no id.

    It lives at `host`, an address of the loopback.
    """

    def __init__(
        self,
        world: World,
        index: int = 1,
        *,
        platform_id: int = PHOTON,
        host: str = "127.0.0.1",
        sends_public_key: bool = True,
    ) -> None:
        super().__init__(world, index, platform_id=platform_id, respond=self.acknowledge)
        self.device_id = DeviceId(f"3f0027{index:018x}")
        self.key = make_key(index)
        self.server_public_key = STREAM_KEY.public_key()
        self.host = host
        self.sends_public_key = sends_public_key
        self.is_open = False
        self.was_reset = False
        """The last connection ended with an error, not with an end of the stream."""
        self.handshake: ClientHandshake | None = None
        self.channel: Channel | None = None
        self.received = b""
        """Every byte of the present connection."""
        self.sent: list[bytes] = []
        """What it sent, or would have sent while `holds_back`."""
        self.holds_back = False
        self._line: _Line | None = None

    def acknowledge(self, message: coap.Message) -> Iterable[bytes]:
        """To a ping with an id of its own, to other confirmable messages with theirs; never to an
        event (device-protocol.md §1.3.3)."""
        if message.type != coap.CON:
            return
        if message.code == coap.EMPTY:
            yield coap.encode_empty_ack(self.take_id())
        elif message.options[:1] != ((coap.URI_PATH, b"E"),):
            yield coap.encode_empty_ack(message.message_id)

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    # -- network -------------------------------------------------------------------------------

    async def open(self) -> None:
        """A connection, on which the board says nothing by itself."""
        assert not self.is_open, "one connection at a time, unless it is forgotten"
        self.handshake = self.channel = None
        self.received = b""
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, STREAM_BUFFER_BYTES)
        made.bind((self.host, 0))
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(made, ("127.0.0.1", self.world.stream_port))
        except OSError:
            made.close()
            raise
        self.is_open, self.was_reset = True, False
        line = self._line = _Line(self)
        await loop.create_connection(lambda: line, sock=made)

    def send(self, data: bytes) -> None:
        self.sent.append(data)
        if not self.holds_back:
            self.write(data)

    def write(self, data: bytes) -> None:
        """Bytes on the line, whatever they are; lost when it is closed."""
        if self._line is None or not self.is_open:
            return
        self.world.pieces += 1
        self._line.transport.write(data)

    def transmit(self, message: bytes) -> bytes:
        assert self.channel is not None
        frame = self.channel.seal(message)
        self.send(frame)
        return frame

    def stop_reading(self) -> None:
        assert self._line is not None
        self._line.transport.pause_reading()

    def go_on_reading(self) -> None:
        assert self._line is not None
        self._line.transport.resume_reading()

    def finish(self) -> None:
        """Half-close: the device says that nothing more will come."""
        assert self._line is not None
        self._line.transport.write_eof()

    async def hang_up(self) -> None:
        """The connection ends, without a word."""
        self.cut()
        await self.world.settle()

    def cut(self) -> None:
        """The same; the server has not heard of it yet."""
        assert self._line is not None
        self._line.transport.abort()

    def forget_line(self) -> None:
        """The device restarts and knows nothing of its connection, which stays as it is."""
        line, self._line = self._line, None
        assert line is not None
        line.board = None
        self.is_open = False

    def on_bytes(self, data: bytes) -> None:
        self.world.pieces += 1
        self.received += data
        if self.handshake is not None:
            self._on_handshake(self.handshake, data)
        elif self.channel is not None:
            for content in self.channel.feed(data):
                self.hear(content)

    def _on_handshake(self, handshake: ClientHandshake, data: bytes) -> None:
        answer = handshake.feed(data)
        if answer:
            self.send(answer)
        if handshake.session is not None:
            self.handshake = None
            self.channel = Channel(handshake.session)
            self.next_id = first_device_message_id(handshake.session)
            for content in self.channel.feed(handshake.unread):
                self.hear(content)

    # -- saying things -------------------------------------------------------------------------

    def begin_handshake(self) -> None:
        """Answer the nonce, which may be here already."""
        self.handshake = ClientHandshake(
            device_key=self.key,
            server_public_key=self.server_public_key,
            device_id=bytes.fromhex(self.device_id),
            send_public_key=self.sends_public_key,
        )
        if self.received:
            self._on_handshake(self.handshake, self.received)

    def hello_message(self) -> Hello:
        """Eight bytes, as the oldest firmware has it: no device id, no sizes."""
        return Hello(self.platform_id, 0xFFFF, self.flags, self.platform_id)

    async def try_to_shake_hands(self) -> bool:
        """A connection and its handshake; whether a session came of it."""
        await self.open()
        self.begin_handshake()
        await self.world.settle()
        return self.channel is not None

    async def shake_hands(self) -> None:
        assert await self.try_to_shake_hands(), "no session came of the handshake"

    async def say_hello(self) -> coap.Message | None:
        before = len(self.messages)
        await self.say(lambda id_: encode_hello(id_, self.hello_message(), confirmable=False))
        hellos = [m for m in self.messages[before:] if m.options == ((coap.URI_PATH, b"h"),)]
        return hellos[0] if hellos else None

    async def connect(self) -> "StreamBoard":
        """Handshake, Hello and describe, all answered."""
        await self.shake_hands()
        assert await self.say_hello() is not None, "Hello was not answered"
        if self.flags:
            assert await self.describe() is not None
        return self

    async def tell(self, name: str, data: bytes = b"21") -> None:
        """An event that is not confirmable, as most are over TCP."""
        event = Publish(name, data, confirmable=False)
        await self.say(lambda id_: encode_publish(id_, event))

    async def listen(self, prefix: str) -> None:
        """Subscribe without confirmation, as 6.2 does over TCP."""
        await self.say(lambda id_: encode_subscribe(id_, Subscribe(prefix), confirmable=False))


class _Line(asyncio.Protocol):
    """One connection of a board, until the board forgets it."""

    def __init__(self, board: StreamBoard) -> None:
        self.board: StreamBoard | None = board

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        assert self.board is not None
        self.board.world.lines.append(self.transport)

    def data_received(self, data: bytes) -> None:
        if self.board is not None:
            self.board.on_bytes(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.board is not None:
            self.board.is_open = False
            self.board.was_reset = exc is not None
            self.board.world.pieces += 1
