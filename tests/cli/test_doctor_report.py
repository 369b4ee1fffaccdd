"""How the doctor tells what it found: quiet when all is well, a next step when not."""

import sqlite3
from contextlib import closing
from pathlib import Path

import click
import pytest

from cyan.cli.doctoring.examination import Findings, Group, examine
from cyan.cli.doctoring.finding import ok, problem, shown_bytes, shown_some, warning
from cyan.cli.doctoring.report import as_json, count, group_lines, summary_line
from tests.cli.doctor import doctor, installation
from tests.system.dev import FREE_PORTS
from tests.system.processes import cyan, done, migrated

WIDTH = 72
COMMAND = "runuser -u cyan -- cyan doctor --data /var/lib/cyan --no-self-test --verbose"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return migrated(tmp_path / "data")


def _plain(lines: list[str]) -> list[str]:
    return [click.unstyle(line) for line in lines]


def test_a_group_that_is_well_takes_one_line() -> None:
    found = Findings("database", [ok("a", "the first thing"), ok("b", "the second")])
    assert _plain(group_lines(found, verbose=False, width=WIDTH)) == [
        "database       ok       the first thing"
    ]
    assert len(group_lines(found, verbose=True, width=WIDTH)) == 2


def test_what_is_not_ok_is_told_alone_and_with_its_next_step() -> None:
    found = Findings(
        "ports", [ok("a", "fine"), warning("b", "odd", "Look."), problem("c", "bad", "Mend it.")]
    )
    assert _plain(group_lines(found, verbose=False, width=WIDTH)) == [
        "ports          warning  odd",
        "                        → Look.",
        "               problem  bad",
        "                        → Mend it.",
    ]


def test_a_group_with_nothing_to_say_says_nothing() -> None:
    assert group_lines(Findings("keys", []), verbose=True, width=WIDTH) == []


def test_long_texts_are_aligned_and_commands_stay_whole() -> None:
    found = Findings("keys", [problem("a", "word " * 40, f"Run it like this: `{COMMAND}` now.")])
    lines = _plain(group_lines(found, verbose=False, width=WIDTH))
    assert all(line.startswith(" " * 24) for line in lines[1:])
    (whole,) = [line for line in lines if COMMAND in line]
    assert all(len(line) <= WIDTH for line in lines if line is not whole)


def test_the_last_line_counts() -> None:
    well = Findings("a", [ok("a", "")])
    assert summary_line([well]) == "All is well."
    one = Findings("b", [problem("b", "", "x")])
    assert summary_line([well, one]) == "1 problem."
    both = Findings("c", [warning("c", "", "x"), warning("c", "", "x"), problem("c", "", "x")])
    assert summary_line([one, both]) == "2 problems and 2 warnings."
    assert count([one, both]) == (2, 2)


def test_json_has_every_finding_with_its_group() -> None:
    made = as_json([Findings("keys", [ok("keys.udp", "fine"), problem("x.y", "bad", "Do.")])], "/d")
    assert made == (
        '{"ok": false, "problems": 1, "warnings": 0, "data": "/d", "findings": ['
        '{"group": "keys", "check": "keys.udp", "level": "ok", "found": "fine", "next_step": null},'
        ' {"group": "keys", "check": "x.y", "level": "problem", "found": "bad",'
        ' "next_step": "Do."}]}'
    )


def test_a_check_that_breaks_stops_no_other_and_is_told(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check_first(place: object) -> list[object]:
        yield_before = ok("first.seen", "this much was found")
        return [yield_before, *_broken()]

    def check_second(place: object) -> list[object]:
        return [ok("second.seen", "fine")]

    def _broken() -> list[object]:
        raise OSError(5, "Input/output error")

    groups = (Group("group", "word", (check_first, check_second)),)  # type: ignore[arg-type]
    monkeypatch.setattr("cyan.cli.doctoring.examination.GROUPS", groups)
    (found,) = examine(installation(data))
    assert [one.level.value for one in found.findings] == ["problem", "ok"]
    assert found.findings[0].check == "word.first"
    assert "OSError: [Errno 5] Input/output error" in found.findings[0].found


def test_sizes_and_lists_are_short() -> None:
    assert [shown_bytes(size) for size in (0, 1023, 1024, 5 * 1024**3)] == [
        "0 bytes",
        "1023 bytes",
        "1.0 KiB",
        "5.0 GiB",
    ]
    assert shown_some(["a", "b"]) == "a, b"
    assert shown_some([str(number) for number in range(7)]) == "0, 1, 2, 3, 4 and 2 more"


def test_an_installation_that_is_well_is_told_in_a_dozen_lines(data: Path) -> None:
    done("user", "add", "ada@example.com", "--random-password", "--data", data)
    ended = cyan("doctor", "--data", data, settings=FREE_PORTS)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "problem " not in ended.stdout
    assert len(ended.stdout.splitlines()) < 20
    assert ended.stdout.rstrip().endswith("1 warning.")  # it listens on loopback
    more = cyan("doctor", "--data", data, "--verbose", settings=FREE_PORTS)
    assert len(more.stdout.splitlines()) > len(ended.stdout.splitlines())


def test_a_problem_ends_it_with_1_and_a_warning_does_not(data: Path) -> None:
    data.chmod(0o755)
    warned = doctor(data)
    assert (warned.exit_code, warned.said["ok"]) == (0, True)
    assert warned.said["warnings"] > 0
    (data / "server_udp.pem").write_text("no key")
    broken = doctor(data)
    assert (broken.exit_code, broken.said["ok"]) == (1, False)
    assert broken.said["data"] == str(data)


def test_it_changes_nothing_in_a_folder_without_a_server(data: Path) -> None:
    before = _contents(data)
    doctor(data)
    assert _contents(data) == before


def _contents(data: Path) -> tuple[list[str], list[str]]:
    """The names of its files, and all that is in the database."""
    with closing(sqlite3.connect(data / "cyan.db")) as connection:
        rows = list(connection.iterdump())
    return sorted(path.name for path in data.iterdir()), rows
