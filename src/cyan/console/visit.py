"""One request to one page: who visits, what they sent, and the ways to answer."""

import json
from urllib.parse import quote

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from cyan.console import cookies
from cyan.console.model import CLIENT, ROOT, Session
from cyan.console.rendering import Renderer
from cyan.core.clock import Clock
from cyan.rest.auth import Caller
from cyan.rest.call import Call
from cyan.rest.errors import bad_request

CSRF_FIELD = "csrf"


class Visit(Call):
    """What a page's endpoint is given. `caller` is who is signed in, as the services know them."""

    __slots__ = ("_renderer", "cookies", "session")

    def __init__(
        self,
        request: Request,
        path: dict[str, str],
        request_id: str,
        clock: Clock,
        renderer: Renderer,
        jar: cookies.Jar,
        session: Session | None,
        *,
        max_body_bytes: int,
    ) -> None:
        super().__init__(
            request.scope,
            request.receive,
            path,
            request_id,
            clock,
            max_body_bytes=max_body_bytes,
            caller=None if session is None else caller_of(session),
        )
        self._renderer = renderer
        self.cookies = jar
        self.session = session

    @property
    def is_htmx(self) -> bool:
        """Whether a part of a page asks, not the address line."""
        return self.request.headers.get("hx-request") == "true"

    @property
    def most_bytes(self) -> int:
        """That can be sent to this page at once."""
        return self._max_body_bytes

    @property
    def address(self) -> str:
        """Path and query of this request, for links back to it."""
        query = self.request.url.query
        return self.request.url.path + (f"?{query}" if query else "")

    async def texts(self) -> dict[str, str]:
        """The form's text fields. A field given more than once keeps the last. Raises ApiError."""
        found: dict[str, str] = {}
        for name, value in (await self.body()).items():
            last = value[-1] if isinstance(value, list) and value else value
            if isinstance(last, str):
                found[name] = last.replace("\r\n", "\n")
        return found

    async def texts_of(self, name: str) -> list[str]:
        """All values of a field that may come several times, such as ticked boxes."""
        value = (await self.body()).get(name, [])
        values = value if isinstance(value, list) else [value]
        return [one for one in values if isinstance(one, str)]

    async def upload(self, name: str) -> UploadFile:
        """The file of a form. Raises ApiError 400 when there is none."""
        value = (await self.body()).get(name)
        if not isinstance(value, UploadFile) or not value.filename:
            raise bad_request("Choose a file first.")
        return value

    def page(self, template: str, status: int = 200, /, **values: object) -> Response:
        """A whole page. Templates know `visit` besides what is given."""
        note = self.cookies.take_note()
        body = self._renderer.render(template, visit=self, note=note, **values)
        return Response(body, status, media_type="text/html")

    def part(self, template: str, status: int = 200, /, **values: object) -> Response:
        """A part of a page, for htmx. Nothing is taken that the next page should show."""
        body = self._renderer.render(template, visit=self, note=None, **values)
        return Response(body, status, media_type="text/html")

    def part_text(self, template: str, /, **values: object) -> str:
        """A part of a page as text, for a live stream or to put several together."""
        return self._renderer.render(template, visit=self, note=None, **values)

    def go(self, path: str, note: str | None = None) -> Response:
        """Send the browser to another page, which shows the note once."""
        if note is not None:
            self.cookies.leave_note(note)
        if self.is_htmx:
            return Response(status_code=204, headers={"hx-redirect": path})
        return Response(status_code=303, headers={"location": path})

    def told(self, response: Response, text: str, kind: str = "good") -> Response:
        """The answer to a part, with a toast. `kind`: `good`, `bad` or `info`."""
        # Headers are Latin-1; JSON as the standard library makes it is all ASCII.
        response.headers["hx-trigger"] = json.dumps({"toast": {"text": text, "kind": kind}})
        return response


def caller_of(session: Session) -> Caller:
    """The person of a session, as the access doors know callers."""
    return Caller(
        session.user_id,
        session.username,
        session.id,
        CLIENT,
        session.expires_at_ms,
        session.is_operator,
    )


def safe_next(text: str | None, otherwise: str = ROOT) -> str:
    """Where to go after signing in: a path of the console, never another site."""
    if not text or not text.startswith(f"{ROOT}/") or "\\" in text or not text.isprintable():
        return otherwise
    return quote(text, safe="/?&=%:@!$'()*+,;~-._")
