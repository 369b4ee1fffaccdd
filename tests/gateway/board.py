"""A device over UDP whose every word is a test's: real DTLS and CoAP, no behaviour of its own."""

import os
from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cyan.wire import coap
from cyan.wire.dtls import alerts
from cyan.wire.dtls.client import ClientHandshake
from cyan.wire.dtls.record import ALERT, APPLICATION_DATA, DeviceRecords, split_records
from cyan.wire.messages import encode_hello
from tests.gateway.speaker import FUNCTIONS, VARIABLES, Speaker
from tests.gateway.world import ADA, SERVER_KEY, World, make_port

__all__ = [
    "ARGON",
    "BORON",
    "ELECTRON",
    "FUNCTIONS",
    "VARIABLES",
    "Board",
    "acknowledge",
    "old_board",
    "settled_board",
]

ARGON, BORON, ELECTRON = 12, 13, 10


def acknowledge(message: coap.Message) -> Iterable[bytes]:
    """What a board says at once to a confirmable message: that it came."""
    if message.type == coap.CON:
        yield coap.encode_empty_ack(message.message_id)


class Board(Speaker):
    """The device number `index`; `alerts` are those that it got.

    Without `has_connection_id` it has firmware of before 3.1.
    """

    def __init__(
        self,
        world: World,
        index: int = 1,
        *,
        platform_id: int = ARGON,
        has_connection_id: bool = True,
    ) -> None:
        super().__init__(world, index, platform_id=platform_id, respond=acknowledge)
        self.has_connection_id = has_connection_id
        self.key = ec.derive_private_key(0xD0000 + index, ec.SECP256R1())
        self.splits_records = False
        """Each record is a datagram of its own, as older TLS libraries have it."""
        self.port = 40_000 + index
        self.datagrams: list[bytes] = []
        self.alerts: list[bytes] = []
        self.handshake: ClientHandshake | None = None
        self.records: DeviceRecords | None = None
        world.peers[self.address] = self

    @property
    def address(self) -> bytes:
        return make_port(self.port)

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def connection_id(self) -> bytes:
        assert self.records is not None
        return self.records.connection_id

    def move(self, port: int) -> None:
        """Go on from another port, as after a NAT has forgotten the old one."""
        if self.world.peers.get(self.address) is self:
            del self.world.peers[self.address]
        self.port = port
        self.world.peers[self.address] = self

    def resume(self, port: int) -> None:
        """Go on from another port after a reset, with records that say so: of type 253, or without
        connection id of type 254."""
        self.move(port)
        assert self.records is not None
        self.records.moving = True

    # -- network -------------------------------------------------------------------------------

    def send(self, datagram: bytes) -> None:
        for each in split_records(datagram) if self.splits_records else (datagram,):
            self.world.arrive(each, self.address)

    def transmit(self, message: bytes) -> bytes:
        assert self.records is not None
        datagram = self.records.seal_data(message)
        self.send(datagram)
        return datagram

    def on_time(self, now_s: float) -> None:
        """A board has no timers of its own."""

    def on_datagram(self, datagram: bytes) -> None:
        self.datagrams.append(datagram)
        if self.handshake is not None:
            for answer in self.handshake.feed(datagram):
                self.send(answer)
            if self.handshake.established is not None:
                self.records = self.handshake.established
                self.handshake = None
            return
        if self.records is None:
            return
        for record in split_records(datagram):
            opened = self.records.open(record)
            if opened is None:
                continue
            content_type, content = opened
            if content_type == ALERT:
                self.alerts.append(content)
            elif content_type == APPLICATION_DATA:
                self.hear(content)

    # -- saying things -------------------------------------------------------------------------

    def begin_handshake(self) -> None:
        """Send the first ClientHello."""
        self.records = None
        self.handshake = ClientHandshake(
            device_key=self.key,
            server_public_key=SERVER_KEY.public_key(),
            entropy=os.urandom(64),
            offer_connection_id=self.has_connection_id,
            device_id=bytes.fromhex(self.device_id),
        )
        self.send(self.handshake.start())

    async def shake_hands(self) -> None:
        """A full handshake, to its end."""
        self.begin_handshake()
        await self.world.settle()
        assert self.records is not None, "no session came of the handshake"

    async def say_hello(self) -> coap.Message | None:
        return await self.say(lambda id_: encode_hello(id_, self.hello_message()))

    async def connect(self) -> "Board":
        """Handshake, Hello and describe, all answered."""
        await self.shake_hands()
        assert await self.say_hello() is not None, "Hello was not acknowledged"
        assert await self.describe() is not None
        return self

    @property
    def was_closed(self) -> bool:
        """Whether the server ended the session."""
        return alerts.CLOSE_NOTIFY in self.alerts


def old_board(world: World, index: int = 1, *, platform_id: int = ARGON) -> Board:
    """One with firmware of before 3.1."""
    board = Board(world, index, platform_id=platform_id, has_connection_id=False)
    board.max_message_size = 800
    return board


async def settled_board(world: World) -> Board:
    """A device whose set-up is over, as far as the server knows."""
    board = Board(world, platform_id=BORON)
    world.register(board.device_id, ADA)
    await board.connect()
    # The system describe: an empty protobuf says nothing, but is one.
    options = ((coap.URI_PATH, b"d"), (coap.CONTENT_FORMAT, b"\x2a"), (coap.URI_QUERY, b"\1"))
    system = lambda id_: coap.encode(  # noqa: E731
        coap.Message(coap.CON, coap.POST, id_, b"\x66", options, b"\x0a\x04\x08\x05\x10\x02")
    )
    assert await board.say(system) is not None
    await board.subscribe("fleet/")
    await world.advance(6)
    (row,) = world.sessions()
    assert row["settled"]
    return board
