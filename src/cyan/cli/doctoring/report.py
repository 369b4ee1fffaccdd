"""What the doctor prints: aligned text for people, or one JSON object."""

import json
import re
import shutil
import textwrap
from collections.abc import Iterable
from typing import Final

import click
import msgspec

from cyan.cli.doctoring.examination import Findings
from cyan.cli.doctoring.finding import Finding, Level, counted

_COLOURS: Final = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "red"}
_GROUP_WIDTH: Final = 15
_LEVEL_WIDTH: Final = 9
_INDENT: Final = " " * (_GROUP_WIDTH + _LEVEL_WIDTH)
_COMMAND: Final = re.compile("`[^`]+`")
_NO_BREAK: Final = "\u00a0"
_STEP: Final = "→ "
MIN_WIDTH, MAX_WIDTH = 72, 110
"""Of a line, in characters; between them as wide as the terminal is."""


def group_lines(found: Findings, *, verbose: bool, width: int) -> list[str]:
    """A group: all that is not ok with its next step, else one line. `verbose` shows everything."""
    shown = [one for one in found.findings if verbose or one.level is not Level.OK]
    shown = shown or found.findings[:1]
    lines = []
    for number, one in enumerate(shown):
        head = (found.group if number == 0 else "").ljust(_GROUP_WIDTH)
        level = click.style(one.level.value.ljust(_LEVEL_WIDTH), fg=_COLOURS[one.level])
        text = _wrapped(one.found, width, "")
        lines.append(head + level + text[0])
        lines += [_INDENT + line for line in text[1:]]
        if one.next_step is not None:
            lines += [_INDENT + line for line in _wrapped(one.next_step, width, _STEP)]
    return lines


def summary_line(groups: Iterable[Findings]) -> str:
    """The last line: how many problems and warnings."""
    problems, warnings = count(groups)
    if problems == warnings == 0:
        return "All is well."
    told = [counted(problems, "problem")] if problems else []
    told += [counted(warnings, "warning")] if warnings else []
    return " and ".join(told) + "."


def count(groups: Iterable[Findings]) -> tuple[int, int]:
    """(problems, warnings)"""
    levels = [one.level for group in groups for one in group.findings]
    return levels.count(Level.PROBLEM), levels.count(Level.WARNING)


def as_json(groups: list[Findings], data: str) -> str:
    """`{"ok", "problems", "warnings", "data", "findings": [{"group", "check", "level", "found",
    "next_step"}]}` in one line."""
    problems, warnings = count(groups)
    return json.dumps(
        {
            "ok": problems == 0,
            "problems": problems,
            "warnings": warnings,
            "data": data,
            "findings": [
                {"group": group.group, **_as_dict(one)}
                for group in groups
                for one in group.findings
            ],
        }
    )


def line_width() -> int:
    return max(MIN_WIDTH, min(MAX_WIDTH, shutil.get_terminal_size().columns))


def _as_dict(finding: Finding) -> dict[str, object]:
    made: dict[str, object] = msgspec.to_builtins(finding)
    return made


def _wrapped(text: str, width: int, mark: str) -> list[str]:
    """Lines of at most `width`; a command in backquotes stays in one, to be copied."""
    whole = _COMMAND.sub(lambda command: command[0].replace(" ", _NO_BREAK), text)
    lines = textwrap.wrap(
        whole,
        width - len(_INDENT),
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_NO_BREAK, " ") for line in lines] or [""]
