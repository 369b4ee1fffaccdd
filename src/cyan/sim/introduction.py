"""What a device says of itself when it connects, and what of it the server knows already.

The order is that of device-protocol.md §3.12 or, before 6.2, of `Spark_Handshake` in Device OS at
the release of the generation. Section numbers are those of device-protocol.md.
"""

from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from cyan.sim.application import Application
from cyan.sim.behaviour import Takes
from cyan.sim.boards import Board
from cyan.sim.generations import Describing
from cyan.sim.platforms import OTA_CHUNK_BYTES, Transport
from cyan.sim.posting import Part, Posting
from cyan.sim.reliability import Detail, Purpose
from cyan.sim.session import Memory, Numbers, Synced, checksum
from cyan.sim.updater import Updater
from cyan.wire.messages import (
    APPLICATION,
    OTA_APPLIED,
    SYSTEM,
    Hello,
    Subscribe,
    encode_hello,
    encode_subscribe,
    encode_time_request,
)
from cyan.wire.messages.special import (
    CC3000_PATCH_VERSION,
    CLAIM_CODE,
    LAST_RESET,
    MAX_BINARY,
    OTA_CHUNK_SIZE,
    SAFE_MODE,
    UPDATES_ENABLED,
    UPDATES_FORCED,
)

_RADIO_PATCH: Final = "1.29"
_GEN_1: Final = 1
_FLAGS: Final = (b"false", b"true")


class Told(Protocol):
    """What the device has to tell once."""

    claim_code: str | None
    """At every full handshake until the server has confirmed it."""
    last_reset: str | None
    """Why it was reset; None once that is said."""
    is_in_safe_mode: bool
    updater: Updater
    """Whose flags are told."""


class Speaker(Protocol):
    """How a conversation sends messages."""

    def say(
        self, purpose: Purpose, encode: Callable[[int], bytes], now: float, detail: Detail = None
    ) -> None:
        """A confirmable one."""

    def tell(self, encode: Callable[[int], bytes]) -> None:
        """One that wants no acknowledgement."""

    def say_system_event(self, name: str, data: bytes, now: float) -> None:
        """An event of the firmware."""


class Introduction:
    """The introduction of one conversation. `memory` is brought up to date with what arrives."""

    def __init__(
        self,
        board: Board,
        hello: Hello,
        application: Application,
        memory: Memory,
        numbers: Numbers,
        told: Told,
        speaker: Speaker,
    ) -> None:
        self._board = board
        self._hello = hello
        self._generation = board.generation
        self._application = application
        self._memory = memory
        self._numbers = numbers
        self._told = told
        self._speaker = speaker
        self._posting = Posting(board.generation, numbers.next_token, self._say_part)
        self._refused_subscription = False

    @property
    def is_said(self) -> bool:
        """No describe waits for its turn."""
        return self._posting.is_done

    def is_known(self) -> bool:
        """Whether a resumed session needs no Hello (§4.2); if it does, all is said anew."""
        synced, current = self._memory.synced, self._current()
        if self._generation.describes_itself:
            # Whether to describe the application and to subscribe is decided later.
            synced, current = _without_application(synced), _without_application(current)
        if synced == current:
            return True
        self._memory.synced = Synced()
        return False

    def say_after_hello(self, now: float) -> None:
        """All that follows the answer to Hello."""
        generation = self._generation
        self._sync(hello=self._current().hello)
        if generation.describes_itself:
            self._posting.post(SYSTEM, self._application.system_describe, now)
        if self._told.claim_code is not None:
            self._speaker.say_system_event(CLAIM_CODE, self._told.claim_code.encode(), now)
        if not generation.asks_time_last:
            self._ask_time(now)
        self._say_ota_limits(now)
        self._say_safe_mode(now)
        self._say_last_reset(now)
        self._say_updates(now)
        if not generation.describes_itself:
            self._subscribe(now)
        if generation.asks_time_last:
            self._ask_time(now)
        if generation.describes_itself:
            self._say_application(now)

    def say_after_resumption(self, now: float) -> None:
        """What is said where Hello is left out."""
        if not self._generation.tells_update_flags:
            # Firmware of before that (1.2.1) says nothing at all.
            return
        self._say_safe_mode(now)
        if self._generation.tells_reset_on_resumption:
            self._say_last_reset(now)
        self._say_updates(now)
        if self._generation.describes_itself:
            self._say_application(now)

    def on_part_acknowledged(self, part: Part, now: float, *, is_success: bool) -> None:
        """A message of a describe has arrived; the next one may go."""
        # From 3.3 on any acknowledgement counts as success, an error too (§2.3).
        is_success = is_success or self._generation.describing is Describing.IN_BLOCKS
        if part.is_last and is_success:
            self.on_described(part.post.flags)
        self._posting.on_acknowledged(part, now)

    def on_described(self, flags: int) -> None:
        """The server knows these describes, as far as the device can tell."""
        current = self._current()
        if flags & SYSTEM:
            self._sync(system=current.system)
        if flags & APPLICATION:
            self._sync(application=current.application)

    def on_subscription_acknowledged(self, *, is_success: bool, is_last: bool) -> None:
        """One refusal, and the next connection says all of them again (§3.7)."""
        self._refused_subscription = self._refused_subscription or not is_success
        if is_last and not self._refused_subscription:
            self._sync(subscriptions=self._current().subscriptions)

    def _ask_time(self, now: float) -> None:
        token = self._numbers.next_token()
        self._speaker.say(Purpose.TIME, lambda id_: encode_time_request(id_, token), now)

    def _say_ota_limits(self, now: float) -> None:
        if not self._generation.tells_ota_limits:
            return
        platform = self._board.platform
        if platform.tells_max_binary:
            size = str(platform.max_binary_bytes).encode()
            self._speaker.say_system_event(MAX_BINARY, size, now)
        if self._board.transport is Transport.TCP:
            # On UDP only a size other than this one is told.
            self._speaker.say_system_event(OTA_CHUNK_SIZE, str(OTA_CHUNK_BYTES).encode(), now)
        if platform.gen == _GEN_1:
            self._speaker.say_system_event(CC3000_PATCH_VERSION, _RADIO_PATCH.encode(), now)

    def _say_safe_mode(self, now: float) -> None:
        if self._told.is_in_safe_mode:
            self._speaker.say_system_event(SAFE_MODE, b"", now)

    def _say_last_reset(self, now: float) -> None:
        if self._told.last_reset is not None:
            self._speaker.say_system_event(LAST_RESET, self._told.last_reset.encode(), now)
            self._told.last_reset = None

    def _say_updates(self, now: float) -> None:
        if self._generation.tells_update_flags:
            updater = self._told.updater
            self._speaker.say_system_event(UPDATES_ENABLED, _FLAGS[updater.is_enabled], now)
            self._speaker.say_system_event(UPDATES_FORCED, _FLAGS[updater.is_forced], now)

    def _say_application(self, now: float) -> None:
        synced, current = self._memory.synced, self._current()
        if synced.application != current.application:
            self._posting.post(APPLICATION, self._application.application_describe, now)
        if synced.subscriptions != current.subscriptions:
            self._subscribe(now)

    def _say_part(self, part: Part, encode: Callable[[int], bytes], now: float) -> None:
        self._speaker.say(Purpose.DESCRIBE, encode, now, part)

    def _subscribe(self, now: float) -> None:
        is_stream = self._board.transport is Transport.TCP
        for subscribe in self._subscriptions():
            if is_stream and not self._generation.confirms_subscriptions:
                self._speaker.tell(_encoder(subscribe, confirmable=False))
            else:
                self._speaker.say(Purpose.SUBSCRIPTION, _encoder(subscribe), now)
        if not self._generation.describes_itself:
            # Firmware of that time does not wait to hear that they have arrived.
            self._sync(subscriptions=self._current().subscriptions)

    def _subscriptions(self) -> list[Subscribe]:
        generation = self._generation
        mine, by_content = generation.subscribes_to_own, generation.subscribes_by_content
        return [Subscribe(prefix, mine) for prefix in generation.system_subscriptions] + [
            Subscribe(
                subscription.prefix,
                mine,
                binary=by_content and subscription.takes is Takes.ALL,
                cbor=by_content and subscription.takes is Takes.CBOR,
            )
            for subscription in self._application.subscriptions
        ]

    def _sync(self, **checksums: int | None) -> None:
        self._memory.synced = msgspec.structs.replace(self._memory.synced, **checksums)

    def _current(self) -> Synced:
        """What the server would have acknowledged if it knew all."""
        return Synced(
            hello=checksum(encode_hello(0, _lasting(self._hello))),
            system=checksum(self._application.system_describe),
            application=checksum(self._application.application_describe),
            subscriptions=checksum(b"".join(_encoder(it)(0) for it in self._subscriptions())),
        )


def _encoder(subscribe: Subscribe, *, confirmable: bool = True) -> Callable[[int], bytes]:
    return lambda message_id: encode_subscribe(message_id, subscribe, confirmable=confirmable)


def _lasting(hello: Hello) -> Hello:
    """Without what is told once: that it is told no more is no reason to say Hello again."""
    return msgspec.structs.replace(hello, flags=hello.flags & ~OTA_APPLIED)


def _without_application(synced: Synced) -> Synced:
    return msgspec.structs.replace(synced, application=None, subscriptions=None)
