"""The port FirmwareLink: files to connected devices, one at a time for each.

Chunks leave when a device acknowledges others, and at the turns of the timing wheel: there is no
task and no timer for a chunk, and no copy of the file for a device. With many devices each sends a
burst in turn, so that all share the way out.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from cyan.core.ids import DeviceId
from cyan.core.ports import (
    DeviceBusyError,
    DeviceOfflineError,
    DeviceRefusedError,
    DeviceTimeoutError,
    Image,
    UpdateCancelledError,
    UpdateInterruptedError,
    UpdateLimits,
    UpdateProgress,
    UpdateStage,
)
from cyan.gateway import metrics
from cyan.gateway.conversation.ota.choice import error_of, limits_of, make_transfer
from cyan.gateway.conversation.ota.current import CurrentTransfer, encode_cancel
from cyan.gateway.conversation.ota.legacy import LegacyTransfer
from cyan.gateway.conversation.ota.steps import Ask, Finished, Step, Transfer
from cyan.gateway.effects import Ask as AskDescribe
from cyan.gateway.link import Link
from cyan.gateway.pacing import Pacer
from cyan.gateway.wheel import TICK_S
from cyan.wire import coap
from cyan.wire.errors import MisuseError
from cyan.wire.exchange import BusyError
from cyan.wire.messages import SYSTEM, ChunkMissed, UpdateAck, decode_update_abort

BURST: Final = 32
"""Chunks of one device in one go: about half a millisecond of the loop, and half of what leaves in
one call of the system."""

PROGRESS_EVERY_S: Final = 0.5

PING_AFTER_S: Final = 20.0
"""Of silence: in the legacy protocol's fast mode a device says nothing, not even its own pings
(device-protocol.md §2.7), and would count as offline after a while."""

_log = structlog.get_logger(__name__)


class Place(Protocol):
    """Where live links are found, and the time; the gateway."""

    def online_link(self, device_id: DeviceId) -> Link | None: ...
    def now_s(self) -> float: ...
    def at(self, when_s: float, callback: Callable[[float], None]) -> None: ...


class _Running:
    """One transfer with what waits for it."""

    __slots__ = (
        "ack", "begun_s", "cancel", "chunk_bytes", "counted", "device_id", "done", "first_id",
        "is_ready", "link", "on_progress", "pinged_s", "progress_s", "sent", "size", "told",
        "transfer",
    )  # fmt: skip

    def __init__(
        self,
        device_id: DeviceId,
        link: Link,
        transfer: Transfer,
        size: int,
        chunk_bytes: int,
        on_progress: UpdateProgress,
        now_s: float,
    ) -> None:
        self.device_id = device_id
        self.link = link
        self.transfer = transfer
        self.size = size
        self.chunk_bytes = chunk_bytes
        self.on_progress = on_progress
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.cancel = _nothing
        self.sent = self.counted = 0
        """Chunks, and those of them that the metric has."""
        self.first_id = 0
        """Message id of the first chunk."""
        self.begun_s = now_s
        self.progress_s = self.pinged_s = now_s
        self.told: tuple[object, int] | None = None
        self.ack: UpdateAck | None = None
        """What the device has said since it was last looked at."""
        self.is_ready = False
        """Whether it is among those that are about to be looked at."""


def _newer(before: UpdateAck, ack: UpdateAck) -> UpdateAck:
    """What both of one device say together. One that says less was overtaken on its way."""
    if ack.index > before.index:
        return ack
    if ack.index < before.index:
        return before
    return UpdateAck(ack.index, ack.bitmap | before.bitmap)


def _nothing() -> None:
    """Nothing waits for an answer."""


def _nothing_more(how: str) -> None:
    """Nobody waits for the end of this."""


class Updates:
    """Implements `cyan.core.ports.FirmwareLink` over the gateway's links. Used on the loop only."""

    def __init__(self, place: Place, bytes_per_s: int = 0) -> None:
        """`bytes_per_s` is what all transfers together may send; 0 for no limit."""
        self._place = place
        self._pacer: Pacer[_Running] = Pacer(bytes_per_s, place.now_s())
        self._running: dict[DeviceId, _Running] = {}
        self._ready: deque[_Running] = deque()
        self._is_turning = False

    # -- the port ------------------------------------------------------------------------------

    def update_limits(self, device_id: DeviceId) -> UpdateLimits | None:
        link = self._place.online_link(device_id)
        return None if link is None else limits_of(link.session)

    def request_describe(self, device_id: DeviceId) -> None:
        link = self._place.online_link(device_id)
        if link is not None:
            link.perform((AskDescribe(SYSTEM),))

    async def update(self, device_id: DeviceId, image: Image, on_progress: UpdateProgress) -> None:
        link = self._place.online_link(device_id)
        if link is None:
            raise DeviceOfflineError
        if device_id in self._running:
            raise DeviceBusyError("An update of this device is under way.")
        transfer = make_transfer(link.session, image)
        now_s = self._place.now_s()
        one = _Running(
            device_id,
            link,
            transfer,
            len(image.data),
            limits_of(link.session).chunk_bytes,
            on_progress,
            now_s,
        )
        self._running[device_id] = one
        if not self._is_turning:
            self._is_turning = True
            self._place.at(now_s + TICK_S, self._turn)
        metrics.updates_running.set(len(self._running))
        outcome = "interrupted"
        try:
            self._tell(one, now_s)
            self._do(one, transfer.start(now_s))
            await one.done
            outcome = "done"
        except DeviceRefusedError:
            outcome = "refused"
            raise
        except DeviceTimeoutError:
            outcome = "timeout"
            raise
        except (UpdateCancelledError, asyncio.CancelledError):
            outcome = "cancelled"
            raise
        finally:
            one.cancel()
            self._pacer.leave(one)
            del self._running[device_id]
            self._note(one, outcome)

    def cancel_update(self, device_id: DeviceId) -> bool:
        one = self._running.get(device_id)
        if one is None:
            return False
        if isinstance(one.transfer, CurrentTransfer) and one.link.ended is None:
            one.cancel()
            try:
                one.link.request(encode_cancel, _nothing_more, lambda message: None)
            except MisuseError as error:
                _log.info("update.not_cancelled", device_id=device_id, error=str(error))
        self._fail(one, UpdateCancelledError())
        if (
            isinstance(one.transfer, LegacyTransfer)
            and one.transfer.stage is not UpdateStage.CHECKING
        ):
            # There is no word for it in its protocol; a new connection is the end of an update. A
            # device that has it all is about to restart, with this session.
            one.link.end("its update was cancelled")
        return True

    # -- what links say ------------------------------------------------------------------------

    def on_ack(self, link: Link, ack: UpdateAck) -> None:
        """A device says which chunks it has. Hot path."""
        one = self._of(link)
        if one is not None:
            one.ack = ack if one.ack is None else _newer(one.ack, ack)
            if not one.is_ready:
                self._go_on_soon(one)

    def on_missed(self, link: Link, missed: ChunkMissed) -> None:
        """A device says which chunks it lacks."""
        one = self._of(link)
        if one is not None:
            now_s = self._place.now_s()
            self._do(one, one.transfer.on_missed(missed, now_s))
            self._pump(one, now_s)

    def on_reset(self, link: Link, message_id: int) -> None:
        """A device rejects a message that nobody waits for: a chunk, when no update runs there."""
        one = self._of(link)
        if one is None or not one.sent:
            return
        ago = link.exchange.next_message_id - message_id & 0xFFFF
        if ago > (link.exchange.next_message_id - one.first_id & 0xFFFF):
            return
        self._fail(one, UpdateInterruptedError("The device knows of no update any more."))

    def on_other_response(self, link: Link, message: coap.Message) -> None:
        """A response without a token: old firmware ends an update so."""
        one = self._of(link)
        reason = decode_update_abort(message)
        if one is not None and reason is not None:
            self._fail(
                one, DeviceRefusedError(f"The device has ended the update, for reason {reason}.")
            )

    def on_room(self, link: Link) -> None:
        """A connection takes more again."""
        one = self._of(link)
        if one is not None:
            self._pump(one, self._place.now_s())

    def on_gone(self, link: Link) -> None:
        """The device is not connected by this link any more."""
        one = self._of(link)
        if one is not None:
            self._fail(one, UpdateInterruptedError("The connection was lost during the update."))

    def _turn(self, now_s: float) -> None:
        """Do what is due by now; at every turn of the wheel while something is sent."""
        self._is_turning = bool(self._running)
        if self._is_turning:
            self._place.at(now_s, self._turn)
        for one in list(self._running.values()):
            self._guarded(self._on_time, one, now_s)
        if self._pacer.has_limit:
            self._pacer.deal(now_s, self._send_one)

    def _on_time(self, one: _Running, now_s: float) -> None:
        if one.link.ended is not None or not one.link.is_online:
            self.on_gone(one.link)
            return
        self._do(one, one.transfer.on_time(now_s))
        self._pump(one, now_s)
        self._count(one)
        if now_s - max(one.link.heard_s, one.pinged_s) >= PING_AFTER_S:
            self._ping(one, now_s)

    # -- one transfer --------------------------------------------------------------------------

    def _guarded(
        self, step: Callable[[_Running, float], None], one: _Running, now_s: float
    ) -> None:
        """One device's update must not cost the others theirs."""
        try:
            step(one, now_s)
        except Exception:
            _log.exception("update.failed", device_id=one.device_id)
            self._fail(one, UpdateInterruptedError("The server failed to go on with the update."))

    def _of(self, link: Link) -> _Running | None:
        device_id = link.session.device_id
        one = self._running.get(device_id) if device_id is not None else None
        return one if one is not None and one.link is link and not one.done.done() else None

    def _do(self, one: _Running, step: Step) -> None:
        if one.done.done():
            return
        self._tell(one, self._place.now_s())
        if step is None:
            return
        if isinstance(step, Ask):
            self._ask(one, step)
        elif isinstance(step, Finished):
            one.done.set_result(None)
        else:
            self._fail(one, error_of(step))
            if isinstance(one.transfer, LegacyTransfer) and one.transfer.is_of_another:
                one.link.end("it is in the middle of another update")

    def _ask(self, one: _Running, step: Ask) -> None:
        def on_answer(message: coap.Message) -> None:
            if not one.done.done():
                now_s = self._place.now_s()
                # What it said before this was of another transfer.
                one.ack = None
                self._do(one, one.transfer.on_answer(message, now_s))
                self._pump(one, now_s)

        def on_end(how: str) -> None:
            if how in ("timeout", "reset"):
                self._do(one, one.transfer.on_unanswered(how, self._place.now_s()))
            elif how == "ended":
                self._fail(one, UpdateInterruptedError("The connection was lost."))

        try:
            one.cancel = one.link.request(step.build, on_end, on_answer)
        except BusyError:
            self._fail(one, DeviceBusyError("Too many calls wait for this device."))
        except MisuseError as error:
            self._fail(one, DeviceRefusedError(f"The message cannot be sent: {error}."))

    def _ping(self, one: _Running, now_s: float) -> None:
        one.pinged_s = now_s
        try:
            one.link.request(lambda number, _token: coap.encode_ping(number), _nothing_more, None)
        except MisuseError as error:
            _log.info("update.not_pinged", device_id=one.device_id, error=str(error))

    def _fail(self, one: _Running, error: Exception) -> None:
        if not one.done.done():
            one.done.set_exception(error)

    # -- chunks --------------------------------------------------------------------------------

    def _pump(self, one: _Running, now_s: float) -> None:
        """Send what may be sent now. Hot path."""
        if self._pacer.has_limit:
            self._pacer.wait(one)
        elif not one.done.done():
            room = one.link.chunk_room()
            if room > BURST:
                room = BURST
            sent = self._send(one, room, now_s)
            if sent == BURST:
                # The others first.
                self._go_on_soon(one)

    def _send(self, one: _Running, room: int, now_s: float) -> int:
        """Send up to `room` chunks; how many there were. Hot path."""
        if room <= 0:
            return 0
        link, transfer = one.link, one.transfer
        chunks = transfer.take(room, now_s)
        count = len(chunks)
        if count:
            if not one.sent:
                one.first_id = link.exchange.next_message_id
            one.sent += count
            link.send_chunks(chunks, transfer.encode)
        if count < room:
            step = transfer.on_taken(now_s)
            if step is not None:
                self._do(one, step)
        return count

    def _go_on_soon(self, one: _Running) -> None:
        """When all is taken in that has come: a device often says how far it is several times over,
        and what it says last is all that counts."""
        if not one.is_ready:
            one.is_ready = True
            if not self._ready:
                asyncio.get_running_loop().call_soon(self._go_on)
            self._ready.append(one)

    def _go_on(self) -> None:
        now_s = self._place.now_s()
        ready, self._ready = self._ready, deque()
        for one in ready:
            one.is_ready = False
            self._guarded(self._go_on_with, one, now_s)

    def _go_on_with(self, one: _Running, now_s: float) -> None:
        ack, one.ack = one.ack, None
        if one.done.done() or not one.link.is_online:
            return
        if ack is not None:
            step = one.transfer.on_ack(ack, now_s)
            if step is not None:
                self._do(one, step)
                return
        self._pump(one, now_s)

    def _send_one(self, one: _Running) -> int:
        """One chunk, when all have a limit together; its bytes."""
        if one.done.done():
            return 0
        room = min(one.link.chunk_room(), 1)
        return self._send(one, room, self._place.now_s()) * one.chunk_bytes

    # -- what people see -----------------------------------------------------------------------

    def _tell(self, one: _Running, now_s: float) -> None:
        """Each stage at once, and how far it is now and then."""
        state = (one.transfer.stage, one.transfer.confirmed_bytes)
        if one.told is None or state[0] is not one.told[0]:
            pass
        elif state == one.told or now_s < one.progress_s + PROGRESS_EVERY_S:
            return
        one.told, one.progress_s = state, now_s
        one.on_progress(*state)

    @staticmethod
    def _count(one: _Running) -> None:
        # Not for each chunk: a counter's lock costs as much as the window.
        metrics.update_chunks.inc(one.sent - one.counted)
        one.counted = one.sent

    def _note(self, one: _Running, outcome: str) -> None:
        self._count(one)
        metrics.updates_running.set(len(self._running))
        metrics.updates_ended.labels(outcome=outcome).inc()
        metrics.update_chunks_resent.inc(one.transfer.resent)
        _log.info(
            "update.ended",
            device_id=one.device_id,
            outcome=outcome,
            stage=one.transfer.stage.value,
            size_bytes=one.size,
            confirmed_bytes=one.transfer.confirmed_bytes,
            chunks_resent=one.transfer.resent,
            seconds=round(self._place.now_s() - one.begun_s, 1),
        )
