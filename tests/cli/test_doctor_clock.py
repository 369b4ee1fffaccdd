"""What the doctor says of a clock that is wrong, goes back, jumps, or is kept by nobody."""

import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cyan.cli.doctoring import clocks
from tests.cli.doctor import found_by, installation, levels
from tests.clock import HandClock
from tests.system.processes import done, migrated

HOUR_MS = 3_600_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return migrated(tmp_path / "data")


class SetClock(HandClock):
    """A clock that somebody sets while its monotonic side goes on."""

    def set(self, seconds: float) -> None:
        before = self.monotonic()
        self.advance(seconds)
        self._monotonic = before


def test_a_year_before_this_program_is_a_problem(data: Path) -> None:
    epoch = installation(data, clock=HandClock(datetime(1970, 1, 1, 0, 1, tzinfo=UTC)))
    found = found_by(clocks.check_year, epoch)
    assert levels(found) == {"clock.year": "problem"}
    assert "1970" in found["clock.year"].found
    assert levels(found_by(clocks.check_year, installation(data))) == {"clock.year": "ok"}


def test_nothing_written_is_of_the_future(data: Path) -> None:
    assert found_by(clocks.check_newest, installation(data)) == {}
    done("device", "add", "0123456789abcdef01234567", "--data", data)
    found = found_by(clocks.check_newest, installation(data))
    assert levels(found) == {"clock.newest": "ok"}


@pytest.mark.parametrize(
    ("insert", "what"),
    [
        (
            "INSERT INTO devices_presence VALUES ('5eed', 0, 'main', 0, :at, 0, '')",
            "a device was heard",
        ),
        ("INSERT INTO devices_lease VALUES ('main', :at + 30000)", "the server was alive"),
        (
            "INSERT INTO audit_entry(at_ms, actor, action, subject) VALUES (:at, '', '', '')",
            "an entry of the audit was written",
        ),
        (
            "INSERT INTO events_event(position, end_byte, name, published_at_ms, origin,"
            " content_format, ttl_s, version) VALUES (1, 1, 'e', :at, 'api', 0, 60, 0)",
            "an event was published",
        ),
    ],
)
def test_a_clock_that_went_back_is_found_by_what_was_written(
    data: Path, insert: str, what: str
) -> None:
    later_ms = time.time_ns() // 1_000_000 + HOUR_MS
    with closing(sqlite3.connect(data / "cyan.db")) as connection, connection:
        connection.execute(insert, {"at": later_ms})
    found = found_by(clocks.check_newest, installation(data))
    assert levels(found) == {"clock.newest": "problem"}
    assert what in found["clock.newest"].found


def test_a_clock_that_jumps_meanwhile_is_a_warning(data: Path) -> None:
    clock = SetClock()
    place = installation(data, clock=clock)
    clock.advance(30)
    assert found_by(clocks.check_steady, place) == {}
    clock.set(-90)
    found = found_by(clocks.check_steady, place)
    assert levels(found) == {"clock.steady": "warning"}
    assert "-90.0 s" in found["clock.steady"].found


def test_a_monotonic_clock_that_goes_back_is_a_problem(data: Path) -> None:
    clock = HandClock()
    place = installation(data, clock=clock)
    clock.advance(-1)
    assert levels(found_by(clocks.check_steady, place)) == {"clock.steady": "problem"}


@pytest.mark.parametrize(
    ("said", "level"), [("yes", {"ok"}), ("no", {"warning"}), ("", set[str]())]
)
def test_whether_ntp_keeps_the_clock_is_asked_of_systemd(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, level: set[str]
) -> None:
    program = tmp_path / "bin" / "timedatectl"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\ntest "$*" = "show --property=NTPSynchronized --value"\necho {said}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    found = found_by(clocks.check_synchronised, installation(data))
    assert set(levels(found).values()) == level


def test_a_machine_without_systemd_is_not_blamed(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert found_by(clocks.check_synchronised, installation(data)) == {}
