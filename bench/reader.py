"""A person's event stream, read as cheaply as can be and looked at afterwards."""

import bisect
import re
import socket
import time

from bench.machine import BenchError

PATH = "/v1/devices/events"
_CHUNK_BYTES = 256 * 1024
_INDEX = re.compile(rb'"data":"(\d{16})"')
_FRAME_END = b"\n\n"


class Reader:
    """One SSE reader of all events of the owner. `frames` counts what has come."""

    def __init__(self, port: int, access_token: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._socket.sendall(
            f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {access_token}\r\n\r\n".encode()
        )
        opening = b""
        while b":ok\n\n" not in opening:
            chunk = self._socket.recv(_CHUNK_BYTES)
            if not chunk:
                raise BenchError(f"No stream: {opening!r}")
            opening += chunk
        self._socket.setblocking(False)
        self.clear()

    def fileno(self) -> int:
        return self._socket.fileno()

    def clear(self) -> None:
        """Forget what has come so far."""
        self.frames = 0
        self._content = bytearray()
        self._arrivals: list[tuple[int, float]] = []

    def on_readable(self) -> None:
        try:
            chunk = self._socket.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return
        if not chunk:
            raise BenchError("The server ended the stream.")
        before = max(len(self._content) - 1, 0)
        self._content += chunk
        self._arrivals.append((len(self._content), time.perf_counter()))
        self.frames += self._content.count(_FRAME_END, before)

    def arrivals(self) -> dict[int, float]:
        """When each event was here as a whole (perf_counter), by the number that is its data."""
        ends = [end for end, _ in self._arrivals]
        found: dict[int, float] = {}
        for match in _INDEX.finditer(self._content):
            index = int(match[1])
            if index in found:
                raise BenchError(f"The reader got event {index} twice.")
            # The frame's blank line follows in the same write; one look-up more would show it.
            found[index] = self._arrivals[bisect.bisect_left(ends, match.end())][1]
        return found

    def close(self) -> None:
        self._socket.close()
