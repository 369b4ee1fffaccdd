"""The page on what works with the stock clients, from what their tests prove."""

from collections.abc import Iterable
from typing import Final

from docs.tables import table
from tests.compat.rows import COMMANDS, METHODS, Row, proofs

_WORKS: Final = "**pass**"


def clients_page() -> str:
    """Every command and method with what a test shows of it."""
    proven = proofs()
    return (
        "# Clients\n\n"
        "What particle-cli 3.51.0 and particle-api-js 12.0.3, unchanged from npm, can do with\n"
        "this server. **pass** means that a test runs it against a real server and looks at what\n"
        "it says; the tests are in `tests/compat`. Nothing else makes a row pass.\n\n"
        f"## particle-cli: {_count(COMMANDS, proven)}\n\n"
        + table(("Command", "Works", "Shown by"), _rows(COMMANDS, proven))
        + f"\n## particle-api-js: {_count(METHODS, proven)}\n\n"
        "The forms of a method for products and organizations need products.\n\n"
        + table(("Method", "Works", "Shown by"), _rows(METHODS, proven))
    )


def _count(rows: tuple[Row, ...], proven: dict[str, list[str]]) -> str:
    return f"{sum(row.name in proven for row in rows)} of {len(rows)} pass"


def _rows(rows: tuple[Row, ...], proven: dict[str, list[str]]) -> Iterable[tuple[str, ...]]:
    for row in rows:
        tests = ", ".join(f"`{test.partition('::')[2]}`" for test in proven.get(row.name, ()))
        yield f"`{row.name}`", _WORKS if tests else row.need, tests
