"""What the tests of updates share: images, and a cloud that sends them by hand."""

import msgspec

from cyan.sim.facts import UpdateBegan, UpdateEnded
from cyan.wire import coap
from cyan.wire.describe import SystemDescribe, decode_describe
from cyan.wire.describe.system import SYSTEM_PART, USER_PART, Asset, Module, ModuleDependency
from cyan.wire.messages import SYSTEM, DescribePost, Hello, decode_request
from cyan.wire.module import encode_module
from cyan.wire.simulated import Event, Function, Image, Piece, Variable, encode_image
from tests.sim.stream_world import StreamWorld
from tests.sim.world import World

AnyWorld = World | StreamWorld

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


def said(world: AnyWorld, since: int = 0) -> list[coap.Message]:
    """What the device said, without its ids."""
    return [
        msgspec.structs.replace(message, message_id=0)
        for message in world.cloud.messages()[since:]
        if message.code != coap.EMPTY
    ]


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


def began(world: AnyWorld) -> list[UpdateBegan]:
    return [fact for fact in world.of(UpdateBegan) if isinstance(fact, UpdateBegan)]


def ended(world: AnyWorld) -> list[int]:
    """The codes with which updates ended."""
    return [fact.code for fact in world.of(UpdateEnded) if isinstance(fact, UpdateEnded)]
