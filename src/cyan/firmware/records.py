"""Attempts as rows: added, moved, ended, read. Every change is told on the bus after its commit."""

from collections.abc import Sequence
from typing import Final

import msgspec
import structlog
from prometheus_client import Counter
from sqlalchemy import Connection

from cyan.audit import store as audit
from cyan.core.bus import Bus
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId, UserId, new_object_id
from cyan.core.metrics import REGISTRY
from cyan.firmware import store
from cyan.firmware.model import (
    MAX_DETAIL_CHARACTERS,
    Attempt,
    NewAttempt,
    Reason,
    State,
    UnknownAttemptError,
    UpdateProgressed,
    may_follow,
)

KEPT_PER_DEVICE: Final = 100
"""Ended attempts of a device that stay to be looked at; ours."""

_ended = Counter(
    "cyan_firmware_attempts",
    "Attempts to update a device that ended, by cause (flash, asset, repair) and how: done, or the"
    " reason why not.",
    ("cause", "outcome"),
    registry=REGISTRY,
)

_log = structlog.get_logger(__name__)


class Records:
    """The rows of attempts."""

    def __init__(self, db: Database, clock: Clock, bus: Bus) -> None:
        self._db = db
        self._clock = clock
        self._bus = bus

    async def add(
        self, device_id: DeviceId, user_id: UserId | None, news: Sequence[NewAttempt]
    ) -> list[Attempt]:
        """Write down what is to be sent, in this order."""
        at_ms = self._clock.now_ms()
        batch = new_object_id()
        made = [
            Attempt(
                id=batch if position == 0 else new_object_id(),
                device_id=device_id,
                user_id=user_id,
                cause=new.cause,
                batch=batch,
                position=position,
                state=State.QUEUED,
                file_name=new.file_name,
                image_sha256=new.image_sha256,
                size_bytes=new.size_bytes,
                goal=new.goal,
                created_at_ms=at_ms,
                changed_at_ms=at_ms,
            )
            for position, new in enumerate(news)
        ]

        def write(connection: Connection) -> None:
            connection.execute(store.ADD, [store.to_row(each) for each in made])
            store.FORGET.run(connection, {"of_device_id": device_id, "kept": KEPT_PER_DEVICE})
            if user_id is not None:
                audit.record(
                    connection,
                    f"user:{user_id}",
                    "device.flash_asked",
                    f"device:{device_id}",
                    {"files": [each.file_name for each in made], "sha256": made[0].image_sha256},
                    at_ms=at_ms,
                )

        await self._db.write(write)
        for each in made:
            _log.info(
                "update.queued",
                device_id=device_id,
                attempt_id=each.id,
                cause=each.cause,
                file=each.file_name,
                size=each.size_bytes,
            )
            self.tell(each)
        return made

    def open_of(self, device_id: DeviceId) -> list[Attempt]:
        """What is still to be done for a device, the first thing first."""
        rows = self._db.rows(store.OPEN_OF_DEVICE, {"of_device_id": device_id})
        return [store.to_attempt(row) for row in rows]

    def open_devices(self) -> list[DeviceId]:
        """Devices for which something is still to be done."""
        return [DeviceId(row.device_id) for row in self._db.rows(store.OPEN_DEVICES)]

    def unchanged_since(self, before_ms: int) -> list[Attempt]:
        """What is still to be done and has been in its state since before then."""
        rows = self._db.rows(store.UNCHANGED, {"before_ms": before_ms})
        return [store.to_attempt(row) for row in rows]

    def needed_images(self) -> list[str]:
        """The files of what is still to be done, by SHA-256 in hex."""
        return [row.image_sha256 for row in self._db.rows(store.NEEDED_IMAGES)]

    def get(self, device_id: DeviceId, attempt_id: str) -> Attempt:
        """Raises UnknownAttemptError."""
        row = self._db.row(store.GET, {"of_device_id": device_id, "of_id": attempt_id})
        if row is None:
            raise UnknownAttemptError
        return store.to_attempt(row)

    def newest(
        self, device_id: DeviceId, *, since_ms: int, before: Attempt | None = None, limit: int
    ) -> list[Attempt]:
        """The attempts of a device since then, the newest first; those after `before`."""
        rows = self._db.rows(
            store.NEWEST,
            {
                "of_device_id": device_id,
                "since_ms": since_ms,
                "before_ms": 2**53 if before is None else before.created_at_ms,
                "after": -1 if before is None else before.position,
                "page": limit,
            },
        )
        return [store.to_attempt(row) for row in rows]

    def failed_repairs(self, device_id: DeviceId, since_ms: int) -> int:
        """How many repairs failed since then, and since somebody flashed the device."""
        flashed = self._db.row(store.LAST_FLASH_MS, {"of_device_id": device_id})
        flashed_ms = 0 if flashed is None or flashed[0] is None else int(flashed[0])
        row = self._db.row(
            store.FAILED_REPAIRS,
            {"of_device_id": device_id, "since_ms": max(since_ms, flashed_ms)},
        )
        return 0 if row is None else int(row[0])

    async def note(
        self,
        attempt: Attempt,
        *,
        sent_bytes: int | None = None,
        tries: int | None = None,
        idle_tries: int | None = None,
        obstacle: str | None = None,
    ) -> Attempt | None:
        """Write down how it is going, the state unchanged; None when it has another by now."""
        return await self._change(
            attempt,
            msgspec.structs.replace(
                attempt,
                sent_bytes=attempt.sent_bytes if sent_bytes is None else sent_bytes,
                tries=attempt.tries if tries is None else tries,
                idle_tries=attempt.idle_tries if idle_tries is None else idle_tries,
                obstacle=None if obstacle is None else obstacle[:MAX_DETAIL_CHARACTERS],
            ),
        )

    async def move(
        self, attempt: Attempt, state: State, *, sent_bytes: int | None = None
    ) -> Attempt | None:
        """Bring it to a later state; None when it has another by now, or that would be back."""
        if not may_follow(state, attempt.state):
            return None
        at_ms = self._clock.now_ms()
        return await self._change(
            attempt,
            msgspec.structs.replace(
                attempt,
                state=state,
                changed_at_ms=at_ms,
                sent_bytes=attempt.sent_bytes if sent_bytes is None else sent_bytes,
                obstacle=None,
                ended_at_ms=at_ms if state is State.DONE else None,
            ),
        )

    async def fail(
        self,
        attempt: Attempt,
        reason: Reason,
        detail: str,
        *,
        code: int | None = None,
        by: UserId | None = None,
    ) -> Attempt | None:
        """End it, and what was to follow it in its batch; None when it has ended or moved on.

        `by` is who ended it, for the audit.
        """
        at_ms = self._clock.now_ms()
        failed = msgspec.structs.replace(
            attempt,
            state=State.FAILED,
            changed_at_ms=at_ms,
            ended_at_ms=at_ms,
            obstacle=None,
            reason=reason,
            detail=detail[:MAX_DETAIL_CHARACTERS],
            code=code,
        )
        changed = await self._change(attempt, failed, by)
        if changed is not None:
            for each in self.open_of(attempt.device_id):
                if each.batch == attempt.batch and each.position > attempt.position:
                    why = f"{attempt.file_name} was to come first, and failed."
                    await self.fail(each, Reason.BLOCKED, why)
        return changed

    def tell(self, attempt: Attempt, sent_bytes: int | None = None) -> None:
        """Let who watches know."""
        self._bus.publish(
            UpdateProgressed(
                attempt.device_id,
                attempt.id,
                attempt.state,
                attempt.sent_bytes if sent_bytes is None else sent_bytes,
                attempt.size_bytes,
            )
        )

    async def _change(
        self, before: Attempt, after: Attempt, by: UserId | None = None
    ) -> Attempt | None:
        def write(connection: Connection) -> bool:
            done = connection.execute(
                store.MOVE,
                {
                    "of_id": after.id,
                    "from_state": before.state,
                    "to_state": after.state,
                    "at_ms": after.changed_at_ms,
                    "to_sent": after.sent_bytes,
                    "to_tries": after.tries,
                    "to_idle": after.idle_tries,
                    "to_obstacle": after.obstacle,
                    "to_ended_at_ms": after.ended_at_ms,
                    "to_reason": after.reason,
                    "to_detail": after.detail,
                    "to_code": after.code,
                },
            )
            if done.rowcount == 1 and by is not None:
                audit.record(
                    connection,
                    f"user:{by}",
                    "device.flash_cancelled",
                    f"device:{after.device_id}",
                    {"attempt": after.id},
                    at_ms=after.changed_at_ms,
                )
            return done.rowcount == 1

        if not await self._db.write(write):
            return None
        if after.state is not before.state:
            _note_state(after)
        self.tell(after)
        return after


def has_pending(db: Database, device_id: DeviceId) -> bool:
    """Whether something is still to be sent to a device. What it has and checks is not."""
    return bool(store.HAS_PENDING.rows(db, {"of_device_id": device_id}))


def _note_state(attempt: Attempt) -> None:
    outcome = attempt.reason if attempt.reason is not None else attempt.state
    if not attempt.is_open:
        _ended.labels(attempt.cause.value, outcome.value).inc()
    _log.info(
        "update.state",
        device_id=attempt.device_id,
        attempt_id=attempt.id,
        state=attempt.state.value,
        sent=attempt.sent_bytes,
        size=attempt.size_bytes,
        tries=attempt.tries,
        reason=None if attempt.reason is None else attempt.reason.value,
        detail=attempt.detail,
        code=attempt.code,
    )
