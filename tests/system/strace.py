"""Reading what `strace -f -ttt -T -y -x` wrote: which system call began and ended when, and the
bytes that it moved."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BEGINNING: Final = re.compile(r"(?P<thread>\d+) +(?P<at>\d+\.\d+) (?P<name>\w+)\((?P<rest>.*)")
_RESUMED: Final = re.compile(r"(?P<thread>\d+) +\d+\.\d+ <\.\.\. \w+ resumed>(?P<rest>.*)")
_UNFINISHED: Final = " <unfinished ...>"
_ENDING: Final = re.compile(r"\) += (?P<result>-?\d+).* <(?P<seconds>\d+\.\d+)>$")
_FILE: Final = re.compile(r"\d+<(?P<file>[^>]*)>")
_BYTES: Final = re.compile(r'"((?:\\x[0-9a-f]{2})+)"')


@dataclass(frozen=True, slots=True)
class SystemCall:
    """`arguments` as strace shows them; `file` is what the first of them, a descriptor, stands for;
    stamps in microseconds."""

    name: str
    file: str
    arguments: str
    result: int
    began_us: int
    ended_us: int

    def moved(self) -> list[bytes]:
        """What it read or wrote, piece by piece, datagram by datagram: everything with a byte that
        is not printable, which -x shows as numbers."""
        found = _BYTES.findall(self.arguments)
        return [bytes.fromhex(piece.replace("\\x", "")) for piece in found]


def read_trace(path: Path) -> list[SystemCall]:
    """The calls that came to their end, by when they began."""
    calls: list[SystemCall] = []
    begun: dict[str, tuple[re.Match[str], str]] = {}
    for line in path.read_text(errors="replace").splitlines():
        if beginning := _BEGINNING.match(line):
            rest = beginning["rest"]
            if rest.endswith(_UNFINISHED):
                begun[beginning["thread"]] = beginning, rest.removesuffix(_UNFINISHED)
                continue
        elif resumed := _RESUMED.match(line):
            beginning, start = begun.pop(resumed["thread"])
            rest = start + resumed["rest"]
        else:
            continue
        if ending := _ENDING.search(rest):
            file = _FILE.match(rest)
            began_us = _microseconds(beginning["at"])
            calls.append(
                SystemCall(
                    name=beginning["name"],
                    file=file["file"] if file else "",
                    arguments=rest[: ending.start()],
                    result=int(ending["result"]),
                    began_us=began_us,
                    ended_us=began_us + _microseconds(ending["seconds"]),
                )
            )
    return sorted(calls, key=lambda call: call.began_us)


def _microseconds(seconds: str) -> int:
    whole, fraction = seconds.split(".")
    return int(whole) * 1_000_000 + int(fraction.ljust(6, "0")[:6])
