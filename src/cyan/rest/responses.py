"""Answers: JSON made by msgspec, or nothing."""

from collections.abc import Iterable, Mapping

import msgspec
from starlette.responses import Response

JSON = b"application/json; charset=utf-8"

_encoder = msgspec.json.Encoder()
_encode = _encoder.encode
_encode_into = _encoder.encode_into


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


def join_objects(parts: Iterable[msgspec.Struct | None]) -> bytes:
    """One JSON object with the fields of all; no two may have one of the same name."""
    joined = bytearray(b"{}")
    for part in parts:
        if part is None:
            continue
        # From the brace on that ends what is there; alone, that is nothing.
        start = len(joined) - 1 if len(joined) > len(b"{}") else 0
        _encode_into(part, joined, start)
        if start and len(joined) == start + len(b"{}"):
            del joined[start]
        elif start:
            joined[start] = ord(",")
    return bytes(joined)


def no_content() -> Response:
    """204 with an empty body."""
    return Response(status_code=204)
