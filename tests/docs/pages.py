"""The documentation as the tests read it."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference"

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
"""Every page that people read."""

WRITTEN_PAGES = [page for page in PAGES if page.parent != REFERENCE]
"""Those that people write."""


def name(page: Path) -> str:
    """How a page is called in the names of tests."""
    return str(page.relative_to(ROOT))


def code_lines(page: Path) -> Iterator[str]:
    """Every line of the page's code blocks."""
    is_code = False
    for line in page.read_text().splitlines():
        if line.strip().startswith("```"):
            is_code = not is_code
        elif is_code:
            yield line.strip()


def blocks(page: Path, language: str) -> list[str]:
    """The page's code blocks in this language."""
    parts = page.read_text().split("```")[1::2]
    return [
        part.removeprefix(f"{language}\n") for part in parts if part.startswith(f"{language}\n")
    ]


def reference(file: str) -> str:
    """A generated page."""
    return (REFERENCE / file).read_text()
