"""Archives of libraries: uploads read with care, folders packed."""

import gzip
import io
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from cyan.libraries.model import (
    MAX_FILES,
    MAX_UNPACKED_BYTES,
    PROPERTIES_FILE,
    InvalidLibraryError,
    Properties,
    read_properties,
)


def read_archive(content: bytes) -> Properties:
    """What an uploaded tar.gz says of itself. Nothing of it is written to the disk.

    Raises InvalidLibraryError.
    """
    try:
        unpacked = gzip.GzipFile(fileobj=io.BytesIO(content)).read(MAX_UNPACKED_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidLibraryError("The archive cannot be read: send a tar.gz.") from error
    if len(unpacked) > MAX_UNPACKED_BYTES:
        raise InvalidLibraryError(f"The library has more than {MAX_UNPACKED_BYTES} bytes.")
    found: Properties | None = None
    has_source = False
    try:
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as archive:
            for count, member in enumerate(archive):
                if count >= MAX_FILES:
                    raise InvalidLibraryError(f"The library has more than {MAX_FILES} files.")
                path = _path_of(member)
                has_source = has_source or path.parts[:1] == ("src",)
                if str(path) == PROPERTIES_FILE and member.isfile():
                    file = archive.extractfile(member)
                    found = read_properties(b"" if file is None else file.read())
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        raise InvalidLibraryError("The archive cannot be read: send a tar.gz.") from error
    if found is None:
        raise InvalidLibraryError(f"The archive has no {PROPERTIES_FILE} at its top.")
    if not has_source:
        raise InvalidLibraryError("The archive has no folder src.")
    return found


def _path_of(member: tarfile.TarInfo) -> PurePosixPath:
    """Whoever unpacks it gets what lies inside of it, and nothing else."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
        raise InvalidLibraryError(
            "The archive may have files and folders in it, no links, and no paths out of it."
        )
    return path


def pack(folder: Path) -> bytes:
    """The files of a folder as tar.gz, always the same for the same files."""
    out = io.BytesIO()
    packed = gzip.GzipFile(fileobj=out, mode="wb", mtime=0)
    with packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                info = tarfile.TarInfo(path.relative_to(folder).as_posix())
                info.size = path.stat().st_size
                with path.open("rb") as file:
                    archive.addfile(info, file)
    return out.getvalue()
