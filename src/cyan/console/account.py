"""A person's account: who they are, and its end."""

from http import HTTPStatus

from starlette.responses import Response

from cyan.accounts.fields import profile_of
from cyan.accounts.model import (
    AccountInUseError,
    MalformedUsernameError,
    OperatorAccountError,
    ProfileError,
    UsernameTakenError,
)
from cyan.console.model import ROOT, SIGN_IN
from cyan.console.needs import Needs
from cyan.console.pages import Page
from cyan.console.proof import fault_of_password
from cyan.console.visit import Visit

ACCOUNT = f"{ROOT}/account"

USER_LIMIT = ("PUT", "/v1/user")
"""Whatever asks for the current password counts as a change of the account over the API."""


def pages(needs: Needs) -> list[Page]:
    room = _Account(needs)
    return [
        Page("GET", ACCOUNT, room.show),
        Page("POST", f"{ACCOUNT}/profile", room.change_profile),
        Page("POST", f"{ACCOUNT}/username", room.change_username, counts_as=USER_LIMIT),
        Page("POST", f"{ACCOUNT}/delete", room.delete, counts_as=USER_LIMIT),
    ]


class _Account:
    def __init__(self, needs: Needs) -> None:
        self._needs = needs
        self._own = needs.accounts.own

    async def show(self, visit: Visit) -> Response:
        return self._page(visit)

    async def change_profile(self, visit: Visit) -> Response:
        fields = await visit.texts()
        said = {name: fields.get(name, "") for name in ("first_name", "last_name", "company_name")}
        value = {**said, "business_account": "business_account" in fields}
        try:
            await self._own.change_profile(visit.caller.user_id, profile_of(value))
        except ProfileError as error:
            return self._page(visit, {"profile": error.message}, fields)
        return visit.go(ACCOUNT, "Saved.")

    async def change_username(self, visit: Visit) -> Response:
        fields = await visit.texts()
        fault = await fault_of_password(self._needs, visit, fields.get("password", ""))
        if fault is not None:
            return self._page(visit, {"username-password": fault}, fields)
        try:
            name = await self._own.change_username(
                visit.caller.user_id, fields.get("username", ""), revoke_tokens=False
            )
        except (MalformedUsernameError, UsernameTakenError) as error:
            return self._page(visit, {"username": error.message}, fields)
        return visit.go(ACCOUNT, f"You now sign in as {name}.")

    async def delete(self, visit: Visit) -> Response:
        fault = await fault_of_password(
            self._needs, visit, (await visit.texts()).get("password", "")
        )
        if fault is not None:
            return self._page(visit, {"delete": fault})
        try:
            await self._own.delete(visit.caller.user_id)
        except (AccountInUseError, OperatorAccountError) as error:
            return self._page(visit, {"delete": error.message})
        visit.cookies.end()
        return visit.go(SIGN_IN, "Your account is deleted.")

    def _page(
        self,
        visit: Visit,
        errors: dict[str, str] | None = None,
        fields: dict[str, str] | None = None,
    ) -> Response:
        user_id = visit.caller.user_id
        user = self._needs.accounts.people.find(user_id)
        return visit.page(
            "account.html",
            HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK,
            user=user,
            profile=self._own.profile(user_id),
            errors=errors or {},
            fields=fields or {},
        )
