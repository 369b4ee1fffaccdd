"""Large pages: which memory is asked for, and that it is as it was afterwards."""

import ctypes
import mmap
import re
from pathlib import Path

import pytest

from cyan.core.largepages import LARGE_BYTES, gather, whole_blocks

MAPS = """\
55e0a0000000-55e0a0100000 r--p 00000000 fe:01 1234 /usr/bin/python3
55e0a1000000-55e0a1500000 rw-p 00000000 00:00 0 [heap]
7f0000001000-7f0000a01000 rw-p 00000000 00:00 0
7f0001000000-7f0001400000 rw-s 00000000 00:01 99 /dev/zero (deleted)
7f0002000000-7f0002400000 rw-p 00000000 fe:01 77 /srv/cyan/file
7f0003000000-7f0003400000 ---p 00000000 00:00 0
7f0004000000-7f00041fffff rw-p 00000000 00:00 0
7ffd00000000-7ffd00800000 rw-p 00000000 00:00 0 [stack]
"""


def test_only_whole_blocks_of_memory_of_its_own_are_asked_for() -> None:
    assert [hex(block) for block in whole_blocks(MAPS)] == [
        "0x55e0a1000000",
        "0x55e0a1200000",
        *(hex(0x7F0000200000 + number * LARGE_BYTES) for number in range(4)),
    ]


def _large_bytes(address: int) -> int:
    """What of the mapping around this address is in large pages."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = int(found[1], 16) <= address < int(found[2], 16)
        elif inside and line.startswith("AnonHugePages:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(hex(address))


def test_memory_in_large_pages_is_what_it_was() -> None:
    size = 4 * LARGE_BYTES
    with mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory[:] = bytes(range(256)) * (size // 256)
        start = ctypes.addressof(view := ctypes.c_char.from_buffer(memory))
        block = -(-start // LARGE_BYTES) * LARGE_BYTES
        made = gather([block])
        if made is None:
            pytest.skip("this kernel cannot do it")
        assert made == 1
        assert _large_bytes(block) >= LARGE_BYTES
        assert memory[:] == bytes(range(256)) * (size // 256)
        del view


def test_a_system_that_cannot_is_left_alone() -> None:
    assert gather([1]) is None  # where no page of any size begins
