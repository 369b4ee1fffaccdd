"""One request to one endpoint."""

from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request
from starlette.types import Receive, Scope

from cyan.core.clock import Clock
from cyan.rest import body
from cyan.rest.auth import Caller
from cyan.rest.errors import token_missing
from cyan.rest.forms import ACCESS_TOKEN


class Call:
    """What an endpoint is given: the request, who calls, and the path's parameters."""

    __slots__ = (
        "_body",
        "_caller",
        "_content",
        "_form",
        "_max_body_bytes",
        "_receive",
        "_request",
        "clock",
        "path",
        "request_id",
        "scope",
    )

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        path: dict[str, str],
        request_id: str,
        clock: Clock,
        *,
        max_body_bytes: int = body.MAX_BODY_BYTES,
        caller: Caller | None = None,
    ) -> None:
        self.scope = scope
        self._receive = receive
        self._request: Request | None = None
        self.path = path
        self.request_id = request_id
        self.clock = clock
        self._max_body_bytes = max_body_bytes
        self._caller = caller
        self._content: bytes | None = None
        self._body: dict[str, object] | None = None
        self._form: FormData | None = None

    @property
    def request(self) -> Request:
        """All else about it. Made when it is asked for: a good part of what is asked of the API
        needs none."""
        if self._request is None:
            self._request = Request(self.scope, self._receive)
        return self._request

    @property
    def caller(self) -> Caller:
        """Who calls. Raises the refusal for a missing token when nobody is known."""
        if self._caller is None:
            raise token_missing()
        return self._caller

    @caller.setter
    def caller(self, caller: Caller) -> None:
        self._caller = caller

    @property
    def known_caller(self) -> Caller | None:
        """Who calls, or None: for endpoints that take both (Auth.OPTIONAL, Auth.OWN)."""
        return self._caller

    @property
    def query(self) -> QueryParams:
        """The query's parameters, decoded; a name may have several values."""
        return self.request.query_params

    async def content(self) -> bytes:
        """The body's bytes, read once. Raises ApiError 413 when there are too many."""
        if self._content is None:
            self._content = await body.read_bytes(self.request, self._max_body_bytes)
        return self._content

    async def body(self) -> dict[str, object]:
        """The JSON object or the form's fields (strings, qs names nested); {} when empty.

        An `access_token` field of a form is not part of it. Raises ApiError 400, 413 or 415.
        """
        fields = await self._fields()
        if ACCESS_TOKEN in fields and self.has_form:
            return {name: value for name, value in fields.items() if name != ACCESS_TOKEN}
        return fields

    async def form_token(self) -> str | None:
        """The `access_token` field of a form body (deprecated, but sent by old tools), or None."""
        if not self.has_form:
            return None
        token = (await self._fields()).get(ACCESS_TOKEN)
        return token if isinstance(token, str) and token else None

    @property
    def has_form(self) -> bool:
        """Whether the body says that it is a form, urlencoded or multipart."""
        return body.media_type(self.request) in (body.URLENCODED, body.MULTIPART)

    async def close(self) -> None:
        """Let go of uploaded files; called after the answer."""
        if self._form is not None:
            await self._form.close()

    async def _fields(self) -> dict[str, object]:
        if self._body is None:
            self._body, self._form = await body.parse(self.request, await self.content())
        return self._body
