"""Names of uploaded files, as clients and others send them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyan.firmware.compiling import sources
from cyan.firmware.compiling.model import InvalidSourcesError
from cyan.firmware.compiling.sources import MAX_DEPTH, MAX_PATH_BYTES, clean_path, clean_sources


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ("app.ino", "app.ino"),
        ("src/app.ino", "src/app.ino"),
        ("src\\lib\\app.ino", "src/lib/app.ino"),
        ("./src//app.ino", "src/app.ino"),
        ("/home/ada/project/app.ino", "app.ino"),
        ("C:\\Users\\ada\\app.ino", "app.ino"),
        ("C:/Users/ada/app.ino", "app.ino"),
        ("//server/share/app.ino", "app.ino"),
        ("../shared/lamp.h", "shared/lamp.h"),
        ("../../lamp.h", "lamp.h"),
        ("Ä lamp.ino", "Ä lamp.ino"),
    ],
)
def test_a_name_becomes_a_path_in_the_project(sent: str, path: str) -> None:
    assert clean_path(sent) == path


@pytest.mark.parametrize(
    "sent",
    ["", "/", "..", "a/../b.ino", "a\0.ino", "a\n.ino", "a\u202egnp.ino", "\ud800.ino", "-o.ino",
     "src/-rf/a.ino", "a" * (MAX_PATH_BYTES + 1), "a/" * MAX_DEPTH + "a.ino"],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_or_cannot_be_shown_is_refused(sent: str) -> None:
    with pytest.raises(InvalidSourcesError):
        clean_path(sent)


@given(st.text(max_size=300))
def test_a_cleaned_path_never_leaves_its_folder(sent: str) -> None:
    try:
        path = clean_path(sent)
    except InvalidSourcesError:
        return
    segments = path.split("/")
    assert not path.startswith("/")
    assert not {"", ".", ".."} & set(segments)
    assert clean_path(path) == path


def test_counts_and_sizes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_FILES", 2)
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 10)
    monkeypatch.setattr(sources, "MAX_TOTAL_BYTES", 15)
    assert len(clean_sources([("a.h", b"x" * 10), ("b.h", b"x" * 5)])) == 2
    for files in (
        [("a.h", b""), ("b.h", b""), ("c.h", b"")],
        [("a.h", b"x" * 11)],
        [("a.h", b"x" * 10), ("b.h", b"x" * 6)],
    ):
        with pytest.raises(InvalidSourcesError, match="at most"):
            clean_sources(files)
