"""What the journal writes down."""

from pathlib import Path

import pytest

from cyan.sim.facts import FaultHappened
from cyan.sim.journal import Journal


def test_each_file_has_its_own_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.record_sent("5eed", "reading", b"21.5 degrees")
    journal.record_acknowledged("5eed", "reading", b"20.0 degrees")
    journal.flush()
    assert not (tmp_path / "journal.faults").exists()
    journal.record_fault("5eed", FaultHappened("sleep", 1.25, 10.0))
    journal.close()
    assert (tmp_path / "journal.sent").read_text() == "5eed reading 21.5 degrees\n"
    assert (tmp_path / "journal").read_text() == "5eed reading 20.0 degrees\n"
    assert (tmp_path / "journal.faults").read_text() == "5eed sleep 1.250000 10.000000\n"


@pytest.mark.parametrize(
    ("data", "written"),
    [
        (b"", b""),
        ("grüße".encode(), "grüße".encode()),
        (b"two\nlines", b"0x74776f0a6c696e6573"),
        (b"a\r", b"0x610d"),
        ("\u2028".encode(), b"0xe280a8"),
        (b"\xff\0", b"0xff00"),
    ],
)
def test_data_that_are_no_line_are_written_in_hex(
    tmp_path: Path, data: bytes, written: bytes
) -> None:
    journal = Journal(tmp_path / "journal")
    journal.record_sent("5eed", "e", data)
    journal.close()
    assert (tmp_path / "journal.sent").read_bytes() == b"5eed e " + written + b"\n"


def test_a_journal_is_gone_on_with(tmp_path: Path) -> None:
    for data in (b"1", b"2"):
        journal = Journal(tmp_path / "journal")
        journal.record_acknowledged("5eed", "e", data)
        journal.close()
    assert (tmp_path / "journal").read_text() == "5eed e 1\n5eed e 2\n"
