"""What a compiler says of sources: errors and warnings with file, line and column."""

from enum import Enum
from typing import Final

import msgspec

from cyan.firmware.wiring.lexer import Place, Token

MAX_DIAGNOSTICS: Final = 100
"""More are not kept: who has so many looks at the first."""


class Severity(Enum):
    """An error stops the compilation, a warning tells what the simulated device will not do."""

    ERROR = "error"
    WARNING = "warning"


class Diagnostic(msgspec.Struct, frozen=True):
    """One remark; as text it looks like those of compilers."""

    place: Place
    severity: Severity
    text: str

    def __str__(self) -> str:
        place = self.place
        return f"{place.file}:{place.line}:{place.column}: {self.severity.value}: {self.text}"


class FaultyFileError(Exception):
    """The rest of a file makes no sense; the report says why."""


class Report:
    """Collects diagnostics, the first of each text and place."""

    def __init__(self) -> None:
        self._found: dict[str, Diagnostic] = {}

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """In the order of files and lines as they were read."""
        return list(self._found.values())

    @property
    def has_errors(self) -> bool:
        return any(one.severity is Severity.ERROR for one in self._found.values())

    def error(self, at: Token | Place, text: str) -> None:
        """What stops the compilation."""
        self._add(at, Severity.ERROR, text)

    def warn(self, at: Token | Place, text: str) -> None:
        """What the simulated device will not do."""
        self._add(at, Severity.WARNING, text)

    def fail(self, at: Token | Place, text: str) -> FaultyFileError:
        """An error after which reading the file makes no sense: raise what this returns."""
        self.error(at, text)
        return FaultyFileError(text)

    def soften(self, file: str) -> None:
        """Errors in a file become warnings: it is not what is compiled, but a library of it."""
        for key, one in self._found.items():
            if one.place.file == file:
                self._found[key] = msgspec.structs.replace(one, severity=Severity.WARNING)

    def _add(self, at: Token | Place, severity: Severity, text: str) -> None:
        place = at.place if isinstance(at, Token) else at
        key = f"{place} {text}"
        # An error is kept always, or a hundred warnings would hide that there is one.
        has_room = len(self._found) < MAX_DIAGNOSTICS
        if key not in self._found and (
            has_room or (severity is Severity.ERROR and not self.has_errors)
        ):
            self._found[key] = Diagnostic(place, severity, text)
