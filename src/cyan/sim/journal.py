"""What was acknowledged, written down so that it can be compared with the server's log.

FILE has a line `device_id event_name data` for each acknowledged event; FILE.sent has the same line
for each event when it is sent for the first time; FILE.faults, which is there once something has
happened, a line `device_id kind at_s for_s` for each fault: when it began after the device's start,
and for how long. Data that would not be a line of UTF-8 stand there as `0x` and hex digits. The
lines are in the files before the simulator goes on to wait, so they outlive it when it is killed.
"""

import re
from io import FileIO
from pathlib import Path
from typing import Final

from cyan.sim.facts import FaultHappened

_BREAKS: Final = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
"""What `str.splitlines` takes for the end of a line."""


class Journal:
    """Appends to the files. `flush` hands what was recorded to the operating system."""

    def __init__(self, path: Path) -> None:
        self._acknowledged = _Lines(path)
        self._sent = _Lines(path.with_name(path.name + ".sent"))
        self._faults: _Lines | None = None
        self._faults_path = path.with_name(path.name + ".faults")

    def record_sent(self, device_id: str, name: str, data: bytes) -> None:
        """An event is about to leave for the first time."""
        self._sent.append(device_id, name, _as_line(data))

    def record_acknowledged(self, device_id: str, name: str, data: bytes) -> None:
        """The server has acknowledged an event with success."""
        self._acknowledged.append(device_id, name, _as_line(data))

    def record_fault(self, device_id: str, fault: FaultHappened) -> None:
        """Something has happened to a device."""
        if self._faults is None:
            self._faults = _Lines(self._faults_path)
        times = f"{fault.at_s:.6f} {fault.for_s:.6f}"
        self._faults.append(device_id, fault.kind, times.encode())

    def flush(self) -> None:
        """One write for each file that has new lines."""
        for lines in (self._sent, self._acknowledged, self._faults):
            if lines is not None:
                lines.flush()

    def close(self) -> None:
        """Flushes and closes."""
        self.flush()
        for lines in (self._sent, self._acknowledged, self._faults):
            if lines is not None:
                lines.close()


def _as_line(data: bytes) -> bytes:
    try:
        is_line = not _BREAKS.search(data.decode())
    except UnicodeDecodeError:
        is_line = False
    return data if is_line else b"0x" + data.hex().encode()


class _Lines:
    def __init__(self, path: Path) -> None:
        self._file = FileIO(path, "a")
        self._waiting: list[bytes] = []

    def append(self, device_id: str, name: str, data: bytes) -> None:
        self._waiting.append(f"{device_id} {name} ".encode() + data + b"\n")

    def flush(self) -> None:
        if not self._waiting:
            return
        remaining = memoryview(b"".join(self._waiting))
        self._waiting.clear()
        while remaining:
            remaining = remaining[self._file.write(remaining) or 0 :]

    def close(self) -> None:
        self._file.close()
