"""The console's static files: read once, named by their content, kept by browsers."""

import gzip
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from starlette.responses import Response

from cyan.console.model import ROOT
from cyan.console.pages import Access, Page
from cyan.console.visit import Visit
from cyan.core.errors import NotFoundError

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
"""Other files of the folder are not served: licences, notes."""

_FOREVER: Final = "public, max-age=31536000, immutable"
"""The address of a file changes with its content."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file."""

    body: bytes
    packed: bytes
    """The same, compressed by gzip."""
    media_type: str
    version: str


class Assets:
    """All static files, by their path below `static`."""

    def __init__(self) -> None:
        self._assets: dict[str, Asset] = {}
        self._read(files("cyan.console") / "static", "")

    def url(self, name: str) -> str:
        """The address of a file, with its version. Raises KeyError for one that is not there."""
        return f"{ROOT}/static/{name}?v={self._assets[name].version}"

    def pages(self) -> list[Page]:
        return [Page("GET", f"{ROOT}/static/{{file*}}", self._serve, Access.ANYONE)]

    async def _serve(self, visit: Visit) -> Response:
        asset = self._assets.get(visit.path["file"])
        if asset is None:
            raise NotFoundError("There is no such file.")
        is_current = visit.query.get("v") == asset.version
        headers = {
            "cache-control": _FOREVER if is_current else "no-cache",
            "etag": f'"{asset.version}"',
            "vary": "accept-encoding",
            "content-type": asset.media_type,
        }
        if visit.request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        if "gzip" in visit.request.headers.get("accept-encoding", ""):
            return Response(asset.packed, headers={**headers, "content-encoding": "gzip"})
        return Response(asset.body, headers=headers)

    def _read(self, folder: Traversable, prefix: str) -> None:
        for entry in folder.iterdir():
            if entry.is_dir():
                self._read(entry, f"{prefix}{entry.name}/")
                continue
            media_type = _TYPES.get("." + entry.name.rpartition(".")[2])
            if media_type is not None:
                body = entry.read_bytes()
                version = sha256(body).hexdigest()[:12]
                packed = gzip.compress(body, mtime=0)
                self._assets[prefix + entry.name] = Asset(body, packed, media_type, version)
