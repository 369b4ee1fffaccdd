"""What the tests of updates share: files, and a transfer that a test moves through time."""

import asyncio
import hashlib
from dataclasses import dataclass, field
from random import Random

from cyan.core.ids import DeviceId
from cyan.core.ports import Image, UpdateStage
from cyan.sim.facts import Fact, UpdateEnded
from cyan.wire.describe.system import USER_PART
from cyan.wire.module import encode_module
from tests.gateway.world import World


def make_file(size: int = 10_000, *, platform_id: int, seed: int = 1, version: int = 7) -> bytes:
    """A user part of about this size for boards of this platform."""
    return encode_module(
        Random(seed).randbytes(size),
        platform_id=platform_id,
        function=USER_PART,
        version=version,
        start_address=0xB4000,
        product_version=8,
    )


def image_of(data: bytes) -> Image:
    return Image(memoryview(data), hashlib.sha256(data).digest(), USER_PART)


@dataclass
class Sending:
    """One call of `update`, and what it told of its progress."""

    world: World
    device_id: DeviceId
    data: bytes
    progress: list[tuple[UpdateStage, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.image = image_of(self.data)
        self.begun_s = self.world.clock.monotonic()
        self.task = asyncio.get_running_loop().create_task(
            self.world.gateway.updates.update(
                self.device_id,
                self.image,
                lambda stage, sent: self.progress.append((stage, sent)),
            )
        )

    @property
    def stage(self) -> UpdateStage | None:
        return self.progress[-1][0] if self.progress else None

    @property
    def took_s(self) -> float:
        return self.world.clock.monotonic() - self.begun_s

    async def until(self, stage: UpdateStage, confirmed: int = 0) -> None:
        """Let time pass until it is there."""
        for _ in range(2000):
            if (
                self.progress
                and self.progress[-1][0] is stage
                and self.progress[-1][1] >= confirmed
            ):
                return
            assert not self.task.done(), self.task
            await self.world.advance(0.5)
        raise AssertionError(f"it does not come to {stage}: {self.progress}")

    async def end(self, within_s: float = 900.0) -> BaseException | None:
        """Let time pass until it has ended; how it did."""
        until_s = self.world.clock.monotonic() + within_s
        while not self.task.done():
            assert self.world.clock.monotonic() < until_s, "it has no end"
            await self.world.advance(0.5)
        return self.task.exception()


def installed(facts: list[Fact]) -> list[bytes]:
    """The SHA-256 of each file that a device has put to use."""
    return [fact.sha256 for fact in facts if isinstance(fact, UpdateEnded) and not fact.code]
