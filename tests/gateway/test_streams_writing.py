"""Connections over TCP: what one turn of the loop writes, and requests answered in one go."""

import asyncio
import os
import threading

from cyan.gateway import tcp
from cyan.gateway.tcp import MAX_JOINED_BYTES
from cyan.wire.lightssl.handshake import NONCE_BYTES, REQUEST_BYTES
from tests.gateway.stream_board import StreamBoard
from tests.gateway.world import World


class NotingTransport(asyncio.Transport):
    """A transport that keeps the pieces in which it got its bytes."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.9", 50_000)})
        self.pieces: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_closed, "nothing is written behind the end"
        self.pieces.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True


def connect(world: World) -> tuple[tcp.Connection, NotingTransport]:
    """A connection that has sent its nonce."""
    connection, transport = tcp.Connection(world.gateway._listener), NotingTransport()
    connection.connection_made(transport)
    assert [len(piece) for piece in transport.pieces] == [NONCE_BYTES]
    transport.pieces.clear()
    return connection, transport


async def test_what_is_written_in_one_turn_goes_out_in_order_and_in_one_piece(
    world: World,
) -> None:
    connection, transport = connect(world)
    for data in (b"one ", b"two ", b"three"):
        connection.write(data)
    assert connection.unsent_bytes() == len(b"one two three")
    await world.spin()
    assert transport.pieces == [b"one two three"]
    assert connection.unsent_bytes() == 0
    connection.write(b"four")
    await world.spin()
    assert transport.pieces == [b"one two three", b"four"]
    connection.connection_lost(None)


async def test_two_connections_have_their_own_pieces(world: World) -> None:
    (one, to_one), (other, to_other) = connect(world), connect(world)
    one.write(b"a")
    other.write(b"b")
    one.write(b"c")
    await world.spin()
    assert (to_one.pieces, to_other.pieces) == ([b"ac"], [b"b"])
    one.connection_lost(None)
    other.connection_lost(None)


async def test_much_does_not_wait_for_the_end_of_the_turn(world: World) -> None:
    connection, transport = connect(world)
    connection.write(b"x" * (MAX_JOINED_BYTES - 1))
    assert transport.pieces == []
    connection.write(b"y")
    assert [len(piece) for piece in transport.pieces] == [MAX_JOINED_BYTES]
    connection.write(b"z")
    await world.spin()
    assert transport.pieces[1:] == [b"z"]
    connection.connection_lost(None)


async def test_what_was_written_leaves_before_the_end(world: World) -> None:
    connection, transport = connect(world)
    connection.write(b"last words")
    connection.close()
    assert transport.pieces == [b"last words"]
    assert transport.is_closed
    await world.spin()
    connection.connection_lost(None)


async def test_what_was_written_to_a_lost_connection_is_nowhere(world: World) -> None:
    connection, transport = connect(world)
    connection.write(b"too late")
    connection.connection_lost(None)
    assert connection.unsent_bytes() == 0
    await world.spin()
    assert transport.pieces == []


async def test_a_device_hears_what_was_said_before_its_session_ended(world: World) -> None:
    board = await StreamBoard(world).connect()
    link = world.gateway.online_link(board.device_id)
    assert link is not None
    before = len(board.messages)
    link.tell("last", "words")
    link.end("the test wants it")
    await world.settle()
    assert not board.is_open
    assert [message.payload for message in board.messages[before:]] == [b"words"]


async def test_garbage_among_requests_answered_together_spoils_none_of_them(world: World) -> None:
    boards = [StreamBoard(world, 10 + index) for index in range(20)]
    for board in boards:
        await board.open()
    answers = threading.Event()
    world.gateway._listener._thread.submit(answers.wait, 30)
    await world.spin()
    for number, board in enumerate(boards):
        if number % 3:
            board.begin_handshake()
        else:
            board.write(os.urandom(REQUEST_BYTES))
        # One of them goes while its request waits.
        if number == 4:
            board.cut()
    await world.spin()
    answers.set()
    await world.settle()
    assert [number for number, board in enumerate(boards) if board.channel is not None] == [
        number for number in range(20) if number % 3 and number != 4
    ]
    assert not any(board.is_open for board in boards[::3])
    for board in boards:
        if board.channel is not None:
            assert await board.say_hello() is not None
