"""How a person proves who they are: password, second factor, and where they are signed in."""

from http import HTTPStatus

import segno
from markupsafe import Markup
from starlette.responses import Response

from cyan.accounts.model import (
    AlreadyEnabledError,
    EnrolmentError,
    PasswordLengthError,
    WrongCodeError,
)
from cyan.accounts.passwords import TooManyLoginsError
from cyan.accounts.secondfactor import Offer
from cyan.console.account import ACCOUNT, USER_LIMIT
from cyan.console.browsers import browser_of
from cyan.console.needs import Needs
from cyan.console.pages import Page
from cyan.console.proof import fault_of_password
from cyan.console.visit import Visit

SECURITY = f"{ACCOUNT}/security"
SECOND_FACTOR = f"{SECURITY}/second-factor"

MAX_OFFER_CHARACTERS = 1000
"""Of what an app is told; ours have some 150."""


def pages(needs: Needs) -> list[Page]:
    room, second = _Security(needs), _SecondFactor(needs)
    return [
        Page("GET", SECURITY, room.show),
        Page("POST", f"{SECURITY}/password", room.change_password, counts_as=USER_LIMIT),
        Page("POST", f"{SECURITY}/sessions", room.end_others),
        Page("POST", f"{SECURITY}/sessions/{{session}}", room.end_one),
        Page("GET", SECOND_FACTOR, second.offer),
        Page("POST", SECOND_FACTOR, second.enable),
        Page("POST", f"{SECOND_FACTOR}/off", room.disable, counts_as=USER_LIMIT),
    ]


class _Security:
    def __init__(self, needs: Needs) -> None:
        self._needs = needs
        self._sessions = needs.sessions

    async def show(self, visit: Visit) -> Response:
        return self._page(visit)

    async def change_password(self, visit: Visit) -> Response:
        fields = await visit.texts()
        fault = await fault_of_password(self._needs, visit, fields.get("current", ""))
        if fault is not None:
            return self._page(visit, {"current": fault})
        try:
            await self._needs.accounts.own.change_password(
                visit.caller.user_id,
                fields.get("password", ""),
                revoke_tokens="revoke_tokens" in fields,
            )
        except PasswordLengthError as error:
            return self._page(visit, {"password": error.message})
        except TooManyLoginsError as error:
            return self._page(visit, {"current": error.message})
        assert visit.session is not None
        await self._sessions.keep(visit.session)
        return visit.go(SECURITY, "The new password holds. Other browsers are signed out.")

    async def disable(self, visit: Visit) -> Response:
        fields = await visit.texts()
        fault = await fault_of_password(self._needs, visit, fields.get("password", ""))
        if fault is not None:
            return self._page(visit, {"second-factor": fault})
        await self._needs.accounts.second_factors.disable(visit.caller.user_id)
        return visit.go(SECURITY, "The second factor is off.")

    async def end_one(self, visit: Visit) -> Response:
        await self._sessions.end(visit.caller.user_id, visit.path["session"])
        return visit.go(SECURITY, "That browser is signed out.")

    async def end_others(self, visit: Visit) -> Response:
        await self._sessions.end(visit.caller.user_id, but=visit.caller.token_id)
        return visit.go(SECURITY, "All other browsers are signed out.")

    def _page(self, visit: Visit, errors: dict[str, str] | None = None) -> Response:
        user_id = visit.caller.user_id
        return visit.page(
            "account-security.html",
            HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK,
            has_second_factor=self._needs.accounts.second_factors.is_on(user_id),
            sessions=[(one, browser_of(one.agent)) for one in self._sessions.list_of(user_id)],
            errors=errors or {},
        )


class _SecondFactor:
    """Turning it on: a secret for the app, then its first code."""

    def __init__(self, needs: Needs) -> None:
        self._accounts = needs.accounts

    async def offer(self, visit: Visit) -> Response:
        user = self._accounts.people.find(visit.caller.user_id)
        assert user is not None
        try:
            offer = self._accounts.second_factors.offer(user)
        except AlreadyEnabledError as error:
            return visit.go(SECURITY, error.message)
        return self._page(visit, offer)

    async def enable(self, visit: Visit) -> Response:
        fields = await visit.texts()
        offer = Offer(
            fields.get("mfa_token", ""),
            fields.get("qr_url", "")[:MAX_OFFER_CHARACTERS],
            fields.get("secret", ""),
        )
        try:
            await self._accounts.second_factors.enable(
                visit.caller.user_id,
                offer.mfa_token,
                fields.get("code", "").replace(" ", ""),
                revoke_tokens="revoke_tokens" in fields,
            )
        except WrongCodeError as error:
            return self._page(visit, offer, error.message)
        except (EnrolmentError, AlreadyEnabledError) as error:
            return visit.go(SECURITY, error.message)
        return visit.go(SECURITY, "The second factor is on. Signing in now needs a code.")

    def _page(self, visit: Visit, offer: Offer, error: str | None = None) -> Response:
        return visit.page(
            "account-second-factor.html",
            HTTPStatus.OK if error is None else HTTPStatus.UNPROCESSABLE_ENTITY,
            offer=offer,
            picture=picture_of(offer.qr_url),
            error=error,
        )


def picture_of(text: str) -> Markup:
    """A QR code as SVG: shapes with attributes only, for pages that allow no style."""
    code = segno.make(text or "-", micro=False)
    # The library escapes what it writes; the text itself is not in it, only squares.
    return Markup(code.svg_inline(scale=4, border=2, dark="#000", light="#fff", omitsize=True))  # noqa: S704
