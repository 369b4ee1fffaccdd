"""Reading a request's body: JSON, urlencoded or multipart, bounded, into one dict."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from cyan.rest import arriving
from cyan.rest.errors import ApiError, bad_request, described
from cyan.rest.forms import MAX_FIELDS, MalformedFormError, nest, parse_urlencoded

MAX_BODY_BYTES = 1024 * 1024
"""The largest body that an endpoint takes unless its route says otherwise. The largest JSON that a
client has reason to send is an event of 100 KB (rest-api-core.md §10.1)."""

BODY_TIMEOUT_S = 60.0
"""How long a body may take to come, or who never sends it would hold a request open forever; the
largest takes 140 kbit/s."""

READ_AT_ONCE_BYTES = 32 * 1024
"""Of an urlencoded form: all `%41`, it takes 3 ms. A longer one is read in a thread."""

PARSED_AT_ONCE_BYTES = 256 * 1024
"""Of a multipart body before others have their turn on the loop: 3 ms of work."""

MAX_FILES = 200
"""Files in one multipart body: a project to compile has at most some dozens."""

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

_CHARSETS = frozenset({b"utf-8", b"utf8", b"us-ascii"})
"""What a multipart form may say that its text is in (RFC 7578 §5.1.2). Python has decoders that a
peer must not choose: `punycode` takes hours for what can be sent here."""


def media_type(request: Request) -> str:
    """The content type without parameters, lower case; "" when there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def too_large(limit: int) -> ApiError:
    return described(413, "too_large", f"The body is larger than {limit} bytes, the most allowed.")


async def read_bytes(request: Request, limit: int) -> bytes:
    """The whole body.

    Raises ApiError: 413 as soon as it is known to be larger than `limit` bytes, 408 when it does
    not come within BODY_TIMEOUT_S, 429 or 503 when too many large ones are on their way.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and (len(declared) > 18 or int(declared) > limit):
        raise too_large(limit)
    content = bytearray()
    host = "" if request.client is None else request.client.host
    try:
        with arriving.ALL.one(host) as body:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                async for chunk in request.stream():
                    if len(content) + len(chunk) > limit:
                        raise too_large(limit)
                    body.grow(len(chunk))
                    content += chunk
    except TimeoutError as error:
        raise described(
            408, "request_timeout", f"The body did not come within {BODY_TIMEOUT_S:.0f} s."
        ) from error
    return bytes(content)


async def parse(request: Request, content: bytes) -> tuple[dict[str, object], FormData | None]:
    """The body as a dict of fields, and the form behind it that holds uploaded files, if any.

    Files stand in the dict as Starlette UploadFile under their part's name; the caller closes the
    form. An empty body is an empty dict. Raises ApiError that says what is wrong.
    """
    if not content:
        return {}, None
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise described(
            415,
            "unsupported_media_type",
            f"The body is encoded as {coding[:80]}; send it without Content-Encoding.",
        )
    kind = media_type(request)
    if kind != MULTIPART and len(content) > MAX_BODY_BYTES:
        raise too_large(MAX_BODY_BYTES)  # more is files, which come as multipart
    try:
        if kind == URLENCODED and len(content) > READ_AT_ONCE_BYTES:
            return nest(await asyncio.to_thread(parse_urlencoded, content)), None
        if kind == URLENCODED:
            return nest(parse_urlencoded(content)), None
        if kind == MULTIPART:
            _check_charset(request)
            form = await _multipart(request, content)
            return nest(form.multi_items()), form
    except MalformedFormError as error:
        raise bad_request(str(error)) from error
    if kind in ("", "application/json") or kind.endswith("+json"):
        return _json_object(content), None
    raise described(
        415,
        "unsupported_media_type",
        f"The body is {kind[:80]}; send application/json, {URLENCODED} or {MULTIPART}.",
    )


def _json_object(content: bytes) -> dict[str, object]:
    try:
        value = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(
            f"The body is not JSON: {error}. Send one JSON object, or a form with its content type."
        ) from error
    if not isinstance(value, dict):
        raise bad_request('The body is JSON but not an object; send one like {"name": "value"}.')
    return value


def _check_charset(request: Request) -> None:
    _, parameters = parse_options_header(request.headers.get("content-type"))
    charset = parameters.get(b"charset", b"utf-8")
    if charset.lower() not in _CHARSETS:
        raise described(
            415,
            "unsupported_media_type",
            f"The form says that its text is {charset[:40].decode('latin-1')}; send UTF-8.",
        )


async def _multipart(request: Request, content: bytes) -> FormData:
    async def stream() -> AsyncIterator[bytes]:
        for start in range(0, len(content), PARSED_AT_ONCE_BYTES):
            yield content[start : start + PARSED_AT_ONCE_BYTES]
            await asyncio.sleep(0)
        yield b""

    parser = MultiPartParser(
        request.headers,
        stream(),  # type: ignore[arg-type]
        max_files=MAX_FILES,
        max_fields=MAX_FIELDS,
        max_part_size=len(content),
    )
    try:
        return await parser.parse()
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        reason = getattr(error, "message", "no boundary in its content type")
        raise bad_request(f"The multipart body cannot be read: {reason}") from error
