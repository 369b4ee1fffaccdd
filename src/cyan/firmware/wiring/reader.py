"""A project's sources to the image of the simulated platform."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

import msgspec

from cyan.firmware.wiring.assembly import assemble
from cyan.firmware.wiring.declarations import Declarations, read_declarations
from cyan.firmware.wiring.diagnostics import FaultyFileError, Report
from cyan.firmware.wiring.lexer import Place, Token, UnterminatedError, split_lines
from cyan.firmware.wiring.names import Names
from cyan.firmware.wiring.preprocessor import Macros, preprocess
from cyan.firmware.wiring.spans import Span, pair_brackets
from cyan.firmware.wiring.walk import CLOUD, CLOUD_CALLS, Walk
from cyan.wire.simulated import Image

HEADERS: Final = frozenset({".h", ".hpp", ".hh", ".hxx"})
SOURCES: Final = frozenset({".ino", ".cpp", ".c"})
LIBRARIES: Final = "lib"
"""The folder of a project's libraries. What they do wrong is not what is compiled: warnings."""

_LIBRARY_CODE: Final = frozenset({"src", "firmware"})
"""Folders of a library; the second is that of libraries from before 2017."""


class Reading(msgspec.Struct, frozen=True):
    """What sources declare, and what a compiler says of them. The image is None where there are
    errors."""

    image: Image | None
    product_id: int | None
    messages: tuple[str, ...]
    is_sound: bool


def read_project(files: Mapping[str, bytes], known: Mapping[str, int] | None = None) -> Reading:
    """Reads the files of a project, by their paths; `known` are macros of the platform."""
    report, declarations = Report(), Declarations()
    calls: list[Token] = []
    macros = Macros({"PARTICLE": 1, "SPARK": 1, "__cplusplus": 201703, **(known or {})})
    for path in sorted(files, key=_order):
        if _is_compiled(PurePosixPath(path)):
            tokens = _read_file(path, files[path], macros, declarations, report)
            calls += [] if _is_library(path) else _cloud_calls(tokens)
    names = Names(declarations)
    image, product_id = None, None
    if not report.has_errors and _has_main(files, declarations, report):
        walk = Walk(declarations, names, report)
        walk.run()
        for token in calls:
            if token.place not in walk.reached:
                report.warn(
                    token,
                    f"Particle.{token.text}() is not reached from setup() or loop(), as far as can"
                    " be read: left out",
                )
        image, product_id = assemble(walk, declarations, names, report)
    is_sound = not report.has_errors
    messages = tuple(map(str, report.diagnostics))
    return Reading(image if is_sound else None, product_id, messages, is_sound)


def _is_compiled(path: PurePosixPath) -> bool:
    """Of libraries what lies at their top or in their `src`: no examples, no tests of theirs."""
    if path.suffix.lower() not in HEADERS | SOURCES:
        return False
    return path.parts[0] != LIBRARIES or len(path.parts) <= 3 or path.parts[2] in _LIBRARY_CODE


def _order(path: str) -> tuple[bool, bool, str]:
    """Headers first, so that macros are known; libraries before what uses them."""
    pure = PurePosixPath(path)
    return pure.suffix.lower() not in HEADERS, pure.parts[0] != LIBRARIES, path


def _read_file(
    path: str, content: bytes, macros: Macros, declarations: Declarations, report: Report
) -> list[Token]:
    """Its tokens, as far as it makes sense."""
    is_library = _is_library(path)
    tokens: list[Token] = []
    text = content.decode("utf-8", errors="replace")
    try:
        lines = split_lines(text, path)
        tokens = preprocess(lines, macros, report)
        end = tokens[-1].place if tokens else Place(path, 1, 1)
        code = pair_brackets(tokens, report, end)
        span = Span(code, 0, len(tokens))
        read_declarations(span, declarations, report, is_strict=not is_library)
    except UnterminatedError as error:
        report.error(error.place, error.what)
    except FaultyFileError:
        pass
    if is_library:
        report.soften(path)
    return tokens


def _is_library(path: str) -> bool:
    return PurePosixPath(path).parts[0] == LIBRARIES


def _cloud_calls(tokens: list[Token]) -> list[Token]:
    """`Particle.publish` and its kin, wherever they stand."""
    return [
        token
        for of, dot, token in zip(tokens, tokens[1:], tokens[2:], strict=False)
        if of.text in CLOUD and dot.is_mark(".") and token.text in CLOUD_CALLS
    ]


def _has_main(files: Mapping[str, bytes], declarations: Declarations, report: Report) -> bool:
    """Whether there is something to run."""
    missing = [name for name in ("setup", "loop") if name not in declarations.functions]
    main = [path for path in sorted(files) if PurePosixPath(path).suffix.lower() in SOURCES]
    own = [path for path in main if PurePosixPath(path).parts[0] != LIBRARIES]
    place = Place((own or main or ["application"])[0], 1, 1)
    if not main:
        report.error(place, "there is no source: a project has a file .ino or .cpp")
        return False
    if len(missing) == 2:
        report.error(place, "undefined reference to 'setup()' and 'loop()': no source defines them")
        return False
    for name in missing:
        # Device OS has empty ones for who defines none (its wiring/src/user.cpp).
        report.warn(place, f"no source defines void {name}()")
    return True
