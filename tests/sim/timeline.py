"""The clock of a world of one device, and what the device told in it."""

from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar

from cyan.sim.facts import EndReason, Fact, StateChanged


class Timed(Protocol):
    """A device that says when it has to be called next."""

    def deadline(self) -> float: ...

    def on_deadline(self, now: float) -> None: ...


D = TypeVar("D", bound=Timed)


class Timeline(ABC, Generic[D]):
    """Nothing waits: time jumps to the next deadline. Times are seconds of the world's clock."""

    device: D

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self.facts: list[tuple[float, Fact]] = []

    @abstractmethod
    def settle(self) -> None:
        """Let all that is on its way arrive, and what it leads to."""

    def on_fact(self, fact: Fact) -> None:
        """For the device."""
        self.facts.append((self.now, fact))

    def run(self, seconds: float) -> None:
        """Lets time pass."""
        end = self.now + seconds
        self.settle()
        while self.device.deadline() <= end:
            self.now = max(self.now, self.device.deadline())
            self.device.on_deadline(self.now)
            self.settle()
        self.now = end

    def of(self, kind: type[Fact]) -> list[Fact]:
        return [fact for _, fact in self.facts if isinstance(fact, kind)]

    @property
    def ends(self) -> list[tuple[float, EndReason]]:
        """When and why connections ended."""
        return [
            (at, fact.reason)
            for at, fact in self.facts
            if isinstance(fact, StateChanged) and fact.reason is not None
        ]
