"""What the tests of updates share: images, and a cloud that sends them by hand."""

from functools import partial
from hashlib import sha256
from typing import Any

from cyan.sim.facts import UpdateBegan, UpdateEnded
from cyan.wire import coap
from cyan.wire.describe import SystemDescribe, decode_describe
from cyan.wire.describe.system import SYSTEM_PART, USER_PART, Asset, Module, ModuleDependency
from cyan.wire.messages import (
    SYSTEM,
    DescribePost,
    Hello,
    decode_function_result,
    decode_request,
    encode_event,
    encode_function_call,
)
from cyan.wire.messages.updates import (
    UpdateFinish,
    UpdateStart,
    decode_diagnostic,
    decode_update_started,
    encode_update_chunk,
    encode_update_finish,
    encode_update_start,
)
from cyan.wire.messages.updates_legacy import (
    UpdateBegin,
    encode_chunk,
    encode_update_begin,
    encode_update_done,
)
from cyan.wire.module import encode_module
from cyan.wire.simulated import Event, Function, Image, Piece, Variable, encode_image
from tests.sim.stream_world import StreamWorld
from tests.sim.world import World

AnyWorld = World | StreamWorld

CHUNK = 512
TOKEN = b"\x2a"

BLINK = Image(
    product_version=3,
    variables=(Variable("speed", "int", 7), Variable("label", "string", "blink")),
    functions=(Function("blink", {"fast": 2}, -1),),
    events=(
        Event("blink/started", (Piece("speed "), Piece("", "speed"))),
        Event("blink/beat", (Piece("beat"),), 60.0),
    ),
)
"""An application of the simulated platform."""


def user_part(
    body: bytes | None = None,
    *,
    platform_id: int = 12,
    needs: int = 6200,
    version: int = 7,
    product_version: int | None = 3,
    product_id: int | None = None,
    assets: tuple[Asset, ...] = (),
    dependencies: tuple[ModuleDependency, ...] | None = None,
) -> bytes:
    """A user part that needs this version of Device OS; `BLINK` if nothing else."""
    needed = (ModuleDependency(SYSTEM_PART, 1, needs),)
    return encode_module(
        encode_image(BLINK) if body is None else body,
        platform_id=platform_id,
        function=USER_PART,
        version=version,
        start_address=0xB4000,
        dependencies=needed if dependencies is None else dependencies,
        product_version=product_version,
        product_id=product_id,
        assets=assets,
    )


def system_part(version: int, *, bootloader: int = 3001, platform_id: int = 12) -> bytes:
    """The first system part of a Gen 3 board."""
    return encode_module(
        bytes(20_000),
        platform_id=platform_id,
        function=SYSTEM_PART,
        version=version,
        start_address=0x30000,
        dependencies=(ModuleDependency(2, 0, bootloader),),
    )


def hello(world: AnyWorld) -> Hello:
    """The latest one."""
    found = [
        request
        for message in world.cloud.messages()
        if isinstance(request := decode_request(message), Hello)
    ]
    return found[-1]


def describe(world: AnyWorld) -> SystemDescribe:
    """The describe that the device sent last."""
    found = [
        request
        for message in world.cloud.messages()
        if isinstance(request := decode_request(message), DescribePost) and request.flags == SYSTEM
    ]
    parts = decode_describe(SYSTEM, found[-1].content_format, found[-1].payload)
    return next(part for part in parts if isinstance(part, SystemDescribe))


def module_of(system: SystemDescribe, function: int, index: int = 1) -> Module:
    """The module of this function and index."""
    return next(m for m in system.modules if (m.function, m.index) == (function, index))


def call(world: AnyWorld, name: str, argument: str) -> int | None:
    """What a function gives; None where nothing is answered."""
    answers = world.ask(lambda id_: encode_function_call(id_, TOKEN, name, argument))
    results = [answer for answer in answers if answer.code == coap.CHANGED]
    return decode_function_result(results[0].payload) if results else None


def send_event(world: AnyWorld, name: str, data: bytes) -> list[coap.Message]:
    """An event of the cloud to this device; returns what the device said."""
    return world.ask(lambda id_: encode_event(id_, name, data, confirmable=True))


def began(world: AnyWorld) -> list[UpdateBegan]:
    return [fact for fact in world.of(UpdateBegan) if isinstance(fact, UpdateBegan)]


def ended(world: AnyWorld) -> list[int]:
    """The codes with which updates ended."""
    return [fact.code for fact in world.of(UpdateEnded) if isinstance(fact, UpdateEnded)]


def start_update(
    world: World, file: bytes, chunk_size: int = CHUNK, **options: Any
) -> list[coap.Message]:
    """Offers a file by the current protocol; returns what the device said."""
    start = UpdateStart(len(file), chunk_size, sha256(file).digest(), **options)
    return world.ask(lambda id_: encode_update_start(id_, TOKEN, start))


def offset_of(answers: list[coap.Message]) -> int:
    """From where on the device wants a file."""
    return decode_update_started(answers[-1]).offset


def send_chunk(world: World, index: int, data: bytes) -> list[coap.Message]:
    return world.ask(lambda id_: encode_update_chunk(id_, index, data))


def send_chunks(world: World, file: bytes, offset: int = 0, until: int | None = None) -> None:
    """All chunks from there on, in order."""
    end = len(file) if until is None else until
    for index, at in enumerate(range(offset, end, CHUNK), 1):
        send_chunk(world, index, file[at : at + CHUNK])


def finish_update(world: World, **options: bool) -> list[coap.Message]:
    finish = UpdateFinish(**options)
    return world.ask(lambda id_: encode_update_finish(id_, TOKEN, finish))


def update(world: World, file: bytes, **options: Any) -> list[coap.Message]:
    """A whole update by the current protocol; returns what the device said to its end."""
    send_chunks(world, file, offset_of(start_update(world, file, **options)))
    answers = finish_update(world)
    world.run(5.0)
    return answers


def error_of(answers: list[coap.Message]) -> int:
    """The Device OS error in the last of these."""
    return decode_diagnostic(answers[-1].payload).code


def begin_legacy(world: AnyWorld, file: bytes, *, fast: bool = True) -> list[coap.Message]:
    """Offers a file by the legacy protocol."""
    begin = UpdateBegin(fast, CHUNK, len(file))
    return world.ask(lambda id_: encode_update_begin(id_, TOKEN, begin))


def send_legacy(
    world: AnyWorld, file: bytes, *, but: tuple[int, ...] = (), fast: bool = True
) -> None:
    """All chunks but some."""
    for index, at in enumerate(range(0, len(file), CHUNK)):
        if index in but:
            continue
        data = file[at : at + CHUNK]
        number = index if fast else None
        world.ask(partial(encode_legacy, data=data, index=number))


def encode_legacy(message_id: int, *, data: bytes, index: int | None) -> bytes:
    return encode_chunk(message_id, TOKEN, data, index=index)


def end_legacy(world: AnyWorld) -> list[coap.Message]:
    return world.ask(lambda id_: encode_update_done(id_, TOKEN))


def update_legacy(world: AnyWorld, file: bytes) -> list[coap.Message]:
    """A whole update by the legacy protocol; returns what the device said to its end."""
    begin_legacy(world, file)
    send_legacy(world, file)
    answers = end_legacy(world)
    world.run(5.0)
    return answers
