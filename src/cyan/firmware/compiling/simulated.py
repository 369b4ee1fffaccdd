"""The compiler for simulated devices: Wiring sources to the image of the simulated platform.

It runs as a program like any other compiler (`simulated_compiler` makes it), so that what hostile
sources cost is bounded and never the server's.
"""

import sys
import traceback
from pathlib import Path
from typing import Final

import cyan
from cyan.firmware.compiling.model import BuildTarget
from cyan.firmware.compiling.program import Limits, ProgramCompiler
from cyan.firmware.wiring.reader import read_project
from cyan.wire.describe.system import SYSTEM_PART, USER_PART, ModuleDependency
from cyan.wire.errors import MisuseError
from cyan.wire.module import PLATFORM_NAMES, encode_module
from cyan.wire.simulated import PLATFORM_ID, encode_image

LIMITS: Final = Limits(seconds=40, memory_bytes=1024 * 1024 * 1024)
"""The largest public application, with its libraries 1.6 MB, takes 3 s."""

START_ADDRESS: Final = 0x5EED_0000
"""No board has memory there: should an image ever get to a real one, that refuses it before it
would run (its check of the range, device-protocol.md §7.3)."""

ALL: Final = "all"
ONLY_GCC: Final = "gcc"

_VENDOR: Final = "Cyan simulator"
_MODULE_VERSION: Final = 6
"""As Device OS numbers applications (device-protocol.md §3.3.3)."""

_GEN_3: Final = frozenset({12, 13, 23, 25, 26})
_GEN_4: Final = frozenset({32, 35})
_GEN_2: Final = frozenset({6, 8, 10})
_SYSTEM_PARTS: Final = dict.fromkeys(_GEN_2, 2) | dict.fromkeys(_GEN_3 | _GEN_4, 1)
"""The last system part, on which an application depends (§3.3.3)."""

_RELEASES: Final[dict[str, tuple[int, frozenset[int]]]] = {
    "6.2.0": (6200, frozenset({PLATFORM_ID}) | _GEN_3 | _GEN_4),
    "5.4.1": (5410, _GEN_3 | _GEN_4),
    "4.2.0": (4200, _GEN_3),
    "3.3.1": (3302, _GEN_3),
    "3.0.0": (3005, _GEN_3),
    "2.3.1": (2302, _GEN_2 | _GEN_3),
    "1.5.2": (1512, _GEN_2 | frozenset({12, 13, 23})),
    "0.7.0": (207, _GEN_2 | frozenset({0})),
}
"""What simulated boards run: the number of the system's modules (device-protocol.md §7.1), and the
platforms."""


def simulated_compiler(which: str) -> ProgramCompiler:
    """The compiler for the platform `gcc` only, or for `all` that the simulator has."""
    targets = tuple(
        BuildTarget(version, tuple(sorted(chosen)), _VENDOR)
        for version, (_, platforms) in _RELEASES.items()
        if (chosen := platforms if which == ALL else platforms & {PLATFORM_ID})
    )
    # Without the environment Python would not know where this package is.
    start = "import sys; sys.path.insert(0, sys.argv.pop(1)); from cyan.firmware.compiling"
    start += " import simulated; sys.exit(simulated.main(sys.argv[1:]))"
    root = str(Path(cyan.__file__).parents[1])
    return ProgramCompiler([sys.executable, "-I", "-c", start, root], targets, LIMITS)


def main(arguments: list[str]) -> int:
    """The program: see `compiling/program.py` for its arguments."""
    folder, module = Path(arguments[0]), Path(arguments[1])
    platform_id, version = int(arguments[3]), arguments[4]
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    try:
        made, messages = compile_sources(files, platform_id, version)
    except MemoryError:
        print(
            "error: these sources are larger than the compiler for simulated devices can read",
            file=sys.stderr,
        )
        return 1
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        print(
            f"error: this source is more than the compiler for simulated devices can read"
            f" ({type(error).__name__} in {where.name}, line {where.lineno}). Please report it.",
            file=sys.stderr,
        )
        return 1
    print(*messages, sep="\n", file=sys.stderr)
    if made is None:
        return 1
    module.write_bytes(made)
    module.with_name(module.name + ".size").write_text(_sizes(made))
    return 0


def compile_sources(
    files: dict[str, bytes], platform_id: int, version: str
) -> tuple[bytes | None, tuple[str, ...]]:
    """The module, None when there are errors; and what is said of the sources.

    For the release `latest` the module depends on no Device OS: it runs on whatever there is.
    """
    known = {f"PLATFORM_{name.upper()}": number for number, name in PLATFORM_NAMES.items()}
    reading = read_project(files, {**known, "PLATFORM_ID": platform_id})
    image = reading.image
    if image is None:
        return None, reading.messages
    system, part = _RELEASES.get(version), _SYSTEM_PARTS.get(platform_id)
    needs = (
        () if system is None or part is None else (ModuleDependency(SYSTEM_PART, part, system[0]),)
    )
    product_id = reading.product_id
    if product_id is None and image.product_version is not None:
        # As Device OS from 4.0 has it (device-protocol.md §7.2).
        product_id = platform_id
    try:
        body = encode_image(image)
    except MisuseError as error:
        return None, (*reading.messages, f"error: {error}")
    made = encode_module(
        body,
        platform_id=platform_id,
        function=USER_PART,
        version=_MODULE_VERSION,
        start_address=START_ADDRESS,
        dependencies=needs,
        product_id=product_id,
        product_version=image.product_version,
    )
    return made, reading.messages


def _sizes(module: bytes) -> str:
    """What `size` would print of it: all is text."""
    size = len(module)
    return (
        "   text\t   data\t    bss\t    dec\t    hex\tfilename\n"
        f"{size:7}\t{0:7}\t{0:7}\t{size:7}\t{size:7x}\tfirmware.elf\n"
    )
