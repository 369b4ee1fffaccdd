"""Whatever a server says in the middle of updates, a simulated device answers or goes, and runs
nothing but what it was given whole."""

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from cyan.sim.facts import UpdateEnded
from cyan.wire import coap
from tests.sim.updating import CHUNK, TOKEN, user_part
from tests.sim.world import World, online_world

FILES = tuple(user_part(bytes((letter,)) * 2_000) for letter in b"ab")
DIGESTS = tuple(hashlib.sha256(file).digest() for file in FILES)
CHUNKS = -(-len(FILES[0]) // CHUNK)
BOARDS = ("argon", "electron")

tokens = st.sampled_from([b"", TOKEN, b"12"])
types = st.sampled_from([coap.CON, coap.NON])
numbers = st.one_of(
    st.sampled_from([b"", b"\0", b"\1", b"\2\0", coap.encode_uint(len(FILES[0])), b"\xff" * 5]),
    st.binary(max_size=5),
)
options = st.lists(
    st.tuples(
        st.sampled_from(
            [
                coap.URI_QUERY,
                coap.CHUNK_INDEX,
                coap.FILE_SIZE,
                coap.FILE_SHA256,
                coap.CHUNK_SIZE,
                coap.DISCARD_DATA,
                coap.CANCEL_UPDATE,
                coap.MODULE_FUNCTION,
            ]
        ),
        st.one_of(numbers, st.sampled_from(DIGESTS)),
    ),
    max_size=5,
)
wild = st.builds(
    lambda type_, code, token, path, more, payload: coap.Message(
        type_, code, 0, token, ((coap.URI_PATH, path), *sorted(more)), payload
    ),
    types,
    st.sampled_from([coap.POST, coap.PUT]),
    tokens,
    st.sampled_from([b"S", b"C", b"F", b"u", b"c"]),
    options,
    st.one_of(st.binary(max_size=20), st.just(bytes(CHUNK))),
)


def start(which: int) -> coap.Message:
    told = (
        (coap.URI_PATH, b"S"),
        (coap.FILE_SIZE, coap.encode_uint(len(FILES[which]))),
        (coap.FILE_SHA256, DIGESTS[which]),
        (coap.CHUNK_SIZE, coap.encode_uint(CHUNK)),
    )
    return coap.Message(coap.CON, coap.POST, 0, TOKEN, told)


def begin(which: int) -> coap.Message:
    payload = b"\1\2\0" + len(FILES[which]).to_bytes(4, "big") + bytes(5)
    return coap.Message(coap.CON, coap.POST, 0, TOKEN, ((coap.URI_PATH, b"u"),), payload)


def chunk(which: int, index: int) -> coap.Message:
    told = ((coap.URI_PATH, b"C"), (coap.CHUNK_INDEX, coap.encode_uint(index + 1)))
    data = FILES[which][index * CHUNK : (index + 1) * CHUNK]
    return coap.Message(coap.NON, coap.POST, 0, b"", told, data)


FINISH = coap.Message(coap.CON, coap.POST, 0, TOKEN, ((coap.URI_PATH, b"F"),))
DONE = coap.Message(coap.CON, coap.PUT, 0, TOKEN, ((coap.URI_PATH, b"u"),))

which = st.integers(0, 1)
sensible = st.one_of(
    st.builds(start, which),
    st.builds(begin, which),
    st.builds(chunk, which, st.integers(0, CHUNKS - 1)),
    st.sampled_from([FINISH, DONE]),
)
steps = st.lists(
    st.one_of(sensible, wild, st.sampled_from([0.1, 0.5, 40.0, 310.0])), min_size=1, max_size=30
)


def tell(world: World, message: coap.Message, number: int) -> None:
    if world.cloud.records is None:
        return
    told = coap.Message(
        message.type, message.code, number, message.token, message.options, message.payload
    )
    world.deliver(world.cloud.seal(coap.encode(told)))


@settings(max_examples=150)
@given(st.sampled_from(BOARDS), steps)
def test_nothing_that_a_server_says_breaks_a_device(
    platform: str, said: list[coap.Message | float]
) -> None:
    world = online_world(platform=platform)
    for number, step in enumerate(said, 1):
        if isinstance(step, float):
            world.run(step)
        else:
            tell(world, step, number)
    world.run(700.0)
    for fact in world.of(UpdateEnded):
        if isinstance(fact, UpdateEnded) and fact.code == 0:
            assert fact.sha256 in DIGESTS
    firmware = world.device.updater.firmware
    hashes = [file[-38:-6] for file in FILES]
    assert firmware is None or firmware.modules[-1].hash in hashes
