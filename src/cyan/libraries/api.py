"""REST: libraries, in the form of JSON:API (rest-api-core.md §14)."""

from typing import Final

import msgspec
from starlette.datastructures import UploadFile
from starlette.responses import Response

from cyan.core.errors import CyanError, InvalidError
from cyan.libraries import search, shapes
from cyan.libraries.model import (
    MAX_ARCHIVE_BYTES,
    InvalidLibraryError,
    Library,
    UnknownLibraryError,
)
from cyan.libraries.service import Libraries
from cyan.rest.auth import Auth
from cyan.rest.body import MULTIPART
from cyan.rest.call import Call
from cyan.rest.errors import ApiError
from cyan.rest.registry import Reply, Route
from cyan.rest.responses import json_response, no_content

_TAR: Final = "application/gzip"
_LATEST: Final = "latest"
_FORM_BYTES: Final = 16 * 1024
"""What a multipart body has around the archive."""


class Links(msgspec.Struct, frozen=True):
    """`download` is a path at this server, and works without a token."""

    download: str


class Attributes(msgspec.Struct, frozen=True):
    """What a version of a library says of itself, and what the server knows."""

    name: str
    version: str
    installs: int
    license: str
    author: str
    sentence: str
    paragraph: str
    category: str
    url: str
    repository: str
    architectures: list[str]
    dependencies: dict[str, str]
    visibility: str
    official: bool
    mine: bool
    verified: bool


class Item(msgspec.Struct, frozen=True):
    """One version of a library."""

    type: str
    id: str
    links: Links
    attributes: Attributes


class ItemBody(msgspec.Struct, frozen=True):
    """The answer with one library."""

    data: Item


class ListBody(msgspec.Struct, frozen=True):
    """The answer with several."""

    data: list[Item]


class VisibilityRequest(msgspec.Struct, frozen=True):
    """Publishes a library; `visibility` is `public`."""

    visibility: str


class _Endpoints:
    def __init__(self, libraries: Libraries) -> None:
        self._libraries = libraries

    async def list(self, call: Call) -> Response:
        query = call.query
        chosen = search.choose(
            await self._libraries.list_newest(call.caller),
            text=query.get("filter", ""),
            scope=query.get("scope") or "all",
            without=_words(query.get("excludeScopes", "")),
            architectures=_words(query.get("architectures", "")),
            category=query.get("category", ""),
            sort=query.get("sort", ""),
        )
        return _page(call, chosen, search.DEFAULT_LIMIT)

    async def get(self, call: Call) -> Response:
        version = call.query.get("version") or _LATEST
        try:
            found = await self._libraries.get(
                call.caller, call.path["library"], None if version == _LATEST else version
            )
        except UnknownLibraryError as error:
            raise _refusal(error) from error
        return _answer(found)

    async def versions(self, call: Call) -> Response:
        try:
            found = await self._libraries.versions_of(call.caller, call.path["library"])
        except UnknownLibraryError as error:
            raise _refusal(error) from error
        return _page(call, found, search.MAX_LIMIT)

    async def upload(self, call: Call) -> Response:
        files = [each for each in (await call.body()).values() if isinstance(each, UploadFile)]
        try:
            if not files:
                raise InvalidLibraryError("Send the tar.gz of a library as a file of a form.")
            made = await self._libraries.upload(call.caller, await files[0].read())
        except InvalidError as error:
            raise _refusal(error) from error
        return _answer(made, 201)

    async def publish(self, call: Call) -> Response:
        try:
            if (await call.body()).get("visibility") != "public":
                raise InvalidError('Send {"visibility": "public"}.')
            return _answer(await self._libraries.publish(call.caller, call.path["library"]))
        except (InvalidError, UnknownLibraryError) as error:
            raise _refusal(error) from error

    async def delete(self, call: Call) -> Response:
        try:
            await self._libraries.delete(call.caller, call.path["library"])
        except UnknownLibraryError as error:
            raise _refusal(error) from error
        return no_content()

    async def download(self, call: Call) -> Response:
        try:
            content = await self._libraries.fetch(call.path["file"], call.path.get("key"))
        except UnknownLibraryError as error:
            raise _refusal(error) from error
        return Response(content, media_type=_TAR)


def _refusal(error: CyanError) -> ApiError:
    """The shape that library commands read, with our mark of a failure."""
    status = 404 if isinstance(error, UnknownLibraryError) else 400
    return ApiError(status, {"ok": False, "errors": [{"message": error.message}]})


def _words(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _page(call: Call, found: list[Library], default_limit: int) -> Response:
    page, limit = call.query.get("page") or "1", call.query.get("limit") or str(default_limit)
    if not (page.isdecimal() and limit.isdecimal() and len(page + limit) < 12):
        raise _refusal(InvalidError("page and limit are whole numbers from 1."))
    size = max(1, min(int(limit), search.MAX_LIMIT))
    first = (max(1, int(page)) - 1) * size
    return json_response(ListBody([_render(each) for each in found[first:][:size]]))


def _answer(library: Library, status: int = 200) -> Response:
    return json_response(ItemBody(_render(library)), status)


def _render(library: Library) -> Item:
    properties = library.properties
    fields = properties.fields
    return Item(
        type="libraries",
        id=library.name,
        links=Links(library.download),
        attributes=Attributes(
            name=library.name,
            version=properties.version,
            installs=0,
            license=fields.get("license", ""),
            author=fields.get("author", ""),
            sentence=fields.get("sentence", ""),
            paragraph=fields.get("paragraph", ""),
            category=fields.get("category", ""),
            url=fields.get("url", ""),
            repository=fields.get("repository", ""),
            architectures=properties.architectures,
            dependencies=properties.dependencies,
            visibility="public" if library.is_public else "private",
            official=library.is_official,
            mine=library.is_mine,
            verified=library.is_official,
        ),
    )


def routes(libraries: Libraries) -> list[Route]:
    """The routes of this feature."""
    on = _Endpoints(libraries)
    base, one = "/v1/libraries", "/v1/libraries/{library}"
    archive = Reply(None, 200, _TAR)
    uploads = [
        Route("POST", path, on.upload, summary="Upload a version of a library",
              request_media=(MULTIPART,), response=Reply(ItemBody, 201),
              max_body_bytes=MAX_ARCHIVE_BYTES + _FORM_BYTES)
        for path in (base, one)
    ]  # fmt: skip
    return [
        Route("GET", base, on.list, query=shapes.LibrariesQuery, response=ListBody,
              summary="Libraries"),
        *uploads,
        Route("GET", one, on.get, query=shapes.VersionQuery, response=ItemBody,
              summary="One library"),
        Route("PATCH", one, on.publish, request=VisibilityRequest, response=ItemBody,
              summary="Publish a library"),
        Route("DELETE", one, on.delete, response=Reply(None, 204),
              summary="Delete a library of one's own"),
        Route("GET", one + "/versions", on.versions, query=shapes.PageQuery,
              response=ListBody,
              summary="All versions of a library"),
        Route("GET", "/libs/{file}", on.download, Auth.NONE, response=archive,
              summary="The archive of an official library"),
        Route("GET", "/libs/{key}/{file}", on.download, Auth.NONE, response=archive,
              summary="The archive of a library"),
    ]  # fmt: skip
