"""The clock: devices take their time from the server, and the log is in its order."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from cyan.cli.doctoring import store
from cyan.cli.doctoring.database import is_current
from cyan.cli.doctoring.finding import Finding, ok, problem, warning
from cyan.cli.doctoring.installation import Installation, read_clocks
from cyan.core.clock import iso_ms
from cyan.core.db.engine import Database
from cyan.devices.presence import LEASE_S

FIRST_YEAR: Final = 2025
"""This program is not older than that; a machine without a battery for its clock begins at 1970."""
LAST_YEAR: Final = 2105
"""Devices get the time in seconds since 1970, in 32 bits (device-protocol.md §3.9)."""

STEP_S: Final = 1.0
"""A clock that is kept by NTP is slewed, and moves by much less while we look."""

TOLERANCE_MS: Final = 5_000
"""By which a stamp may be newer than now: clocks of processes are read one after the other."""

_ANSWER_WITHIN_S: Final = 10.0


def check_year(installation: Installation) -> Iterator[Finding]:
    now = installation.clock.now()
    if FIRST_YEAR <= now.year <= LAST_YEAR:
        yield ok("clock.year", iso_ms(installation.clock.now_ms()))
    else:
        yield problem(
            "clock.year",
            f"this machine believes that it is the year {now.year}. Devices take their time from "
            "here.",
            "Set the clock, then keep it right with NTP: `timedatectl set-ntp true`.",
        )


def check_newest(installation: Installation) -> Iterator[Finding]:
    """What was written is not of the future."""
    if not is_current(installation):
        return
    now_ms = installation.clock.now_ms()
    with closing(Database(installation.config.database_path)) as db:
        stamps = store.newest_stamps(db)
        lease_ms = store.newest_lease_ms(db)
    if lease_ms is not None:
        stamps["the server was alive"] = lease_ms - int(LEASE_S * 1000)
    if not stamps:
        return
    what = max(stamps, key=lambda name: stamps[name])
    ahead_ms = stamps[what] - now_ms
    if ahead_ms > TOLERANCE_MS:
        yield problem(
            "clock.newest",
            f"the clock says {iso_ms(now_ms)}, but by the database {what} at "
            f"{iso_ms(stamps[what])}: the clock went back, or was wrong then.",
            "Set the clock right. If it is right now, what carries later stamps is kept longer "
            "than meant and shows that time; nothing else breaks.",
        )
    else:
        yield ok("clock.newest", "nothing in the database is newer than now")


def check_synchronised(installation: Installation) -> Iterator[Finding]:
    """Whether NTP keeps it, where systemd can tell."""
    program = shutil.which("timedatectl")
    if program is None:
        return
    try:
        asked = subprocess.run(
            [program, "show", "--property=NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            timeout=_ANSWER_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    said = asked.stdout.strip()
    if said == "yes":
        yield ok("clock.synchronised", "kept by NTP")
    elif said == "no":
        yield warning(
            "clock.synchronised",
            "nothing keeps the clock right: systemd says that it is not synchronised.",
            "`timedatectl set-ntp true`, or another NTP client.",
        )


def check_steady(installation: Installation) -> Iterator[Finding]:
    """The clock did not jump while we looked: wall time and monotonic time went on alike."""
    now, started = read_clocks(installation.clock), installation.started
    elapsed_s = now.monotonic_s - started.monotonic_s
    jump_s = (now.wall_ms - started.wall_ms) / 1000 - elapsed_s
    if elapsed_s < 0:
        yield problem(
            "clock.steady",
            "the monotonic clock went back: no timer on this machine can be trusted.",
            "That is a fault of the machine or of what runs it as a guest: update its kernel.",
        )
    elif abs(jump_s) > STEP_S:
        yield warning(
            "clock.steady",
            f"the clock jumped by {jump_s:+.1f} s within {elapsed_s:.1f} s.",
            "If that was not you, two programs set the clock: let one NTP client do it, and not "
            "the host of a virtual machine as well.",
        )
