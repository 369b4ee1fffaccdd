"""A new password for who forgot theirs: a code by mail, and the page that takes it."""

from http import HTTPStatus

from starlette.responses import Response

from cyan.accounts.model import PasswordLengthError, ResetError
from cyan.accounts.passwords import TooManyLoginsError
from cyan.console.model import ROOT, SIGN_IN
from cyan.console.needs import Needs
from cyan.console.pages import Access, Page
from cyan.console.visit import Visit

FORGOTTEN = f"{ROOT}/forgotten"
RESET = f"{ROOT}/reset"


def pages(needs: Needs) -> list[Page]:
    room = _Forgotten(needs)
    path = "/v1/user/password-reset"
    return [
        Page("GET", FORGOTTEN, room.form, Access.ANYONE),
        Page("POST", FORGOTTEN, room.ask, Access.ANYONE, ("POST", path)),
        Page("GET", RESET, room.reset_form, Access.ANYONE),
        Page("POST", RESET, room.reset, Access.ANYONE, ("PUT", path)),
    ]


class _Forgotten:
    def __init__(self, needs: Needs) -> None:
        self._resets = needs.accounts.resets

    async def form(self, visit: Visit) -> Response:
        return visit.page("forgotten.html")

    async def ask(self, visit: Visit) -> Response:
        """The same for everybody, before anything is looked up."""
        self._resets.ask((await visit.texts()).get("username", ""))
        return visit.go(f"{RESET}?sent=1")

    async def reset_form(self, visit: Visit) -> Response:
        return visit.page("reset.html", was_sent="sent" in visit.query, code="", errors={})

    async def reset(self, visit: Visit) -> Response:
        fields = await visit.texts()
        code = fields.get("code", "").strip()
        try:
            await self._resets.redeem(code, fields.get("password", ""))
        except ResetError as error:
            return self._again(visit, code, {"code": error.message})
        except PasswordLengthError as error:
            return self._again(visit, code, {"password": error.message})
        except TooManyLoginsError as error:
            return self._again(visit, code, {"": error.message})
        return visit.go(SIGN_IN, "The new password holds. Sign in with it.")

    def _again(self, visit: Visit, code: str, errors: dict[str, str]) -> Response:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return visit.page("reset.html", status, was_sent=False, code=code, errors=errors)
