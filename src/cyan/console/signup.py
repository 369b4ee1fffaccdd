"""Making an account, where the server lets people do that."""

from http import HTTPStatus

from starlette.responses import Response

from cyan.accounts.fields import profile_of
from cyan.accounts.lockout import BusyAddressError
from cyan.accounts.model import (
    InvitationError,
    MalformedUsernameError,
    PasswordLengthError,
    ProfileError,
    UsernameTakenError,
)
from cyan.accounts.passwords import TooManyLoginsError
from cyan.console.model import ROOT, SIGN_IN
from cyan.console.needs import Needs
from cyan.console.pages import Access, Page
from cyan.console.signin import begin
from cyan.console.visit import Visit

SIGN_UP = f"{ROOT}/sign-up"

_FIELD_OF = {
    MalformedUsernameError: "username",
    UsernameTakenError: "username",
    PasswordLengthError: "password",
    ProfileError: "first_name",
    InvitationError: "invitation",
}
"""Beside which field a refusal stands."""

_INVITATION = "This code is not one for this e-mail address, was used, or has ended."


def pages(needs: Needs) -> list[Page]:
    """None at all where sign-up is closed."""
    if needs.config.sign_up == "closed":
        return []
    room = _SignUp(needs)
    limit = ("POST", "/v1/users")
    return [
        Page("GET", SIGN_UP, room.form, Access.ANYONE),
        Page("POST", SIGN_UP, room.create, Access.ANYONE, limit),
    ]


class _SignUp:
    def __init__(self, needs: Needs) -> None:
        self._accounts = needs.accounts
        self._sessions = needs.sessions

    async def form(self, visit: Visit) -> Response:
        if visit.session is not None:
            return visit.go(ROOT)
        fields = {"invitation": visit.query.get("invitation", "")}
        return visit.page("sign-up.html", fields=fields, errors={})

    async def create(self, visit: Visit) -> Response:
        fields = await visit.texts()
        names = {name: fields.get(name, "") for name in ("first_name", "last_name")}
        try:
            user_id = await self._accounts.sign_up.create(
                fields.get("username", ""),
                fields.get("password", ""),
                profile_of(names),
                fields.get("invitation", "").strip() or None,
            )
        except tuple(_FIELD_OF) as error:
            text = _INVITATION if isinstance(error, InvitationError) else error.message
            return self._again(visit, fields, {_FIELD_OF[type(error)]: text})
        except (BusyAddressError, TooManyLoginsError) as error:
            return self._again(visit, fields, {"": error.message})
        user = self._accounts.people.find(user_id)
        checked_hash = self._accounts.people.password_hash(user_id)
        if user is None or checked_hash is None:
            return visit.go(SIGN_IN)
        visit.cookies.leave_note("Welcome. Your account is made.")
        return await begin(self._sessions, visit, user, checked_hash)

    def _again(self, visit: Visit, fields: dict[str, str], errors: dict[str, str]) -> Response:
        return visit.page(
            "sign-up.html", HTTPStatus.UNPROCESSABLE_ENTITY, fields=fields, errors=errors
        )
