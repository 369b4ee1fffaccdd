"""The table of attempts and the statements on it."""

from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from cyan.core.db.engine import Prepared
from cyan.core.db.schema import metadata
from cyan.core.ids import DeviceId, UserId
from cyan.firmware import deviceosstore as deviceosstore  # its table is part of the schema
from cyan.firmware.model import Attempt, Cause, ModuleGoal, Reason, State

firmware_attempts = Table(
    "firmware_attempts",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("device_id", String(24), nullable=False),
    Column("user_id", String(24)),
    Column("cause", String(16), nullable=False),
    Column("batch", String(24), nullable=False),
    Column("position", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("file_name", String(128), nullable=False),
    Column("image_sha256", String(64), nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("goal", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
    Column("sent_bytes", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("idle_tries", Integer, nullable=False),
    Column("obstacle", Text),
    Column("ended_at_ms", BigInteger),
    Column("reason", String(16)),
    Column("detail", Text),
    Column("code", Integer),
    Index(None, "device_id", "created_at_ms"),
    # What is still to be done is little beside what was: a start reads only this.
    Index(
        "ix_firmware_attempts_open",
        "device_id",
        "created_at_ms",
        "position",
        sqlite_where=text("ended_at_ms IS NULL"),
    ),
)

_a = firmware_attempts.c
_of_device = _a.device_id == bindparam("of_device_id")
_open = _a.ended_at_ms.is_(None)

ADD: Final = insert(firmware_attempts)

GET: Final = select(firmware_attempts).where(_of_device, _a.id == bindparam("of_id"))

OPEN_OF_DEVICE: Final = (
    select(firmware_attempts).where(_of_device, _open).order_by(_a.created_at_ms, _a.position)
)

_UNSENT: Final = (State.QUEUED.value, State.WAITING.value, State.SENDING.value)

HAS_PENDING: Final = Prepared(
    select(_a.id).where(_of_device, _open, or_(*(_a.state == state for state in _UNSENT))).limit(1)
)
"""For every connection."""

OPEN_DEVICES: Final = select(_a.device_id).where(_open).distinct()

UNCHANGED: Final = select(firmware_attempts).where(_open, _a.changed_at_ms < bindparam("before_ms"))

NEEDED_IMAGES: Final = select(_a.image_sha256).where(_open).distinct()

NEWEST: Final = (
    select(firmware_attempts)
    .where(
        _of_device,
        _a.created_at_ms >= bindparam("since_ms"),
        or_(
            _a.created_at_ms < bindparam("before_ms"),
            and_(_a.created_at_ms == bindparam("before_ms"), _a.position > bindparam("after")),
        ),
    )
    .order_by(_a.created_at_ms.desc(), _a.position)
    .limit(bindparam("page"))
)

FAILED_REPAIRS: Final = select(func.count()).where(
    _of_device,
    _a.cause == Cause.REPAIR,
    _a.state == State.FAILED,
    _a.created_at_ms >= bindparam("since_ms"),
)

LAST_FLASH_MS: Final = select(func.max(_a.created_at_ms)).where(_of_device, _a.cause == Cause.FLASH)

MOVE: Final = (
    update(firmware_attempts)
    .where(_a.id == bindparam("of_id"), _a.state == bindparam("from_state"), _open)
    .values(
        state=bindparam("to_state"),
        changed_at_ms=bindparam("at_ms"),
        sent_bytes=bindparam("to_sent"),
        tries=bindparam("to_tries"),
        idle_tries=bindparam("to_idle"),
        obstacle=bindparam("to_obstacle"),
        ended_at_ms=bindparam("to_ended_at_ms"),
        reason=bindparam("to_reason"),
        detail=bindparam("to_detail"),
        code=bindparam("to_code"),
    )
)
"""Only from the state that the caller saw: of two that move one, the second changes nothing."""

FORGET: Final = Prepared(
    text(
        "DELETE FROM firmware_attempts WHERE id IN (SELECT id FROM firmware_attempts"
        " WHERE device_id = :of_device_id AND ended_at_ms IS NOT NULL"
        " ORDER BY created_at_ms DESC LIMIT -1 OFFSET :kept)"
    )
)


def to_attempt(row: Row[Any]) -> Attempt:
    fields = dict(row._mapping)
    reason = fields["reason"]
    return Attempt(
        **fields
        | {
            "device_id": DeviceId(fields["device_id"]),
            "user_id": None if fields["user_id"] is None else UserId(fields["user_id"]),
            "cause": Cause(fields["cause"]),
            "state": State(fields["state"]),
            "goal": msgspec.json.decode(fields["goal"], type=ModuleGoal),
            "reason": None if reason is None else Reason(reason),
        }
    )


def to_row(attempt: Attempt) -> dict[str, Any]:
    return msgspec.structs.asdict(attempt) | {
        "goal": msgspec.json.encode(attempt.goal).decode(),
    }
