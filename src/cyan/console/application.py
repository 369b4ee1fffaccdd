"""The console as an ASGI application beside that of the API: sessions, forms, errors as pages."""

import uuid

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cyan.console import cookies, refusals
from cyan.console.model import ROOT, SIGN_IN, Session
from cyan.console.origin import check_form
from cyan.console.pages import Access, Page, Pages
from cyan.console.refusals import NotSignedInError
from cyan.console.rendering import Renderer
from cyan.console.sessions import Sessions
from cyan.console.visit import Visit, safe_next
from cyan.core.clock import Clock
from cyan.rest import metrics, requestlog
from cyan.rest.body import MAX_BODY_BYTES
from cyan.rest.errors import described
from cyan.rest.ratelimit import RateLimits
from cyan.rest.registry import MalformedPathError

_ROOT_BYTES = ROOT.encode()

_SECURITY = [
    # Everything comes from here: no script or style in a page itself, nothing from elsewhere.
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none';"
        b" object-src 'none'",
    ),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]

_log = structlog.get_logger(__name__)


class Console:
    """Serves what is below `/console`."""

    def __init__(
        self,
        pages: Pages,
        sessions: Sessions,
        renderer: Renderer,
        clock: Clock,
        limits: RateLimits | None = None,
    ) -> None:
        self._pages = pages
        self._sessions = sessions
        self._renderer = renderer
        self._clock = clock
        self._limits = limits

    @property
    def pages(self) -> tuple[Page, ...]:
        """All pages, static files too."""
        return self._pages.all

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = str(uuid.uuid4())
        bound = structlog.contextvars.bind_contextvars(request_id=request_id)
        started = self._clock.monotonic()
        method: str = scope["method"]
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        answer = _Answer(self, Request(scope, receive), request_id)
        response: Response | None = None
        try:
            try:
                response = await answer.make(method, raw_path)
            except ClientDisconnect:
                return
            response.raw_headers.append((b"x-request-id", request_id.encode()))
            response.raw_headers += _SECURITY
            response.raw_headers += answer.jar.headers()
            if b"cache-control" not in dict(response.raw_headers):
                response.raw_headers.append((b"cache-control", b"no-store"))
            await response(scope, receive, send)
        finally:
            seconds = self._clock.monotonic() - started
            if answer.held is not None and self._limits is not None:
                self._limits.release(answer.held)
            if answer.visit is not None:
                await answer.visit.close()
            status = 0 if response is None else int(response.status_code)
            metrics.observe(method, answer.label, status, seconds)
            requestlog.write(method, raw_path, status, seconds, request_id)
            structlog.contextvars.reset_contextvars(**bound)


class _Answer:
    """What one request gets."""

    def __init__(self, console: Console, request: Request, request_id: str) -> None:
        self._console = console
        self._request = request
        self._request_id = request_id
        self.jar = cookies.Jar(request)
        self.visit: Visit | None = None
        self.label = metrics.UNMATCHED
        self.held: str | None = None

    async def make(self, method: str, raw_path: bytes) -> Response:
        console = self._console
        secret = self.jar.secret
        session = None if secret is None else console._sessions.find(secret)
        path: dict[str, str] = {}
        page: Page | None = None
        try:
            found = console._pages.find(method, raw_path)
            if found is not None:
                page, path = found.page, found.path
        except MalformedPathError:
            pass
        visit = self.visit = Visit(
            self._request,
            path,
            self._request_id,
            console._clock,
            console._renderer,
            self.jar,
            session,
            max_body_bytes=MAX_BODY_BYTES if page is None else page.max_body_bytes,
        )
        try:
            if page is None:
                raise described(404, "not_found", "There is no page at this address.")
            self.label = page.path
            self._count(page, method)
            return await self._serve(visit, page, session, method)
        except NotSignedInError:
            return _to_sign_in(visit)
        except ClientDisconnect:
            raise
        except Exception as error:
            return refusals.answer(visit, error)

    async def _serve(
        self, visit: Visit, page: Page, session: Session | None, method: str
    ) -> Response:
        if page.access is not Access.ANYONE and session is None:
            raise NotSignedInError
        if page.access is Access.OPERATOR and not (session and session.is_operator):
            raise described(404, "not_found", "There is no page at this address.")
        if method not in ("GET", "HEAD"):
            await check_form(visit)
        if session is not None:
            await self._console._sessions.note_use(session)
        return await page.endpoint(visit)

    def _count(self, page: Page, method: str) -> None:
        """Raises ApiError 429."""
        if self._console._limits is None:
            return
        host = self._request.client.host if self._request.client else ""
        self.held = self._console._limits.admit(*(page.counts_as or (method, page.path)), host)


class Front:
    """The console where its paths are asked for, the API for all others."""

    def __init__(self, console: ASGIApp, api: ASGIApp) -> None:
        self._console = console
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
            if raw_path == _ROOT_BYTES or raw_path.startswith(_ROOT_BYTES + b"/"):
                await self._console(scope, receive, send)
                return
            if raw_path == b"/" and scope["method"] in ("GET", "HEAD") and _is_browser(scope):
                await RedirectResponse(ROOT, 303)(scope, receive, send)
                return
        await self._api(scope, receive, send)


def _is_browser(scope: Scope) -> bool:
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


def _to_sign_in(visit: Visit) -> Response:
    """A page is asked for again after signing in; a part or a form goes to the start."""
    is_page = visit.request.method in ("GET", "HEAD") and not visit.is_htmx
    if is_page and "text/html" not in visit.request.headers.get("accept", "text/html"):
        return Response("Sign in first.", 401, media_type="text/plain")
    back = safe_next(visit.address, "") if is_page else ""
    quoted = back.replace("&", "%26").replace("?", "%3F").replace("=", "%3D").replace("+", "%2B")
    return visit.go(f"{SIGN_IN}?next={quoted}" if back else SIGN_IN)
