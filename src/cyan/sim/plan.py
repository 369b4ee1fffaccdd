"""Which devices a fleet has, and what makes each of them at its boots."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from cyan.sim.application import Application
from cyan.sim.behaviour import Behaviour
from cyan.sim.boards import Board, Share
from cyan.sim.device import Device
from cyan.sim.facts import Host
from cyan.sim.faults import Kind
from cyan.sim.field import Boot, MakeDevice
from cyan.sim.flash import FileFlash, Flash, MemoryFlash
from cyan.sim.identity import Identity
from cyan.sim.member import Address
from cyan.sim.options import Options
from cyan.sim.platforms import Transport
from cyan.sim.servers import Server, find_servers, other_server_key


class Plan(msgspec.Struct, frozen=True):
    """One device of a fleet: its id, where its server is, and what makes it at each boot."""

    device_id: str
    address: Address
    make: MakeDevice


def make_boards(shares: Sequence[Share]) -> list[Board]:
    """The board of each device, in their order."""
    return [share.board for share in shares for _ in range(share.count)]


def make_fleet(seed: str, boards: Sequence[Board]) -> list[Identity]:
    """Who the devices with these boards are: under the same seed the same, and a longer list of
    boards only adds to them."""
    return [Identity(seed, index, board.transport) for index, board in enumerate(boards)]


def make_plans(
    options: Options,
    identities: Sequence[Identity],
    boards: Sequence[Board],
    folder: Path | None = None,
) -> list[Plan]:
    """What becomes of each device. In the folder they collect updates, without one in memory.

    Raises TableError for a behaviour that makes no sense, TooLongError for one that is too large
    for the firmware, ServerError or OSError when there is no telling where the server is.
    """
    behaviour = options.read_behaviour()
    for board in set(boards):
        Application("", "", behaviour, "", board=board)
    servers = find_servers(
        {board.transport for board in boards},
        options.server_key,
        options.server,
        {Transport.UDP: options.port, Transport.TCP: options.tcp_port},
    )
    codes = dict(enumerate(options.claim_code))
    return [
        Plan(
            identity.device_id,
            servers[board.transport].address,
            maker(
                identity,
                board,
                behaviour,
                servers[board.transport],
                codes.get(index),
                None if folder is None else FileFlash(folder, identity.device_id),
            ),
        )
        for index, (identity, board) in enumerate(zip(identities, boards, strict=True))
    ]


def maker(
    identity: Identity,
    board: Board,
    behaviour: Behaviour,
    server: Server,
    claim_code: str | None = None,
    flash: Flash | None = None,
) -> MakeDevice:
    """What makes a device at each of its boots; `flash` outlives them."""
    memory = MemoryFlash() if flash is None else flash

    def make(host: Host, boot: Boot) -> Device:
        own, servers = identity, server.public_key
        if boot.wrong is Kind.WRONG_DEVICE_KEY:
            own = identity.with_other_keys()
        elif boot.wrong is Kind.WRONG_SERVER_KEY:
            servers = other_server_key(servers)
        return Device(
            own,
            board.platform,
            behaviour,
            servers,
            host,
            seed=boot.seed,
            generation=board.generation,
            claim_code=claim_code,
            last_reset=boot.last_reset,
            stored=boot.stored,
            flash=memory,
            troubles=boot.troubles,
        )

    return make
