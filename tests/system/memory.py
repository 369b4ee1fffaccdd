"""What a process has in memory."""

import psutil

MEBIBYTE = 1024 * 1024


def resident_mib(pid: int) -> float:
    """Resident memory of one process, MiB."""
    resident: int = psutil.Process(pid).memory_info().rss
    return resident / MEBIBYTE
