"""What was acknowledged, written down so that it can be compared with the server's log.

Two files. FILE has a line `device_id event_name data` for each acknowledged event; FILE.sent has
the same line for each event when it is sent for the first time. The lines are in the files before
the simulator goes on to wait, so they outlive it when it is killed.
"""

from io import FileIO
from pathlib import Path


class Journal:
    """Appends to both files. `flush` hands what was recorded to the operating system."""

    def __init__(self, path: Path) -> None:
        self._acknowledged = _Lines(path)
        self._sent = _Lines(path.with_name(path.name + ".sent"))

    def record_sent(self, device_id: str, name: str, data: bytes) -> None:
        """An event is about to leave for the first time."""
        self._sent.append(device_id, name, data)

    def record_acknowledged(self, device_id: str, name: str, data: bytes) -> None:
        """The server has acknowledged an event with success."""
        self._acknowledged.append(device_id, name, data)

    def flush(self) -> None:
        """One write for each file that has new lines."""
        self._sent.flush()
        self._acknowledged.flush()

    def close(self) -> None:
        """Flushes and closes."""
        self.flush()
        self._sent.close()
        self._acknowledged.close()


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
