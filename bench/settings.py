"""How long and where to measure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """`scale` shortens every run, for work on the bench itself."""

    server_core: int
    generator_core: int
    runs: int = 3
    scale: float = 1.0
