"""What a transfer asks for next, and what the two protocols have in common."""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, Protocol, TypeAlias

import msgspec

from cyan.core.ports import UpdateStage
from cyan.wire import coap
from cyan.wire.errors import MalformedError
from cyan.wire.messages import ChunkMissed, UpdateAck, decode_diagnostic

ANSWER_WITHIN_S: Final = 90.0
"""From our asking to the device's word that it is ready: four sends of the question take 60 to 90 s
(§2.2), to erase its memory takes a device some seconds (§5.2.1)."""

PROGRESS_WITHIN_S: Final = 60.0
"""Until a new chunk must have arrived: more than any firmware takes to write one, and the time in
which a message of ours that finds no answer is given up. The device itself waits 300 s (§5.2.2)."""

CHECKED_WITHIN_S: Final = 180.0
"""For the device to check the whole file: 5 s were seen for 370 kB (§5.2.3), and the largest files
have four times as much; and for four sends of the question and of the answer."""

SLOWEST_BYTES_PER_S: Final = 256
SLOWEST_S: Final = 600.0
"""However steadily it goes, a transfer ends after this time and the size at this rate: a tenth of
what the slowest of radios carries, NB-IoT on a bad day. A device that acknowledges one chunk a
minute would else keep its transfer for days."""

_MEANINGS: Final = {
    coap.BAD_REQUEST: "it found the question wrong",
    coap.REQUEST_ENTITY_TOO_LARGE: "it has no room for the file",
    coap.SERVICE_UNAVAILABLE: "it takes no update now",
}
"""Where a device gives no error of its own; firmware of the legacy protocol has none."""

INVALID_STATE: Final = -210
PROTOCOL: Final = -240
"""Device OS errors (§5.6): no update is running, or not all of it has come. Asking anew helps."""


class Why(Enum):
    """What kind of end it is, for whoever waits."""

    REFUSED = "refused"
    INTERRUPTED = "interrupted"
    TIMEOUT = "timeout"


class Ask(msgspec.Struct, frozen=True):
    """Send this confirmable request; `on_answer` or `on_unanswered` is called with the outcome."""

    build: Callable[[int, bytes], bytes]


class Finished(msgspec.Struct, frozen=True):
    """The device has confirmed the end of the file."""


class Failed(msgspec.Struct, frozen=True):
    """It came to nothing."""

    why: Why
    text: str
    code: int | None = None


Step: TypeAlias = Ask | Finished | Failed | None

FINISHED: Final = Finished()


class Transfer(Protocol):
    """One file on its way to one device. Times are monotonic seconds."""

    @property
    def stage(self) -> UpdateStage: ...

    @property
    def resent(self) -> int:
        """Chunks that were sent again."""
        ...

    @property
    def confirmed_bytes(self) -> int:
        """What the device has for certain. The fast mode of the legacy protocol tells nothing
        before its end: there it is what was sent."""
        ...

    def start(self, now_s: float) -> Step: ...

    def on_answer(self, message: coap.Message, now_s: float) -> Step:
        """The response to what was asked last."""
        ...

    def on_unanswered(self, how: str, now_s: float) -> Step:
        """What was asked last found no response: `timeout` or `reset`."""
        ...

    def on_ack(self, ack: UpdateAck, now_s: float) -> Step: ...

    def on_missed(self, missed: ChunkMissed, now_s: float) -> Step: ...

    def on_time(self, now_s: float) -> Step:
        """Called about ten times a second."""
        ...

    def take(self, room: int, now_s: float) -> Sequence[int]:
        """The chunks to send now, at most so many. Hot path."""
        ...

    def encode(self, chunks: Sequence[int], message_id: int) -> list[bytes]:
        """The messages with these chunks, the first with this id, the others with the ids after
        it. Hot path."""
        ...

    def on_taken(self, now_s: float) -> Step:
        """`take` has just given less than there was room for."""
        ...


def refusal(message: coap.Message, doing: str) -> Failed:
    """The end that a device's error response means."""
    code = None
    if message.payload:
        try:
            code = decode_diagnostic(message.payload).code
        except MalformedError:
            code = None
    if code in (INVALID_STATE, PROTOCOL) and doing != "asked":
        return Failed(Why.INTERRUPTED, f"The device has lost the update: error {code}.", code)
    said = f"error {code}"
    if code is None:
        said = coap.code_text(message.code)
        if message.code in _MEANINGS:
            said = f"{_MEANINGS[message.code]} ({said})"
    return Failed(Why.REFUSED, f"The device refused the update when {doing}: {said}.", code)


def longest_s(size_bytes: int) -> float:
    """How long a transfer of so many bytes may take."""
    return SLOWEST_S + size_bytes / SLOWEST_BYTES_PER_S
