"""Answers: JSON made by msgspec, or nothing."""

from collections.abc import Iterable, Mapping

import msgspec
from starlette.responses import Response

JSON = b"application/json; charset=utf-8"

_encode = msgspec.json.Encoder().encode


class JsonResponse(Response):
    """A JSON body. Its headers are built directly: Starlette's way costs as much as the rest."""

    def __init__(
        self, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status_code = status
        self.background = None
        self.body = body
        self.raw_headers = [
            (b"content-length", b"%d" % len(body)),
            (b"content-type", JSON),
        ]
        if headers:
            self.raw_headers += [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in headers.items()
            ]


def json_response(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> JsonResponse:
    """`value` (dicts, lists, msgspec structs, dataclasses) as compact JSON."""
    return JsonResponse(_encode(value), status, headers)


def join_objects(parts: Iterable[msgspec.Struct]) -> bytes:
    """One JSON object with the fields of all; no two may have one of the same name."""
    inner = b""
    for part in parts:
        fields = _encode(part)[1:-1]
        inner = inner + b"," + fields if inner and fields else inner or fields
    return b"{%b}" % inner


def no_content() -> Response:
    """204 with an empty body."""
    return Response(status_code=204)
