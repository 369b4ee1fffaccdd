"""What the operator should know of single devices: who was refused, who connects over and over.

Written into the database so that `cyan doctor` finds it. Over TCP nothing is proved yet when a
device is refused: anyone could fill the disk, so there is a bound to the pace and to the devices.
"""

from collections.abc import Callable
from typing import Final

import msgspec
from sqlalchemy import Connection

from cyan.core.ids import DeviceId
from cyan.devices import refusals
from cyan.gateway.commits import Commits

MAX_IN_A_SECOND: Final = 16
"""Notes that are written. What comes too quickly for that is not noted."""

QUIET_S: Final = 10.0
"""A refused device tries again within seconds, for days: it is written once in this time, with all
the times that it came since."""

MAX_QUIET: Final = 4096
"""Devices and reasons of the last QUIET_S."""

CALM_S: Final = 3600.0

MANY_OVER_UDP: Final = 10
"""Full handshakes of one device in CALM_S that are worth a word. A session lasts for months, over
sleep and restarts; a program that is developed on the desk may cause a few."""

MANY_OVER_TCP: Final = 120
"""There each connection is one. A device that sleeps for a minute each time stays below it."""

MAX_COUNTED: Final = 4096
"""Devices whose handshakes are counted, those that have come first give way."""

_Key = tuple[DeviceId, str]


class _Note(msgspec.Struct, gc=False):
    """`times` are those that are not written yet."""

    fingerprint: str | None
    transport: str
    address: str
    at_ms: int
    times: int
    quiet_until_s: float = 0.0


class Notes:
    """Gathers notes; `flush` is called once a second."""

    def __init__(
        self, commits: Commits, now_s: Callable[[], float], now_ms: Callable[[], int]
    ) -> None:
        self._commits = commits
        self._now_s = now_s
        self._now_ms = now_ms
        # To be written with the next flush.
        self._fresh: dict[_Key, _Note] = {}
        # Written not long ago, by the time when they may be written again.
        self._quiet: dict[_Key, _Note] = {}

    def add(
        self,
        device_id: DeviceId,
        reason: str,
        *,
        fingerprint: str | None,
        transport: str,
        address: str,
        times: int = 1,
    ) -> bool:
        """True when this is news, and worth a line in the log."""
        key = device_id, reason
        at_ms = self._now_ms()
        note = self._quiet.get(key) or self._fresh.get(key)
        if note is not None:
            note.fingerprint, note.transport, note.address = fingerprint, transport, address
            note.at_ms = at_ms
            note.times += times
            return False
        if len(self._fresh) >= MAX_IN_A_SECOND or len(self._quiet) >= MAX_QUIET:
            return False
        self._fresh[key] = _Note(fingerprint, transport, address, at_ms, times)
        return True

    def flush(self, *, is_last: bool = False) -> None:
        """Write what there is to write; all of it if `is_last`."""
        now_s = self._now_s()
        due, self._fresh = self._fresh, {}
        while self._quiet:
            key = next(iter(self._quiet))
            note = self._quiet[key]
            if not is_last and (now_s < note.quiet_until_s or len(due) >= MAX_IN_A_SECOND):
                break
            del self._quiet[key]
            if note.times:
                due[key] = note
        if not due:
            return
        for key, note in due.items():
            self._quiet[key] = msgspec.structs.replace(note, times=0, quiet_until_s=now_s + QUIET_S)

        def write(connection: Connection) -> None:
            for (device_id, reason), note in due.items():
                refusals.note(
                    connection,
                    device_id,
                    reason,
                    fingerprint=note.fingerprint,
                    transport=note.transport,
                    address=note.address,
                    at_ms=note.at_ms,
                    times=note.times,
                )

        self._commits.submit(write, lambda ok: None)


class _Counted(msgspec.Struct, gc=False):
    """Full handshakes of one device until `ends_s`."""

    ends_s: float
    times: int = 0


class Repeats:
    """Counts the full handshakes of each device, and notes those that make too many."""

    def __init__(self, notes: Notes, now_s: Callable[[], float]) -> None:
        self._notes = notes
        self._now_s = now_s
        # By age, because a dictionary keeps the order of insertion.
        self._counted: dict[DeviceId, _Counted] = {}

    def add(self, device_id: DeviceId, transport: str, address: str) -> int:
        """A device has a new session. Its number in this hour, if it is news that there are so
        many; else 0."""
        now_s = self._now_s()
        counted = self._counted.get(device_id)
        if counted is None or now_s >= counted.ends_s:
            self._counted.pop(device_id, None)
            if len(self._counted) >= MAX_COUNTED:
                del self._counted[next(iter(self._counted))]
            counted = self._counted[device_id] = _Counted(now_s + CALM_S)
        counted.times += 1
        many = MANY_OVER_TCP if transport == refusals.TCP else MANY_OVER_UDP
        if counted.times < many:
            return 0
        is_news = self._notes.add(
            device_id,
            refusals.AGAIN_AND_AGAIN,
            fingerprint=None,
            transport=transport,
            address=address,
            times=many if counted.times == many else 1,
        )
        return counted.times if is_news else 0
