"""Ledgers of boards, both ways (device-protocol.md §6): real sessions, real database."""

from collections.abc import Iterable
from functools import partial

import msgspec
import pytest

from cyan.core.bus import Bus
from cyan.core.ids import UserId
from cyan.devices.access import DeviceAccess
from cyan.devices.model import DeviceReleased
from cyan.events import cbor
from cyan.gateway.conversation import ledgers as conversation
from cyan.ledgers.access import LedgerAccess
from cyan.ledgers.cbor import encode
from cyan.ledgers.definitions import Definitions
from cyan.ledgers.instances import Instances
from cyan.ledgers.model import Instance, UnknownInstanceError
from cyan.rest.auth import Caller
from cyan.wire import coap, ledger
from cyan.wire.blockwise import SZX_1024, Block, find_block, split
from cyan.wire.ledger import (
    GetData,
    GetInfo,
    Info,
    NotifyUpdate,
    Ref,
    Request,
    ResetInfo,
    Response,
    SetData,
    Stamped,
    Subscribe,
)
from cyan.wire.messages import LedgerPost, encode_answer, encode_ledger_post
from tests.gateway.board import Board, acknowledge
from tests.gateway.world import ADA, CLEO, World

LONG = {"lines": [f"line number {number}" for number in range(300)]}
"""Several blocks of it."""


class LedgerBoard(Board):
    """Uses ledgers as firmware 6.2 does, and hears the cloud's notices."""

    async def connect(self) -> "LedgerBoard":
        if self.world.ownership.owner_of(self.device_id) is None:
            self.world.register(self.device_id, ADA)
        self.respond = self.answer
        await super().connect()
        return self

    def answer(self, message: coap.Message) -> Iterable[bytes]:
        yield from acknowledge(message)
        if message.type == coap.CON and message.options == ((coap.URI_PATH, b"L"),):
            yield encode_answer(self.take_id(), message.token, coap.CHANGED)

    def heard(self) -> list[Request]:
        """The notices that reached it."""
        return [ledger.decode_request(m.payload) for m in self.requests_for(b"L")]

    async def post(self, post: LedgerPost) -> coap.Message:
        token = self.take_token()
        answer = await self.say(lambda id_: encode_ledger_post(id_, token, post))
        assert answer is not None
        assert (answer.type, answer.token) == (coap.ACK, token)
        return answer

    async def ask(self, request: Request, code: int = coap.CHANGED) -> Response:
        """The whole answer, block after block on both ways."""
        payload, tag = ledger.encode_request(request), b"\x01\x02\x03\x04"
        blocks = split(payload, SZX_1024)
        if len(blocks) == 1:
            answer = await self.post(LedgerPost(payload))
        else:
            for block, piece in blocks:
                answer = await self.post(LedgerPost(piece, block, tag))
                if block.more:
                    assert answer.code == coap.CONTINUE
        assert coap.code_text(answer.code) == coap.code_text(code)
        whole = answer.payload
        while (got := find_block(answer, coap.BLOCK2)) is not None and got.more:
            etag = coap.find_option(answer, coap.ETAG)
            assert etag
            wanted = Block(got.number + 1, False, SZX_1024)
            answer = await self.post(LedgerPost(b"", wanted=wanted, etag=etag))
            whole += answer.payload
        return ledger.decode_response(_type_of(request), whole)

    async def info(self, name: str) -> Info:
        (info,) = (await self.ask(GetInfo((name,)))).infos
        return info

    async def ref(self, name: str) -> Ref:
        return Ref(name, (await self.info(name)).scope_id)

    async def subscribe_ledger(self, name: str) -> Ref:
        ref = await self.ref(name)
        assert (await self.ask(Subscribe((ref,)))).stamps[0].name == name
        return ref


def _type_of(request: Request) -> int:
    types = (GetInfo, SetData, GetData, Subscribe, NotifyUpdate, ResetInfo)
    return types.index(type(request)) + 1


class People:
    """What Ada, or somebody else, does meanwhile over the API."""

    def __init__(self, world: World, user_id: UserId = ADA) -> None:
        self.caller = Caller(
            user_id=user_id, username="u", token_id="t", client_id="c", expires_at_ms=None
        )
        self.access = LedgerAccess(world.db, DeviceAccess(world.db))
        self.definitions = Definitions(world.db, world.clock, world.bus, self.access)
        self.instances = Instances(world.db, world.clock, world.bus, self.access)
        self.world = world

    async def make(self, name: str, direction: str | None, scope: str = "Device") -> None:
        await self.definitions.create(self.caller, name, "", scope, direction)
        await self.world.settle()

    async def put(self, name: str, value: str, data: object) -> Instance:
        found = self.access.get(self.caller, name)
        after, _ = await self.instances.put(self.caller, found, value, data, merge=False)
        await self.world.settle()
        return after

    def read(self, name: str, value: str) -> Instance:
        return self.instances.get(self.access.get(self.caller, name), value)


async def test_a_board_learns_what_its_ledgers_are(world: World) -> None:
    people = People(world)
    await people.make("state", "Upstream")
    await people.make("config", "Downstream")
    await people.make("shared", "Downstream", "Owner")
    await people.make("notes", None)
    board = await LedgerBoard(world).connect()
    held = await people.put("config", board.device_id, {"a": 1})
    infos = (await board.ask(GetInfo(("state", "config", "shared", "notes", "none")))).infos
    assert [(each.name, each.scope_type, each.sync_direction) for each in infos] == [
        ("state", ledger.DEVICE_SCOPE, ledger.DEVICE_TO_CLOUD),
        ("config", ledger.DEVICE_SCOPE, ledger.CLOUD_TO_DEVICE),
        ("shared", ledger.OWNER_SCOPE, ledger.CLOUD_TO_DEVICE),
    ]
    assert [each.last_updated for each in infos] == [None, held.updated_at_ms, None]
    assert len({each.scope_id for each in infos}) == 3


@pytest.mark.parametrize("data", [{"level": 3, "on": True}, LONG, {}])
async def test_what_a_board_writes_is_kept_before_it_is_answered(
    world: World, data: dict[str, object]
) -> None:
    people = People(world)
    await people.make("state", "Upstream")
    board = await LedgerBoard(world).connect()
    ref = await board.ref("state")
    answer = await board.ask(SetData(ref, world.clock.now_ms(), encode(data)))
    assert answer.result == ledger.OK
    held = people.read("state", board.device_id)
    assert msgspec.json.decode(held.data) == data
    assert held.size_bytes == len(encode(data))


async def test_a_request_that_comes_twice_is_one_state(world: World) -> None:
    people = People(world)
    await people.make("state", "Upstream")
    board = await LedgerBoard(world).connect()
    payload = ledger.encode_request(SetData(await board.ref("state"), None, encode({"a": 1})))
    message_id, token = board.take_id(), board.take_token()
    raw = encode_ledger_post(message_id, token, LedgerPost(payload))
    for _ in range(2):
        board.transmit(raw)
        await world.settle()
    answers = [m for m in board.messages if m.message_id == message_id and m.type == coap.ACK]
    assert len(answers) == 2
    assert people.read("state", board.device_id).version == 1


@pytest.mark.parametrize("data", [{"level": 3}, LONG])
async def test_a_board_reads_what_the_cloud_wrote(world: World, data: dict[str, object]) -> None:
    people = People(world)
    await people.make("config", "Downstream")
    board = await LedgerBoard(world).connect()
    held = await people.put("config", board.device_id, data)
    answer = await board.ask(GetData(await board.ref("config"), None))
    assert answer.last_updated == held.updated_at_ms
    assert answer.data is not None
    assert cbor.decode(answer.data) == data


async def test_what_is_not_newer_is_not_sent(world: World) -> None:
    people = People(world)
    await people.make("config", "Downstream")
    board = await LedgerBoard(world).connect()
    ref = await board.ref("config")
    assert await board.ask(GetData(ref, None)) == Response()
    stamp = (await people.put("config", board.device_id, {"a": 1})).updated_at_ms
    assert await board.ask(GetData(ref, stamp)) == Response(last_updated=stamp)
    assert (await board.ask(GetData(ref, stamp - 1))).data == encode({"a": 1})


async def test_a_board_that_subscribed_is_told_and_others_are_not(world: World) -> None:
    people = People(world)
    await people.make("config", "Downstream")
    board, other = await LedgerBoard(world).connect(), await LedgerBoard(world, 2).connect()
    await board.subscribe_ledger("config")
    await other.ref("config")
    stamp = (await people.put("config", board.device_id, {"a": 1})).updated_at_ms
    await people.put("config", other.device_id, {"a": 1})
    assert board.heard() == [NotifyUpdate((Stamped("config", stamp),))]
    assert other.heard() == []


async def test_a_ledger_of_the_account_is_told_to_all_its_boards(world: World) -> None:
    people = People(world)
    await people.make("shared", "Downstream", "Owner")
    boards = [await LedgerBoard(world, number).connect() for number in (1, 2)]
    for board in boards:
        await board.subscribe_ledger("shared")
    stamp = (await people.put("shared", ADA, {"a": 1})).updated_at_ms
    for board in boards:
        assert board.heard() == [NotifyUpdate((Stamped("shared", stamp),))]
        answer = await board.ask(GetData(await board.ref("shared"), None))
        assert answer.data == encode({"a": 1})


async def test_a_new_list_takes_the_place_of_the_last(world: World) -> None:
    people = People(world)
    await people.make("config", "Downstream")
    board = await LedgerBoard(world).connect()
    await board.subscribe_ledger("config")
    assert await board.ask(Subscribe(())) == Response()
    await people.put("config", board.device_id, {"a": 1})
    assert board.heard() == []


async def test_what_is_written_while_a_notice_is_on_its_way_goes_with_the_next(
    world: World,
) -> None:
    people = People(world)
    await people.make("config", "Downstream")
    board = await LedgerBoard(world).connect()
    await board.subscribe_ledger("config")
    board.respond = lambda message: ()
    stamps = [
        (await people.put("config", board.device_id, {"n": number})).updated_at_ms
        for number in range(5)
    ]
    assert len(board.heard()) == 1
    board.respond = board.answer
    await world.advance(10)
    told = {each.ledgers for each in board.heard() if isinstance(each, NotifyUpdate)}
    assert told == {(Stamped("config", stamp),) for stamp in (stamps[0], stamps[-1])}


async def test_a_board_that_was_silent_is_told_when_it_speaks_again(world: World) -> None:
    people = People(world)
    await people.make("config", "Downstream")
    board = await LedgerBoard(world).connect()
    await board.subscribe_ledger("config")
    await world.advance(200)
    assert world.gateway.online_link(board.device_id) is None
    stamp = (await people.put("config", board.device_id, {"a": 1})).updated_at_ms
    assert board.heard() == []
    await board.ping()
    assert board.heard() == [NotifyUpdate((Stamped("config", stamp),))]


async def test_subscriptions_outlast_a_restart_of_the_server(world: World) -> None:
    await People(world).make("config", "Downstream")
    board = await LedgerBoard(world).connect()
    await board.subscribe_ledger("config")
    await world.restart()
    stamp = (await People(world).put("config", board.device_id, {"a": 1})).updated_at_ms
    assert board.heard() == [NotifyUpdate((Stamped("config", stamp),))]


async def test_a_write_whose_notice_was_lost_with_the_process_is_told_after_the_restart(
    world: World,
) -> None:
    people = People(world)
    await people.make("config", "Downstream")
    board = await LedgerBoard(world).connect()
    await board.subscribe_ledger("config")
    people.instances = Instances(world.db, world.clock, Bus(), people.access)
    stamp = (await people.put("config", board.device_id, {"a": 1})).updated_at_ms
    assert board.heard() == []
    await world.restart(outage_s=20)
    await world.advance(2)
    assert board.heard() == [NotifyUpdate((Stamped("config", stamp),))]


async def test_a_new_session_is_told_nothing_before_it_asks(world: World) -> None:
    """The firmware may be another one by now, to which the message would be a fault (§2.1)."""
    people = People(world)
    await people.make("config", "Downstream")
    board = await LedgerBoard(world).connect()
    await board.subscribe_ledger("config")
    await board.connect()
    await people.put("config", board.device_id, {"a": 1})
    await people.make("more", "Downstream")
    assert board.heard() == []


async def test_boards_ask_anew_when_ledgers_are_made_or_archived(world: World) -> None:
    people = People(world)
    board = await LedgerBoard(world).connect()
    assert (await board.ask(GetInfo(("config",)))).infos == ()
    await people.make("config", "Downstream")
    assert board.heard() == [ResetInfo()]
    ref = await board.ref("config")
    await people.definitions.archive(people.caller, people.access.get(people.caller, "config"))
    await world.settle()
    assert board.heard() == [ResetInfo(), ResetInfo()]
    answer = await board.ask(GetData(ref, None), coap.NOT_FOUND)
    assert answer.result == ledger.NOT_FOUND
    await people.make("config", "Downstream")
    answer = await board.ask(GetData(ref, None), coap.BAD_REQUEST)
    assert answer.result == ledger.SCOPE_CHANGED


async def test_a_board_that_changes_hands_asks_anew_and_finds_nothing_of_before(
    world: World,
) -> None:
    people = People(world)
    await people.make("config", "Downstream")
    board = await LedgerBoard(world).connect()
    ref = await board.subscribe_ledger("config")
    await people.put("config", board.device_id, {"secret": "Ada's"})
    await world.db.write(
        lambda connection: (
            connection.exec_driver_sql(
                "UPDATE devices_device SET owner_id = :to WHERE id = :id",
                {"to": CLEO, "id": board.device_id},
            ).rowcount
        )
    )
    world.bus.publish(DeviceReleased(board.device_id, ADA))
    await world.settle()
    assert board.heard()[-1] == ResetInfo()
    assert (await board.ask(GetInfo(("config",)))).infos == ()
    await People(world, CLEO).make("config", "Downstream")
    assert (await board.ask(GetData(ref, None), coap.BAD_REQUEST)).result == ledger.SCOPE_CHANGED
    assert (await board.ask(GetData(await board.ref("config"), None))).data is None
    assert (await board.ask(Subscribe((ref,)), coap.BAD_REQUEST)).stamps == ()


@pytest.mark.parametrize(
    ("data", "code", "result"),
    [
        (b"\xff", coap.BAD_REQUEST, ledger.INVALID_DATA),
        (encode([1]), coap.BAD_REQUEST, ledger.INVALID_DATA),
        (
            encode({"k": "x" * ledger.MAX_DATA}),
            coap.REQUEST_ENTITY_TOO_LARGE,
            ledger.TOO_LARGE_DATA,
        ),
    ],
)
async def test_data_that_is_none_is_refused_and_nothing_is_kept(
    world: World, data: bytes, code: int, result: int
) -> None:
    people = People(world)
    await people.make("state", "Upstream")
    board = await LedgerBoard(world).connect()
    answer = await board.ask(SetData(await board.ref("state"), None, data), code)
    assert answer.result == result
    with pytest.raises(UnknownInstanceError):
        people.read("state", board.device_id)
    assert await board.publish() is not None


async def test_a_ledger_goes_one_way(world: World) -> None:
    people = People(world)
    await people.make("state", "Upstream")
    await people.make("config", "Downstream")
    board = await LedgerBoard(world).connect()
    down, up = await board.ref("config"), await board.ref("state")
    ask = partial(board.ask, code=coap.FORBIDDEN)
    for request in (SetData(down, None, encode({})), GetData(up, None), Subscribe((up,))):
        assert (await ask(request)).result == ledger.INVALID_SYNC_DIRECTION


async def test_an_unclaimed_board_has_no_ledgers(world: World) -> None:
    await People(world).make("config", "Downstream")
    board = LedgerBoard(world)
    await Board.connect(board)
    assert (await board.ask(GetInfo(("config",)))).infos == ()


@pytest.mark.parametrize("payload", [b"", b"\xff" * 9, ledger.encode_request(ResetInfo())])
async def test_what_cannot_be_read_is_refused_and_the_session_lives(
    world: World, payload: bytes
) -> None:
    board = await LedgerBoard(world).connect()
    answer = await board.post(LedgerPost(payload))
    assert answer.code == coap.BAD_REQUEST
    assert ledger.decode_response(ledger.GET_INFO, answer.payload).result == ledger.ERROR
    assert await board.publish() is not None


async def test_blocks_out_of_order_are_refused(world: World) -> None:
    board = await LedgerBoard(world).connect()
    first, later = LedgerPost(bytes(1024), Block(0, True, SZX_1024), b"a"), Block(2, True, SZX_1024)
    assert (await board.post(first)).code == coap.CONTINUE
    assert (await board.post(LedgerPost(bytes(1024), later, b"a"))).code == coap.BAD_REQUEST
    assert (await board.post(first)).code == coap.CONTINUE
    other = LedgerPost(bytes(1024), Block(1, True, SZX_1024), b"b")
    assert (await board.post(other)).code == coap.BAD_REQUEST
    wanted = LedgerPost(b"", wanted=Block(1, False, SZX_1024), etag=b"none")
    assert (await board.post(wanted)).code == coap.BAD_REQUEST


async def test_a_request_without_end_is_cut_off(world: World) -> None:
    board = await LedgerBoard(world).connect()
    codes = []
    for number in range(20):
        block = Block(number, True, SZX_1024)
        codes.append((await board.post(LedgerPost(bytes(1024), block, b"a"))).code)
        if codes[-1] != coap.CONTINUE:
            break
    assert codes[-1] == coap.REQUEST_ENTITY_TOO_LARGE
    assert len(codes) == 18


async def test_memory_for_blocks_is_bounded_and_the_oldest_gives_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "MAX_TRANSFERS", 1)
    boards = [await LedgerBoard(world, number).connect() for number in (1, 2)]
    first = LedgerPost(bytes(1024), Block(0, True, SZX_1024), b"a")
    second = LedgerPost(bytes(1024), Block(1, True, SZX_1024), b"a")
    for board in boards:
        assert (await board.post(first)).code == coap.CONTINUE
    assert (await boards[1].post(second)).code == coap.CONTINUE
    assert (await boards[0].post(second)).code == coap.BAD_REQUEST
