"""The ASGI application: request id, CORS, authentication, dispatch, and JSON for every answer."""

import random
import uuid
from collections.abc import Iterable
from contextvars import ContextVar

import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from cyan.core.clock import Clock
from cyan.core.errors import CyanError
from cyan.rest import metrics, requestlog
from cyan.rest.auth import Auth, Authenticator, ExpiredTokenError, InvalidTokenError, bearer_of
from cyan.rest.call import Call
from cyan.rest.errors import (
    ApiError,
    bad_request,
    described,
    from_cyan_error,
    token_missing,
    token_refused,
)
from cyan.rest.ratelimit import RateLimits
from cyan.rest.registry import MalformedPathError, Match, Registry
from cyan.rest.responses import json_response

ALLOWED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, patch"
"""The last as browsers ask for it (connection.py)."""
ALLOWED_HEADERS = (
    "Authorization, Content-Type, Accept, Last-Event-ID, X-Particle-Tool, X-Particle-Project"
)
"""What browser builds of api-js send (rest-api-core.md §1.1), and EventSource's own header."""

PREFLIGHT_MAX_AGE_S = 24 * 3600

_EVERY_ANSWER = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"x-request-id, x-total-count, retry-after"),
)

_FORM_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})

_log = structlog.get_logger(__name__)

_request_id: ContextVar[str] = ContextVar(f"{structlog.contextvars.STRUCTLOG_KEY_PREFIX}request_id")
"""As `structlog.contextvars.bind_contextvars` would keep it, with less to do for each request."""


def build_asgi(
    registry: Registry,
    authenticator: Authenticator,
    clock: Clock,
    limits: RateLimits | None = None,
) -> "Application":
    """The application over these routes; routes may still be added to the registry later."""
    return Application(registry, authenticator, clock, limits)


class Application:
    """What `build_asgi` makes."""

    def __init__(
        self,
        registry: Registry,
        authenticator: Authenticator,
        clock: Clock,
        limits: RateLimits | None,
    ) -> None:
        self._registry = registry
        self._authenticator = authenticator
        self._clock = clock
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    def answer_now(self, scope: Scope) -> Response | None:
        """The answer to a request without a body, if its route never waits; None, and nothing has
        happened, for all others. Does all that a call of the application does but for sending."""
        raw_path: bytes = scope["raw_path"]
        try:
            match = self._registry.match(scope["method"], raw_path)
        except MalformedPathError:
            return None
        if match is None or not match.route.never_waits:
            return None
        visit = _Visit(scope, raw_path, self._clock.monotonic())
        try:
            call = self._begin(visit, match, scope, _nothing_comes)
            auth = match.route.auth
            if auth is Auth.TOKEN or auth is Auth.OPTIONAL:
                self._admit(call, auth, _token_beside_body(call))
            answer = match.route.endpoint(call)
            if not isinstance(answer, Response):
                answer.close()
                raise TypeError("The endpoint of a route that never waits may wait.")
            response = answer
        except Exception as error:
            response = _refusal(error, visit.request_id)
        self._sign(response, visit)
        self._end(visit)
        return response

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = _Visit(scope, _raw_path(scope), self._clock.monotonic())
        try:
            response = await self._respond(visit, scope, receive)
            await response(scope, receive, send)
        except ClientDisconnect:
            return
        finally:
            if visit.call is not None:
                await visit.call.close()
            self._end(visit)

    async def _respond(self, visit: "_Visit", scope: Scope, receive: Receive) -> Response:
        """Answer or refuse; every error but the client's going becomes an answer."""
        try:
            match = self._find(visit.method, visit.raw_path)
            call = self._begin(visit, match, scope, receive)
            auth = match.route.auth
            if auth is Auth.TOKEN or auth is Auth.OPTIONAL:
                self._admit(call, auth, await _token_of(call))
            answer = match.route.endpoint(call)
            response = answer if isinstance(answer, Response) else await answer
        except ClientDisconnect:
            raise
        except Exception as error:
            response = _refusal(error, visit.request_id)
        self._sign(response, visit)
        return response

    def _begin(self, visit: "_Visit", match: Match, scope: Scope, receive: Receive) -> Call:
        """The call of the endpoint that was found, unless its client makes too many."""
        route = match.route
        visit.label = route.path
        if self._limits is not None:
            client = scope.get("client")
            visit.held = self._limits.admit(route.method, route.path, client[0] if client else "")
        call = visit.call = Call(
            scope,
            receive,
            match.path,
            visit.request_id,
            self._clock,
            max_body_bytes=route.max_body_bytes,
        )
        return call

    def _admit(self, call: Call, auth: Auth, token: str | None) -> None:
        if token is None:
            if auth is Auth.TOKEN:
                raise token_missing()
            return
        try:
            call.caller = self._authenticator.authenticate(token)
        except (InvalidTokenError, ExpiredTokenError) as error:
            raise token_refused(error) from error

    def _sign(self, response: Response, visit: "_Visit") -> None:
        """Put what every answer has on this one."""
        visit.status = response.status_code
        response.raw_headers += ((b"x-request-id", visit.request_id.encode()), *_EVERY_ANSWER)

    def _end(self, visit: "_Visit") -> None:
        seconds = self._clock.monotonic() - visit.started_s
        if visit.held is not None and self._limits is not None:
            self._limits.release(visit.held)
        metrics.observe(visit.method, visit.label, visit.status, seconds)
        requestlog.write(visit.method, visit.raw_path, visit.status, seconds, visit.request_id)
        _request_id.reset(visit.bound)

    def _find(self, method: str, raw_path: bytes) -> Match:
        if method == "OPTIONS":
            raise _PreflightError
        try:
            match = self._registry.match(method, raw_path)
            if match is None and method == "HEAD":
                # As GET (RFC 9110 §9.3.2); the HTTP server sends its head alone.
                match = self._registry.match("GET", raw_path)
        except MalformedPathError as error:
            raise bad_request("The path is not percent-encoded UTF-8.") from error
        if match is not None:
            return match
        allowed = self._registry.methods(raw_path)
        if not allowed:
            raise described(404, "not_found", "There is nothing at this path.")
        refusal = described(
            405,
            "method_not_allowed",
            f"This path does not take {method[:20]}; it takes {_listed(allowed)}.",
        )
        raise ApiError(refusal.status, refusal.body, {"allow": ", ".join([*allowed, "OPTIONS"])})


class _Visit:
    """One request on its way through the application, for its line in the log and its figures."""

    __slots__ = (
        "bound",
        "call",
        "held",
        "label",
        "method",
        "raw_path",
        "request_id",
        "started_s",
        "status",
    )

    def __init__(self, scope: Scope, raw_path: bytes, started_s: float) -> None:
        self.method: str = scope["method"]
        self.raw_path = raw_path
        self.started_s = started_s
        self.request_id = _new_request_id()
        self.bound = _request_id.set(self.request_id)
        self.label = metrics.UNMATCHED
        self.status = 0
        self.call: Call | None = None
        self.held: str | None = None


def _raw_path(scope: Scope) -> bytes:
    """The path as it came, percent-encoded; not every HTTP server tells it."""
    raw_path: bytes | None = scope.get("raw_path")
    return raw_path or scope["path"].encode()


async def _nothing_comes() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


class _PreflightError(Exception):
    """Not a request to a route but a browser's question whether it may make one."""


async def _token_of(call: Call) -> str | None:
    """The token, from the header, the query or a form field, in this order."""
    token = _token_beside_body(call)
    if token is None and call.scope["method"] in _FORM_METHODS:
        return await call.form_token()
    return token


def _token_beside_body(call: Call) -> str | None:
    """The token of the header, or that of the query."""
    for name, value in call.scope["headers"]:
        if name == b"authorization":
            token = bearer_of(value.decode("latin-1"))
            if token is not None:
                return token
    if b"access_token=" in call.scope["query_string"]:
        return call.query.get("access_token") or None
    return None


_id_begins = str(uuid.uuid4())[:-12]


def _new_request_id() -> str:
    """In the form of a UUID (RFC 9562 §5.4), all of a process alike but for the end: a tenth of the
    time that `uuid` takes. It is no secret, and tells nobody how many others ask."""
    return f"{_id_begins}{random.getrandbits(48):012x}"


def _preflight() -> Response:
    return Response(
        status_code=204,
        headers={
            "access-control-allow-methods": ALLOWED_METHODS,
            "access-control-allow-headers": ALLOWED_HEADERS,
            "access-control-max-age": str(PREFLIGHT_MAX_AGE_S),
        },
    )


def _refusal(error: Exception, request_id: str) -> Response:
    """The answer in place of the one that an error prevented."""
    if isinstance(error, ApiError):
        return json_response(error.body, error.status, error.headers)
    if isinstance(error, _PreflightError):
        return _preflight()
    if isinstance(error, CyanError):
        refusal = from_cyan_error(error)
        if refusal is not None:
            return json_response(refusal.body, refusal.status)
    _log.error("http.failed", exc_info=error)
    return json_response(
        {
            "ok": False,
            "error": "internal_error",
            "error_description": f"The server failed; its log has the reason under {request_id}.",
            "request_id": request_id,
        },
        500,
    )


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


async def _lifespan(receive: Receive, send: Send) -> None:
    """`app.py` starts and stops the parts itself; the HTTP server is only told that all is well."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
