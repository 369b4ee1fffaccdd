"""Signing in, with the second step for who has a second factor, and signing out."""

from http import HTTPStatus

from starlette.responses import Response

from cyan.accounts.model import User
from cyan.accounts.oauth import host_of
from cyan.accounts.tokens import digest
from cyan.console.model import CLIENT, ROOT, SIGN_IN
from cyan.console.needs import Needs
from cyan.console.pages import Access, Page
from cyan.console.refusals import TOO_MANY
from cyan.console.sessions import Sessions
from cyan.console.visit import Visit, safe_next
from cyan.core.ids import UserId

LOGIN_LIMIT = ("POST", "/oauth/token")
"""Signing in counts as a login of the API: who guesses gains nothing by doing it here."""

_AGAIN = HTTPStatus.UNPROCESSABLE_ENTITY


def pages(needs: Needs) -> list[Page]:
    room = _SignIn(needs)
    return [
        Page("GET", SIGN_IN, room.form, Access.ANYONE),
        Page("POST", SIGN_IN, room.by_password, Access.ANYONE, LOGIN_LIMIT),
        Page("POST", f"{SIGN_IN}/code", room.by_code, Access.ANYONE, LOGIN_LIMIT),
        Page("POST", f"{ROOT}/sign-out", room.sign_out, Access.ANYONE),
    ]


class _SignIn:
    def __init__(self, needs: Needs) -> None:
        self._accounts = needs.accounts
        self._sessions = needs.sessions

    async def form(self, visit: Visit) -> Response:
        if visit.session is not None:
            return visit.go(safe_next(visit.query.get("next")))
        return self._form(visit, {"next": visit.query.get("next", "")}, why=_why(visit))

    async def by_password(self, visit: Visit) -> Response:
        fields = await visit.texts()
        try:
            found = await self._accounts.logins.by_password(
                fields.get("username", ""), fields.get("password", ""), host_of(visit)
            )
        except TOO_MANY as error:
            return self._form(visit, fields, error.message, HTTPStatus.TOO_MANY_REQUESTS)
        if found is None:
            return self._form(visit, fields, "The e-mail address or the password is not right.")
        user, checked_hash = found
        if self._accounts.second_factors.is_on(user.id):
            token = self._accounts.second_factors.challenge(user.id, checked_hash, CLIENT, 0)
            return self._code_form(visit, token, fields)
        return await begin(self._sessions, visit, user, checked_hash, fields.get("next"))

    async def by_code(self, visit: Visit) -> Response:
        fields = await visit.texts()
        token = fields.get("mfa_token", "")
        challenge = self._accounts.second_factors.read_challenge(token, CLIENT)
        user = None
        if challenge is not None:
            user = self._accounts.people.find(UserId(challenge.user_id))
        if challenge is None or user is None:
            return self._form(visit, fields, "That took too long. Begin again.")
        try:
            is_right = await self._accounts.logins.by_code(
                user, fields.get("code", ""), host_of(visit)
            )
        except TOO_MANY as error:
            return self._form(visit, fields, error.message, HTTPStatus.TOO_MANY_REQUESTS)
        if not is_right:
            return self._code_form(
                visit, token, fields, "The code is not right, or was used. Wait for the next one."
            )
        checked_hash = self._accounts.people.password_hash(user.id)
        if checked_hash is None or digest(checked_hash) != challenge.checked_hash:
            return self._form(visit, fields, "The password was changed meanwhile. Begin again.")
        return await begin(self._sessions, visit, user, checked_hash, fields.get("next"))

    async def sign_out(self, visit: Visit) -> Response:
        if visit.session is not None:
            await self._sessions.end(visit.session.user_id, visit.session.id)
        visit.cookies.end()
        return visit.go(SIGN_IN, "You are signed out.")

    def _form(
        self,
        visit: Visit,
        fields: dict[str, str],
        error: str | None = None,
        status: int = _AGAIN,
        why: str | None = None,
    ) -> Response:
        return visit.page(
            "sign-in.html",
            HTTPStatus.OK if error is None else status,
            username=fields.get("username", ""),
            next=fields.get("next", ""),
            error=error,
            why=why,
        )

    def _code_form(
        self, visit: Visit, token: str, fields: dict[str, str], error: str | None = None
    ) -> Response:
        return visit.page(
            "sign-in-code.html",
            HTTPStatus.OK if error is None else _AGAIN,
            mfa_token=token,
            next=fields.get("next", ""),
            error=error,
        )


def _why(visit: Visit) -> str | None:
    """What to tell somebody who did not ask for this page."""
    if visit.cookies.secret is not None:
        return "Your session has ended. Sign in again."
    if visit.query.get("next"):
        return "Sign in to see that page."
    return None


async def begin(
    sessions: Sessions, visit: Visit, user: User, checked_hash: str, next_: str | None = None
) -> Response:
    """Sign somebody in whose proofs were right, and lead them where they wanted to go."""
    if visit.session is not None:
        await sessions.end(visit.session.user_id, visit.session.id)
    agent = visit.request.headers.get("user-agent", "")
    secret = await sessions.begin(user, checked_hash, agent)
    if secret is None:
        return visit.go(SIGN_IN, "The password was changed meanwhile. Sign in with the new one.")
    visit.cookies.begin(secret)
    return visit.go(safe_next(next_))
