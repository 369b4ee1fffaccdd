"""Lines of the log as `key=value`, quoted where needed (logfmt), for files and pipes.

What structlog's own renderer writes, with less to do for each line: a request writes one, and there
it was a fifth of the whole.
"""

from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog

FIRST: Final = ("timestamp", "level", "event")


class Lines:
    """The last processor of structlog. Keys are ours and have no blanks."""

    def __init__(self, info: TextIO | None) -> None:
        """`info` is where lines of that level go; None when they are left out."""
        self.info = None if info is None else structlog.PrintLogger(info)

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
        parts = [f"{name}={text(event.pop(name))}" for name in FIRST if name in event]
        parts += [f"{name}={text(value)}" for name, value in event.items()]
        return " ".join(parts)


def plain_info() -> structlog.PrintLogger | None:
    """For what writes a line of level info as `Lines` would; None when the log has another form,
    or leaves such lines out."""
    last = structlog.get_config()["processors"][-1]
    return last.info if isinstance(last, Lines) else None


def text(value: object) -> str:
    """A value as it stands in a line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    word = str(value)
    if word.isalnum():
        return word
    if " " in word or "=" in word or '"' in word:
        word = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{word}"'
    return word.replace("\n", "\\n") if "\n" in word else word
