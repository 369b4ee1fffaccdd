"""Which chunk is sent when: a sliding window with congestion control, in the current protocol.

Chunks count from 1. The device acknowledges all up to one, and single ones beyond it. A chunk is
lost when one that was sent three later has arrived (RFC 9002 §6.1.1); the window grows as in RFC
5681 and shrinks as in RFC 9438. When nothing is heard for a while the first chunks that are open
are sent once more, since a device answers a chunk that it has with all that it has
(device-protocol.md §5.2.2).
"""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

from cyan.wire.messages import UpdateAck

INITIAL_CHUNKS: Final = 10
"""RFC 6928."""

MIN_CHUNKS: Final = 8
"""However many are lost: 4 kB under way are less than any of these radios holds in its queues, and
a radio that loses a tenth by itself would else keep the window shut."""

REORDERED: Final = 3
"""RFC 9002 §6.1.1, kPacketThreshold."""

SHRINK: Final = 0.7
"""RFC 9438 §4.6, beta of CUBIC."""

QUEUE_S: Final = 0.02
"""By how much more than twice its shortest time the way there and back may take before the window
grows no more: what radios vary by without any queue."""

DOUBLING_QUEUE_S: Final = 0.01
"""The same, beside a quarter more, before it doubles no more (RFC 9406 §4.3: an eighth, of at least
4 ms and at most 16): a hundred windows that double together fill any queue in no time."""

FIRST_WAIT_S: Final = 2.0
MIN_WAIT_S: Final = 0.6
"""A device puts its acknowledgement off for 200 ms, and writes to its flash meanwhile."""
MAX_WAIT_S: Final = 3.0
"""A few chunks in so long do no network any harm, and on a bad radio most of them are lost."""

DOUBT_S: Final = 0.1
"""From the first acknowledgement after a silence until what was under way before it counts as lost,
if none of that is acknowledged: answers that were only late come one after the other."""

PROBES: Final = 3
"""Chunks that are sent again after a silence: of one alone, or of its answer, a radio that loses
three in ten loses half."""


class Window:
    """`count` chunks, of which `limit` may lie beyond the last one acknowledged."""

    __slots__ = (
        "_again", "_decide_s", "_last_rtt_s", "_limit", "_order", "_probe_order", "_probes",
        "_probes_in_row", "_quiet_since_s", "_received", "_recovered", "_rtt_least_s", "_rtt_s",
        "_rtt_swing_s", "_sent", "_size", "_timed", "_timed_s", "_top_size", "_wait_s", "arrived",
        "count", "next", "progress_s", "resent",
    )  # fmt: skip

    def __init__(self, count: int, limit: int, now_s: float) -> None:
        self.count = count
        self.arrived = 0
        """Chunks 1 to this one have arrived."""
        self.next = 1
        """The first chunk that was never sent."""
        self.resent = 0
        self.progress_s = now_s
        """When a new chunk arrived last."""
        self._limit = limit
        # Chunks under way, with the number of their sending, which is the dictionary's order too.
        self._sent: dict[int, int] = {}
        self._order = 0
        self._again: deque[int] = deque()
        # Bit i: chunk arrived + 1 + i is there.
        self._received = 0
        self._size = float(min(INITIAL_CHUNKS, limit))
        self._top_size = float(limit)
        # Losses of what was sent up to here have shrunk the window already.
        self._recovered = 0
        self._quiet_since_s = now_s
        self._wait_s = FIRST_WAIT_S
        self._probes_in_row = 0
        self._probes = 0
        self._probe_order = 0
        self._decide_s = 0.0
        self._timed = 0
        self._timed_s = 0.0
        self._last_rtt_s = self._rtt_s = self._rtt_swing_s = 0.0
        self._rtt_least_s = FIRST_WAIT_S

    @property
    def is_complete(self) -> bool:
        return self.arrived >= self.count

    @property
    def size(self) -> float:
        """Chunks that may be under way."""
        return self._size

    def take(self, room: int, now_s: float) -> Sequence[int]:
        """The chunks to send now, at most `room`; none while the window is full. Hot path."""
        sent = self._sent
        # Without min and max, which cost as much as all the rest.
        allowed = int(self._size) - len(sent)
        if allowed < self._probes:
            allowed = self._probes
        if allowed < room:
            room = allowed
        if room <= 0:
            return ()
        self._probes = 0
        if not sent:
            self._quiet_since_s = now_s
        order = self._order
        taken: list[int] = []
        if self._again:
            while len(taken) < room and (chunk := self._next_again()):
                order += 1
                sent[chunk] = order
                taken.append(chunk)
                if chunk == self._timed:
                    # Nobody could tell which of the two was acknowledged (RFC 6298 §3).
                    self._timed = 0
            self.resent += len(taken)
        first = self.next
        end = first + room - len(taken)
        if end > self.count:
            end = self.count + 1
        if end > self.arrived + self._limit:
            end = self.arrived + self._limit + 1
        if end > first:
            self.next = end
            if not self._timed:
                self._timed, self._timed_s = first, now_s
            for chunk in range(first, end):
                order += 1
                sent[chunk] = order
                taken.append(chunk)
        self._order = order
        return taken

    def _next_again(self) -> int:
        """A lost chunk that has not arrived after all, 0 if there is none."""
        again = self._again
        while again:
            chunk = again.popleft()
            if chunk > self.arrived and not self._received >> (chunk - self.arrived - 1) & 1:
                return chunk
        return 0

    def on_ack(self, ack: UpdateAck, now_s: float) -> bool:
        """Takes what the device has; False when it cannot be true, and is ignored. Hot path."""
        arrived = ack.index
        if arrived >= self.next:
            return False
        if arrived < self.arrived:
            return True  # overtaken by a newer one
        sent = self._sent
        newest = count = 0
        # Whether a chunk that was sent again after a silence arrived by its first copy or by the
        # second nobody can tell, and only the second means that what was sent between is lost.
        top = self._probe_order if self._probes_in_row else self._order
        if arrived > self.arrived:
            for chunk in range(self.arrived + 1, arrived + 1):
                order = sent.pop(chunk, 0)
                if order:
                    count += 1
                    if newest < order <= top:
                        newest = order
            self._received >>= arrived - self.arrived
            self.arrived = arrived
            self.progress_s = now_s
        # A chunk that was never sent cannot be there.
        new = ack.bitmap & ((1 << (self.next - 1 - arrived)) - 1) & ~self._received
        if new:
            self._received |= new
            self.progress_s = now_s
            while new:
                lowest = new & -new
                new ^= lowest
                chunk = arrived + lowest.bit_length()
                order = sent.pop(chunk, 0)
                if order:
                    count += 1
                    if newest < order <= top:
                        newest = order
        if count:
            self._quiet_since_s = now_s
            timed = self._timed
            if timed and (timed <= arrived or self._received >> (timed - arrived - 1) & 1):
                self._timed = 0
                self._measure(now_s - self._timed_s)
            self._adapt(count, newest)
            if self._probes_in_row:
                if newest:
                    # What was sent before the silence has arrived: only the answers were late.
                    self._end_silence()
                elif not self._decide_s:
                    self._decide_s = now_s + DOUBT_S
        return True

    def _adapt(self, count: int, newest: int) -> None:
        lost = []
        newest_lost = newest - REORDERED
        for chunk, order in self._sent.items():
            if order > newest_lost:
                break
            lost.append(chunk)
        last_lost = 0
        for chunk in lost:
            last_lost = self._sent.pop(chunk)
            self._again.append(chunk)
        if last_lost > self._recovered:
            self._shrink(self._size * SHRINK)
        elif newest > self._recovered and self._size < self._limit:
            self._grow(count)

    def _grow(self, count: int) -> None:
        """Unless chunks wait somewhere on their way: more of them would only wait longer, or be
        lost there."""
        least_s, last_s = self._rtt_least_s, self._last_rtt_s
        if self._size >= self._top_size:
            if last_s <= 2 * least_s + QUEUE_S:
                self._size += count / self._size
        elif last_s <= 1.25 * least_s + DOUBLING_QUEUE_S:
            self._size = min(self._size + count, self._limit)
        else:
            # It has doubled since the chunk was sent that tells.
            self._size = self._top_size = max(self._size / 2, MIN_CHUNKS)

    def _shrink(self, size: float) -> None:
        # A device may allow less than what is least here.
        self._size = self._top_size = min(max(size, MIN_CHUNKS), self._limit)
        self._recovered = self._order

    def _measure(self, took_s: float) -> None:
        """The way there and back (RFC 6298 §2), by one chunk at a time."""
        self._last_rtt_s = took_s
        self._rtt_least_s = min(self._rtt_least_s, took_s)
        if self._rtt_s:
            swing_s = abs(self._rtt_s - took_s)
            self._rtt_swing_s += (swing_s - self._rtt_swing_s) / 4
            self._rtt_s += (took_s - self._rtt_s) / 8
        else:
            self._rtt_s, self._rtt_swing_s = took_s, took_s / 2
        self._set_wait()

    def _set_wait(self) -> None:
        wait_s = self._rtt_s + 4 * self._rtt_swing_s if self._rtt_s else FIRST_WAIT_S
        self._wait_s = min(max(wait_s, MIN_WAIT_S), MAX_WAIT_S)

    def on_time(self, now_s: float) -> None:
        """After a silence the first open chunks may be sent again, whatever is under way."""
        sent = self._sent
        if self._decide_s and now_s >= self._decide_s:
            self._take_for_lost()
        if not sent or now_s < self._quiet_since_s + self._wait_s:
            return
        first = self.arrived + 1
        oldest = ([first] if first in sent else []) + list(islice(sent, PROBES))
        probes = list(dict.fromkeys(oldest))[:PROBES]
        for chunk in probes:
            del sent[chunk]
        self._again.extendleft(reversed(probes))
        self._probes = PROBES
        self._probes_in_row += 1
        if self._probes_in_row == 1:
            self._probe_order = self._order
        self._quiet_since_s = now_s
        self._wait_s = min(2 * self._wait_s, MAX_WAIT_S)
        self._timed = 0
        if self._size > MIN_CHUNKS:
            self._shrink(self._size / 2)

    def _take_for_lost(self) -> None:
        """Only what was sent again has arrived: the rest of what was under way before is lost."""
        sent = self._sent
        lost = [chunk for chunk, order in sent.items() if order <= self._probe_order]
        for chunk in lost:
            del sent[chunk]
        self._again.extend(lost)
        self._end_silence()

    def _end_silence(self) -> None:
        self._probes_in_row = 0
        self._decide_s = 0.0
        self._set_wait()
