"""Uploaded files as sources: names cleaned, counts and sizes bounded."""

import re
from collections.abc import Iterable
from typing import Final

from cyan.firmware.compiling.model import InvalidSourcesError

MAX_FILES: Final = 200
MAX_FILE_BYTES: Final = 10 * 1024 * 1024
"""The CLI leaves larger ones out (rest-api-core.md §13.1)."""
MAX_TOTAL_BYTES: Final = 16 * 1024 * 1024
"""Of one project; ours. A large one with its libraries has 3 MB."""
MAX_PATH_BYTES: Final = 250
MAX_DEPTH: Final = 12

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ABSOLUTE: Final = re.compile(r"(?:[A-Za-z]:)?/")
_BINARIES: Final = (".bin", ".zip")


def clean_sources(files: Iterable[tuple[str, bytes]]) -> dict[str, bytes]:
    """Files by their cleaned paths in the project. Raises InvalidSourcesError."""
    sources: dict[str, bytes] = {}
    seen: set[str] = set()
    total = 0
    for name, content in files:
        path = clean_path(name)
        total += len(content)
        if len(sources) == MAX_FILES:
            raise InvalidSourcesError(f"A project has at most {MAX_FILES} files.")
        if len(content) > MAX_FILE_BYTES or total > MAX_TOTAL_BYTES:
            raise InvalidSourcesError(
                f"A file has at most {MAX_FILE_BYTES} bytes, a project {MAX_TOTAL_BYTES}."
            )
        if path.lower().endswith(_BINARIES):
            raise InvalidSourcesError(f"{path} is compiled already; send sources.")
        if path.casefold() in seen:
            raise InvalidSourcesError(f"There are two files named {path}.")
        seen.add(path.casefold())
        sources[path] = content
    if not sources:
        raise InvalidSourcesError("Send sources as files of a form: .ino, .cpp, .c and .h.")
    _check_folders(sources)
    return sources


def clean_path(name: str) -> str:
    """A path inside of a project. Raises InvalidSourcesError.

    Of an absolute path, which tells of the sender's computer, the last segment stays. Leading `..`
    are dropped: they lead to what particle.include brought in beside the project.
    """
    text = name.replace("\\", "/")
    if _CONTROL.search(text) or not text.isprintable():
        raise InvalidSourcesError("The name of a file has characters that cannot be shown.")
    if _ABSOLUTE.match(text):
        text = text.rpartition("/")[2]
    segments = [segment for segment in text.split("/") if segment not in ("", ".")]
    while segments and segments[0] == "..":
        segments.pop(0)
    path = "/".join(segments)
    if not segments:
        raise InvalidSourcesError("A file has no name.")
    if ".." in segments or any(segment.startswith("-") for segment in segments):
        raise InvalidSourcesError(
            f"{path[:80]} is no path in a project: it has .. in it, or a name that begins with -."
        )
    if len(path.encode(errors="replace")) > MAX_PATH_BYTES or len(segments) > MAX_DEPTH:
        raise InvalidSourcesError(
            f"{path[:80]} is longer than {MAX_PATH_BYTES} bytes or {MAX_DEPTH} folders."
        )
    return path


def _check_folders(sources: dict[str, bytes]) -> None:
    for path in sources:
        folder = path.rpartition("/")[0]
        while folder:
            if folder in sources:
                raise InvalidSourcesError(f"{folder} is a file and a folder.")
            folder = folder.rpartition("/")[0]
