"""Faults as people write them, in a file or in a line."""

from pathlib import Path

import pytest

from cyan.sim.faults import (
    FOREVER,
    NO_FAULTS,
    Faults,
    Kind,
    Mishap,
    Quality,
    combine_faults,
    parse_fault,
    read_faults,
)
from cyan.sim.tables import TableError

FILE = """
[[faults]]
kind = "loss"
rate = 0.2

[[faults]]
kind = "duplicate"
rate = 0.05
way = "up"

[[faults]]
kind = "reorder"
rate = 0.1
for_s = 2
way = "down"

[[faults]]
kind = "delay"
for_s = [0.01, 0.05]

[[faults]]
kind = "clock"
fast = [-0.01, 0.02]

[[faults]]
kind = "sleep"
every_s = 600
for_s = [10, 60]
share = 0.5

[[faults]]
kind = "move"
at_s = [20, 10.5]
"""

LINES = (
    "loss rate=0.2",
    "duplicate rate=0.05 way=up",
    'reorder rate=0.1 for_s=2 way="down"',
    "delay for_s=[0.01,0.05]",
    "clock fast=[-0.01,0.02]",
    "sleep every_s=600 for_s=[10,60] share=0.5",
    "move at_s=[20,10.5]",
)


def told(*lines: str) -> Faults:
    return combine_faults(map(parse_fault, lines))


def refusal(*lines: str) -> str:
    with pytest.raises(TableError) as caught:
        told(*lines)
    return str(caught.value)


def test_a_file_and_lines_say_the_same(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(FILE)
    expected = Faults(
        up=Quality(loss=0.2, duplicate=0.05, delay_s=(0.01, 0.05)),
        down=Quality(loss=0.2, reorder=0.1, reorder_s=2.0, delay_s=(0.01, 0.05)),
        mishaps=(
            Mishap(Kind.SLEEP, every_s=600.0, for_s=(10.0, 60.0), share=0.5),
            Mishap(Kind.MOVE, at_s=(10.5, 20.0)),
        ),
        clock=(-0.01, 0.02),
    )
    assert combine_faults(read_faults(path)) == expected
    assert told(*LINES) == expected


def test_no_faults_are_none() -> None:
    assert told() == NO_FAULTS


def test_one_kind_can_differ_for_the_two_ways() -> None:
    faults = told("loss rate=0.1 way=up", "loss rate=0.3 way=down")
    assert (faults.up.loss, faults.down.loss) == (0.1, 0.3)


@pytest.mark.parametrize(
    ("line", "mishap"),
    [
        ("reboot every_s=60", Mishap(Kind.REBOOT, every_s=60.0, for_s=(1.0, 3.0))),
        (
            "power-cut at_s=[5]",
            Mishap(Kind.POWER_CUT, at_s=(5.0,), for_s=(1.0, 3.0), keeps_session=False),
        ),
        (
            "power-cut at_s=[5] for_s=0 session=kept",
            Mishap(Kind.POWER_CUT, at_s=(5.0,), for_s=(0.0, 0.0)),
        ),
        (
            "wrong-device-key at_s=[0]",
            Mishap(Kind.WRONG_DEVICE_KEY, at_s=(0.0,), for_s=(FOREVER, FOREVER)),
        ),
        (
            "wrong-server-key every_s=9 for_s=[2,3]",
            Mishap(Kind.WRONG_SERVER_KEY, every_s=9.0, for_s=(2.0, 3.0)),
        ),
    ],
)
def test_mishaps_have_defaults_of_their_kind(line: str, mishap: Mishap) -> None:
    assert told(line).mishaps == (mishap,)


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("", "kind is one of loss, duplicate, reorder, delay, clock, move, sleep, reboot, "),
        ("lost rate=0.2", "kind is one of loss, duplicate, "),
        ("loss", "rate is a number from 0 to 1, not nothing"),
        ("loss rate=1.1", "rate is a number from 0 to 1, not 1.1"),
        ("loss rate=20%", "rate is a number from 0 to 1, not '20%'"),
        ("loss 0.2", "'0.2' is no key=value"),
        ("loss rate=0.2 rate=0.3", "'rate=0.3' is no key=value that is told once"),
        ("loss kind=delay", "'kind=delay' is no key=value that is told once"),
        ("loss rate=0.2 way=left", "way is one of both, up, down, not 'left'"),
        ("loss rate=0.2 for_s=1", "for_s means nothing; there is kind, way, rate"),
        ("delay for_s=[2,1]", "for_s is a number from 0 to 300, or [lowest, highest], not [2, 1]"),
        ("delay for_s=[1,2,3]", "for_s is a number from 0 to 300, or [lowest, highest]"),
        ("delay for_s=301", "for_s is a number from 0 to 300, or [lowest, highest]"),
        ("clock fast=2", "fast is a number from -0.5 to 1, or [lowest, highest], not 2"),
        ("move", "every_s is a number from 0.1 to 1e+07, not nothing"),
        ("move every_s=0", "every_s is a number from 0.1 to 1e+07, not 0"),
        ("move at_s=[]", "at_s is a list of 1 to 1000 numbers from 0 to 1e+07, not []"),
        ("move at_s=[1,true]", "at_s is a list of 1 to 1000 numbers from 0 to 1e+07"),
        ("move at_s=[1] every_s=9", "every_s means nothing; there is kind, at_s, share"),
        ("move at_s=[1] for_s=9", "for_s means nothing; there is kind, at_s, share"),
        ("sleep every_s=60", "for_s is a number from 0 to 1e+07, or [lowest, highest]"),
        ("power-cut at_s=[1] session=gone", "session is one of kept, lost, not 'gone'"),
        ("sleep every_s=60 for_s=1 share=2", "share is a number from 0 to 1, not 2"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(line: str, right: str) -> None:
    assert refusal(line).startswith(f"--fault {line!r}: {right}")


@pytest.mark.parametrize("line", ["loss rate=0.2 way=up", "clock fast=0.1", "delay for_s=1"])
def test_what_is_told_twice_is_refused(line: str) -> None:
    assert refusal(line, line).endswith("was told before")


def test_a_file_names_the_fault_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(FILE.replace("share = 0.5", "share = 5"))
    with pytest.raises(TableError, match=r"faults\.toml: faults\[5\]\.share is a number from 0 "):
        combine_faults(read_faults(path))
    path.write_text(FILE.replace("[[faults]]", "[[fault]]"))
    with pytest.raises(TableError, match=r"faults\.toml: fault means nothing; there is faults"):
        read_faults(path)


def test_there_is_room_for_so_many_faults(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text('[[faults]]\nkind = "move"\nat_s = [1]\n' * 65)
    with pytest.raises(TableError, match="faults has at most 64 entries, not 65"):
        read_faults(path)
