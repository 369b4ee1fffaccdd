"""Sending a volley: as fast as the server answers, or at a steady rate."""

import select
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench.machine import BenchError
from bench.volley import Counter, Volley

WINDOW = 512
"""Datagrams that wait for their answer at most: two or three commits' worth, and far from what the
receive buffers hold."""

STEP_S = 0.001
"""At a steady rate, what is due leaves this often."""

SILENCE_S = 3.0
"""Without any answer for this long, something was lost and the figure would mean nothing."""

Others = Mapping[int, Callable[[], None]]
"""What else to read meanwhile, by file number."""


@dataclass(slots=True)
class Stretch:
    """Datagrams `first` to `first + count` of a volley, which left at `at_s` (perf_counter)."""

    first: int
    count: int
    at_s: float


@dataclass(slots=True)
class Load:
    """Sends volleys through one socket; a server finds its sessions by connection id."""

    udp: socket.socket
    others: Others = field(default_factory=dict)
    _counter: Counter = field(default_factory=Counter)

    def as_fast_as_answered(
        self, volley: Volley, is_done: Callable[[], bool] = lambda: True
    ) -> None:
        """Send all, never more than WINDOW ahead of the answers; return when all are answered and
        `is_done`. Raises BenchError when the server falls silent."""
        sent = answered = 0
        poll = self._poll()
        heard_s = time.monotonic()
        while answered < volley.count or not is_done():
            room = min(WINDOW - (sent - answered), volley.count - sent)
            if room > 0:
                sent += volley.send(self.udp, sent, room)
            if self._wait(poll, 0.1):
                heard_s = time.monotonic()
                answered += self._counter.receive(self.udp)
            elif time.monotonic() - heard_s > SILENCE_S:
                raise BenchError(f"The server answered {answered} of {sent} and fell silent.")

    def at_rate(
        self, volley: Volley, rate: float, is_done: Callable[[], bool] = lambda: True
    ) -> list[Stretch]:
        """Send `rate` datagrams a second, whatever is answered; when each left."""
        stretches: list[Stretch] = []
        sent = answered = 0
        poll = self._poll()
        began_s = heard_s = time.perf_counter()
        while answered < volley.count or not is_done():
            now_s = time.perf_counter()
            due = min(int((now_s - began_s) * rate), volley.count) - sent
            if due > 0:
                stretches.append(Stretch(sent, due, now_s))
                sent += volley.send(self.udp, sent, due)
            if self._wait(poll, STEP_S):
                heard_s = time.perf_counter()
                answered += self._counter.receive(self.udp)
            elif now_s - heard_s > SILENCE_S:
                raise BenchError(f"The server answered {answered} of {sent} and fell silent.")
        return stretches

    def _poll(self) -> select.poll:
        poll = select.poll()
        for file in (self.udp.fileno(), *self.others):
            poll.register(file, select.POLLIN)
        return poll

    def _wait(self, poll: select.poll, timeout_s: float) -> bool:
        """Serve the others; whether there was anything to read."""
        ready = poll.poll(timeout_s * 1000)
        for file, _ in ready:
            if file != self.udp.fileno():
                self.others[file]()
        return bool(ready)
