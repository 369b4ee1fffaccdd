"""Archives that pretend to be backups: nothing is written elsewhere, and no more than there is."""

import io
import random
import shutil
import tarfile
from pathlib import Path

import pytest

from cyan.cli.archive import NotABackupError, Writer, extract

CONTENT = b"0123456789" * 60
LARGE = 1 << 40


@pytest.fixture
def backup(tmp_path: Path) -> bytes:
    (tmp_path / "content").write_bytes(CONTENT)
    written = io.BytesIO()
    writer = Writer(written)
    writer.add("cyan.db", tmp_path / "content")
    writer.add("keys/server", tmp_path / "content")
    writer.finish(version="1", schema="0001", created_at_ms=1)
    return written.getvalue()


def of_one(entry: tarfile.TarInfo) -> bytes:
    """An archive with this entry alone."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as tar:
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"abc"))
    return written.getvalue()


def take(tmp_path: Path, content: bytes) -> list[Path]:
    """Extract it; what was written."""
    archive, folder = tmp_path / "archive.tar", tmp_path / "into"
    archive.write_bytes(content)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    extract(archive, folder)
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def test_a_backup_is_taken(tmp_path: Path, backup: bytes) -> None:
    assert take(tmp_path, backup) == [Path("cyan.db"), Path("keys/server")]


@pytest.mark.parametrize(
    "headers",
    [
        {"GNU.sparse.map": "0,3", "GNU.sparse.size": str(LARGE)},
        {"GNU.sparse.map": "0,one", "GNU.sparse.size": str(LARGE)},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(LARGE)},
        {"path": "a\0b"},
    ],
    ids=["sparse", "sparse without sense", "sparse of version 1", "a name with a zero"],
)
def test_what_a_backup_never_has_is_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    entry = tarfile.TarInfo("a")
    entry.pax_headers = headers
    with pytest.raises(NotABackupError):
        take(tmp_path, of_one(entry))
    assert not list((tmp_path / "into").iterdir())


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", ".", ""])
def test_a_path_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotABackupError):
        take(tmp_path, of_one(tarfile.TarInfo(name)))
    assert not list((tmp_path / "into").iterdir())


def test_an_archive_with_other_bytes_is_no_backup_or_cannot_be_written(
    tmp_path: Path, backup: bytes
) -> None:
    """Headers are changed so that their sums hold; no error but these two comes out of it."""
    chance = random.Random(5)
    for _ in range(500):
        changed = bytearray(backup)
        for _ in range(chance.choice([1, 1, 2, 5])):
            changed[chance.randrange(512)] = chance.choice([0, 32, 48, 55, 83, 128, 255])
        head = changed[:148] + changed[156:512]
        changed[148:156] = b"%06o\0 " % (sum(head) + 8 * 32)
        try:
            take(tmp_path, bytes(changed))
        except (NotABackupError, OSError):
            written = (tmp_path / "into").rglob("*")
            assert sum(path.stat().st_size for path in written if path.is_file()) <= len(backup)
