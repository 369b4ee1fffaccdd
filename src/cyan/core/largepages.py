"""Large pages of memory for a large fleet.

The sessions of 100,000 devices lie in 450 MB, and a message touches some fifty places of one of
them. With pages of 4 KiB the processor has to look up nearly each of these places in tables that
are far away themselves; with pages of 2 MiB it knows them all. Python does not ask the system for
such pages, so this does, now and then: 6 % of the CPU of a message at 100,000 sessions, for 0.1 s
of a thread and at most a few per cent of memory.
"""

import asyncio
import ctypes
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import structlog

LARGE_BYTES: Final = 2 << 20
"""Of x86-64, and of 64-bit ARM with its usual small pages."""

ENOUGH_BYTES: Final = 128 << 20
"""A process with less than this has nothing to gain."""

EVERY_S: Final = 30.0

_MAPS: Final = Path("/proc/self/maps")
_POLICY: Final = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_COLLAPSE: Final = 25
"""MADV_COLLAPSE, since Linux 6.1: now, and whatever the policy is for those who do not ask."""

_log = structlog.get_logger(__name__)


async def run() -> None:
    """Look after the process's memory, until it turns out that the system does not do this."""
    if not _is_allowed():
        return
    while True:
        await asyncio.sleep(EVERY_S)
        blocks = list(whole_blocks(_MAPS.read_text()))
        if len(blocks) * LARGE_BYTES < ENOUGH_BYTES:
            continue
        made = await asyncio.to_thread(gather, blocks)
        if made is None:
            _log.info("memory.no_large_pages")
            return


def whole_blocks(maps: str) -> Iterator[int]:
    """The addresses of all blocks of LARGE_BYTES that lie wholly in the process's own writable
    memory, from the text of `/proc/self/maps` (proc(5))."""
    for line in maps.splitlines():
        addresses, access, _offset, _device, inode, *name = line.split(maxsplit=5)
        if access != "rw-p" or inode != "0" or (name and name[0] != "[heap]"):
            continue
        start, end = (int(address, 16) for address in addresses.split("-"))
        yield from range(-(-start // LARGE_BYTES) * LARGE_BYTES, end - LARGE_BYTES + 1, LARGE_BYTES)


def gather(blocks: list[int]) -> int | None:
    """Make each block one page; how many are one now, None when the system cannot do it at all.

    What lies in them stays as it is. A block of which hardly anything is in use is left alone by
    the kernel, as is one that is gone meanwhile.
    """
    madvise = ctypes.CDLL(None, use_errno=True).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    made = refused = 0
    for address in blocks:
        if madvise(address, LARGE_BYTES, _COLLAPSE) == 0:
            made += 1
        elif ctypes.get_errno() == errno.EINVAL:
            refused += 1
    return None if refused and not made else made


def _is_allowed() -> bool:
    """Whether this is a Linux whose operator has not forbidden large pages."""
    try:
        return os.access(_MAPS, os.R_OK) and "[never]" not in _POLICY.read_text()
    except OSError:
        return False
