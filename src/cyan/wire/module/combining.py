"""Several modules in one file, one after the other (device-protocol.md section 5.4): each but the
last says with its flag COMBINED that another follows."""

from collections.abc import Sequence
from typing import Final

from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.module.prefix import read_prefix
from cyan.wire.module.reading import parse_module, read_rest
from cyan.wire.module.values import COMBINED, MAX_MODULE_BYTES, Module, seal

MAX_COMBINED: Final = 8
"""Modules in one file; ours. Devices take the first two and no more."""

_FLAGS: Final = 9


def split_modules(data: bytes | memoryview) -> tuple[Module, ...]:
    """Every module of a file, in order: one, or those of a combined file. Raises MalformedError."""
    rest = memoryview(data)
    if len(rest) > MAX_MODULE_BYTES:
        raise MalformedError(
            f"module size: {len(rest)} bytes, and at most {MAX_MODULE_BYTES} are taken"
        )
    found: list[Module] = []
    while True:
        prefix = read_prefix(rest)
        size = prefix.module_bytes
        found.append(read_rest(rest[:size], prefix))
        rest = rest[size:]
        if not found[-1].is_combined:
            return tuple(found)
        if not rest:
            raise MalformedError(
                "module flags: COMBINED says that another module follows, and the file ends"
            )
        if len(found) == MAX_COMBINED:
            raise MalformedError(f"module flags: more than {MAX_COMBINED} modules in one file")


def combine_modules(modules: Sequence[bytes | memoryview]) -> bytes:
    """One file of them, always the same for the same ones, checksums anew.

    Raises MalformedError when one is none, MisuseError when they are none, too many, or combined
    already.
    """
    if not 1 <= len(modules) <= MAX_COMBINED:
        raise MisuseError(f"Combine 1 to {MAX_COMBINED} modules, not {len(modules)}.")
    made = []
    for number, data in enumerate(modules, 1):
        module = parse_module(data)
        if module.is_combined:
            raise MisuseError("A module of a combined file is combined already.")
        content = bytes(module.data)
        if number < len(modules):
            changed = bytearray(content)
            changed[module.prefix_offset + _FLAGS] |= COMBINED
            content = seal(changed)
        made.append(content)
    return b"".join(made)
