"""The window of chunks that a device receives, and when it acknowledges them
(device-protocol.md §5.2.2)."""

from typing import Final

from cyan.wire.messages.updates import UpdateStart, UpdateStatistics

WINDOW_BYTES: Final = 128 * 1024
ACK_EVERY: Final = 2
ACK_DELAY_S: Final = 0.2


class Receiving:
    """A file on its way. `cumulative` chunks have arrived without a gap; bit i of `beyond` is set
    where the chunk i + 1 behind these has."""

    __slots__ = (
        "beyond",
        "chunk_size",
        "count",
        "cumulative",
        "duplicates",
        "file_size",
        "had_gaps",
        "heard_at",
        "is_babbling",
        "offset",
        "out_of_order",
        "received",
        "sent_acks",
        "start",
        "unacknowledged",
    )

    def __init__(self, start: UpdateStart, offset: int, now: float) -> None:
        self.file_size = start.file_size
        self.chunk_size = start.chunk_size
        self.start = offset
        self.offset = offset
        self.count = -(-(start.file_size - offset) // start.chunk_size)
        self.cumulative = self.beyond = self.unacknowledged = 0
        self.received = self.duplicates = self.out_of_order = self.sent_acks = 0
        self.had_gaps = False
        self.heard_at = now
        self.is_babbling = False

    @property
    def window(self) -> int:
        return WINDOW_BYTES // self.chunk_size

    @property
    def done(self) -> float:
        """The share of the file that is there."""
        return self.offset / self.file_size

    def expected_size(self, index: int) -> int:
        """Bytes of that chunk; 0 where there is none."""
        if not 1 <= index <= self.count:
            return 0
        return min(self.chunk_size, self.file_size - self.start - (index - 1) * self.chunk_size)

    def take(self, index: int) -> int | None:
        """Notes a chunk; returns where in the file it belongs, None when it is not wanted."""
        ahead = index - self.cumulative - 1
        if ahead >= self.window:
            return None
        if ahead < 0 or self.beyond >> ahead & 1:
            self.duplicates += 1
            return None
        position = self.start + (index - 1) * self.chunk_size
        self.beyond |= 1 << ahead
        if ahead == 0:
            whole = (~self.beyond & (self.beyond + 1)).bit_length() - 1
            self.beyond >>= whole
            self.cumulative += whole
            self.offset = min(self.offset + whole * self.chunk_size, self.file_size)
        elif not self.beyond >> ahead - 1 & 1:
            self.out_of_order += 1
        return position

    def wants_ack(self, *, is_unwanted: bool, now: float) -> bool:
        """Whether it is time to acknowledge, with the chunk that has just come."""
        has_gaps = self.beyond != 0
        self.unacknowledged += 1
        wants = (
            is_unwanted
            or has_gaps
            or self.had_gaps
            or self.cumulative == self.count
            or self.unacknowledged >= ACK_EVERY
            or now - self.heard_at >= ACK_DELAY_S
        )
        self.had_gaps = has_gaps
        self.heard_at = now
        return wants

    def statistics(self) -> UpdateStatistics:
        return UpdateStatistics(self.received, self.duplicates, self.out_of_order, self.sent_acks)
