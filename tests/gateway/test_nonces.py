"""No nonce is used twice with one key: that would open the session to whoever listens."""

from collections import Counter

from cyan.wire import coap
from tests.gateway.board import Board
from tests.gateway.firmware import Firmware
from tests.gateway.world import World


def nonces(world: World) -> list[tuple[bytes, bytes]]:
    """(receiver, nonce) of every protected record that left, of all processes."""
    found = []
    for datagram, address in world.sent:
        at = 0
        while at < len(datagram):
            size = 13 + int.from_bytes(datagram[at + 11 : at + 13], "big")
            record = datagram[at : at + size]
            if record[3:5] == b"\0\1":
                found.append((address, record[13:21]))
                assert record[13:21] == record[3:11]
            at += size
    return found


async def test_no_nonce_is_used_twice_over_crashes_and_restarts(world: World) -> None:
    board = await Board(world, 1).connect()
    for round_ in range(6):
        for _ in range(5):
            await board.ping()
            await board.publish()
        # Some crashes before a flush, some after one, some in good order.
        await world.advance(1.5 if round_ % 2 else 0)
        await world.restart(crash=round_ % 3 != 2, outage_s=round_)
    await board.ping()
    used = Counter(nonces(world))
    assert len(used) > 60
    assert max(used.values()) == 1


async def test_no_nonce_is_used_twice_when_finished_is_sent_again(world: World) -> None:
    board = Board(world)
    firmware = Firmware(world)
    world.socket.is_broken = False
    await board.connect()
    await firmware.connect()
    await board.ping()
    assert max(Counter(nonces(world)).values()) == 1


async def test_no_nonce_is_used_twice_by_two_holders(world: World) -> None:
    board = await Board(world).connect()
    await world.advance(2)
    late = world.gateway, world.socket
    await world.start()
    await world.settle()
    for socket in (late[1], world.socket) * 3:
        assert board.records is not None
        socket.arrive(board.records.seal_data(coap.encode_ping(board.take_id())), board.address)
        await world.settle()
        await world.linger()
    assert max(Counter(nonces(world)).values()) == 1
    late[0].stop_listening()
    await late[0].stop()
