"""How long and where to measure."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from bench.profile import profiled


@dataclass(frozen=True, slots=True)
class Settings:
    """`scale` shortens every run, for work on the bench itself; `profile` samples the server."""

    server_core: int
    generator_core: int
    runs: int = 3
    scale: float = 1.0
    profile: bool = False

    def sampled(self, pid: int, folder: Path, title: str) -> AbstractContextManager[None]:
        """Around what is measured: a profile of the server, if asked for."""
        return profiled(pid, folder, title) if self.profile else nullcontext()
