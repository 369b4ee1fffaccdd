"""What the pages tell people to type exists, and their links lead somewhere."""

import dataclasses
import re
import shlex
from pathlib import Path

import click
import pytest

from cyan.cli.main import cli
from cyan.core.config import Config
from cyan.sim import options
from tests.docs.pages import PAGES, ROOT, WRITTEN_PAGES, code_lines, name

_LINK = re.compile(r"\[[^\]]+\]\(([^)#]*)(#[^)]*)?\)")
_VARIABLE = re.compile(r"\bCYAN_[A-Z_]+\b")
_PLACES = {"<id>": "0123456789abcdef01234567"}

each_page = pytest.mark.parametrize("page", WRITTEN_PAGES, ids=name)


def _typed(program: str) -> list[list[str]]:
    """Every line of the pages that starts this program: its arguments, places filled in."""
    found = []
    for page in WRITTEN_PAGES:
        for line in code_lines(page):
            words = [_PLACES.get(word, word) for word in _words(line.partition(" #")[0])]
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                words = words[1:]
            if words and words[0].rpartition("/")[2] == program and words[1:] not in found:
                found.append(words[1:])
    return found


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # no command line: an apostrophe in what a program says
        return []


def _parse(command: click.Command, arguments: list[str]) -> None:
    """Read a command line as the program would, without doing anything. Raises UsageError."""
    if not isinstance(command, click.Group):
        command.make_context(str(command.name), list(arguments))
        return
    context = click.Context(command)
    _, child, rest = command.resolve_command(context, list(arguments))
    assert child is not None
    if child.name == "sim":
        options.parse(rest)
    else:
        _parse(child, rest)


@pytest.mark.parametrize("arguments", _typed("cyan"), ids=" ".join)
def test_every_command_line_of_ours_is_understood(arguments: list[str]) -> None:
    _parse(cli, arguments)


@pytest.mark.parametrize("target", sorted({words[0] for words in _typed("make") if words}))
def test_every_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@each_page
def test_every_variable_that_a_page_names_is_a_setting(page: Path) -> None:
    known = {f"CYAN_{field.name.upper()}" for field in dataclasses.fields(Config)}
    assert set(_VARIABLE.findall(page.read_text())) <= known | {"CYAN_CONFIG"}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    targets = [target for target, _ in _LINK.findall(page.read_text()) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


@each_page
def test_no_page_names_a_package_that_is_not_ours(page: Path) -> None:
    assert not re.search(r"pip3? install cyan\b(?!-)", page.read_text())


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop().resolve()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = [(page.parent / target) for target, _ in _LINK.findall(page.read_text())]
        folders = [link for link in links if link.is_dir()]
        waiting += [link for link in links if link.is_file()]
        waiting += [page for folder in folders for page in folder.glob("*.md")]
    assert [name(page) for page in PAGES if page.resolve() not in reached] == []
