"""Text and tables in Markdown, for the generated pages."""

import inspect
from collections.abc import Iterable


def prose(text: str | None) -> str:
    """A docstring or help as text of a page."""
    return inspect.cleandoc(text or "").replace("``", "`")


def table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [columns, tuple("---" for _ in columns), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
