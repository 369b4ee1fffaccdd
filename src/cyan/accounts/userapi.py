"""The REST routes of a person's own account: sign-up, profile, password, second factor (§7)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

from msgspec import UNSET, UnsetType
from starlette.responses import Response

from cyan.accounts.fields import flag_of, needed_text, profile_of, text_of
from cyan.accounts.lockout import BusyAddressError, LockedOutError
from cyan.accounts.model import User, WrongPasswordError
from cyan.accounts.oauth import host_of
from cyan.accounts.passwords import TooManyLoginsError
from cyan.accounts.service import Accounts
from cyan.accounts.shapes import (
    MAX_BODY_BYTES,
    AccountInfo,
    CurrentPassword,
    Enrolled,
    Identity,
    Mfa,
    MfaConfirmation,
    MfaOffer,
    NewUser,
    PasswordOnly,
    ResetRedemption,
    Said,
    UserChange,
    UserChanged,
    UserInfo,
    UsernameOnly,
)
from cyan.core.errors import CyanError, ForbiddenError
from cyan.core.ids import UserId
from cyan.rest.auth import Auth, InvalidTokenError
from cyan.rest.call import Call
from cyan.rest.errors import ApiError, bad_request, errors_list, token_refused
from cyan.rest.ratelimit import too_many_requests
from cyan.rest.registry import Route
from cyan.rest.responses import json_response
from cyan.rest.shapes import Done

TooMany = (LockedOutError, BusyAddressError, TooManyLoginsError)


@dataclass(frozen=True, slots=True)
class DeviceCounts:
    """How many devices of each kind a person has, for `GET /v1/user`."""

    wifi: int
    cellular: int


def routes(
    accounts: Accounts, device_counts: Callable[[UserId], DeviceCounts] | None = None
) -> list[Route]:
    """The routes. `device_counts` comes from `devices`; without it `user` tells no counts."""
    api = _Api(accounts, device_counts)
    user, reset, enable = "/v1/user", "/v1/user/password-reset", "/v1/user/mfa-enable"
    return [
        Route(
            "POST",
            "/v1/users",
            api.sign_up,
            Auth.NONE,
            summary="Make an account, where sign-up is open or with an invitation.",
            request=NewUser,
            max_body_bytes=MAX_BODY_BYTES,
            response=Done,
        ),
        Route("GET", user, api.user, summary="Who one is.", response=UserInfo),
        Route(
            "PUT",
            user,
            api.change,
            summary="Change one's profile, username or password.",
            request=UserChange,
            max_body_bytes=MAX_BODY_BYTES,
            response=UserChanged,
        ),
        Route(
            "DELETE",
            user,
            api.delete,
            summary="Delete one's account.",
            request=PasswordOnly,
            max_body_bytes=MAX_BODY_BYTES,
            response=Said,
        ),
        Route(
            "GET",
            "/v1/user/identify",
            api.identify,
            summary="One's id and e-mail address.",
            response=Identity,
        ),
        Route(
            "POST",
            reset,
            api.ask_for_reset,
            Auth.NONE,
            summary="Ask for a mail with a code for a new password.",
            request=UsernameOnly,
            max_body_bytes=MAX_BODY_BYTES,
            response=Said,
        ),
        Route(
            "PUT",
            reset,
            api.reset,
            Auth.NONE,
            summary="Set a new password with the code of the mail.",
            request=ResetRedemption,
            max_body_bytes=MAX_BODY_BYTES,
            response=Said,
        ),
        Route("GET", enable, api.offer, summary="Begin a second factor.", response=MfaOffer),
        Route(
            "POST",
            enable,
            api.enable,
            summary="Turn the second factor on with its first code.",
            request=MfaConfirmation,
            max_body_bytes=MAX_BODY_BYTES,
            response=Enrolled,
        ),
        Route(
            "PUT",
            "/v1/user/mfa-disable",
            api.disable,
            summary="Turn the second factor off.",
            request=CurrentPassword,
            max_body_bytes=MAX_BODY_BYTES,
            response=Done,
        ),
    ]


class _Info(TypedDict):
    """The fields of a UserInfo."""

    username: str
    subscription_ids: list[int]
    account_info: AccountInfo
    scim_provisioned: bool
    no_password: bool
    tos: int
    memberships: list[dict[str, str]]
    mfa: Mfa
    wifi_device_count: int | UnsetType
    cellular_device_count: int | UnsetType


class _Api:
    def __init__(
        self, accounts: Accounts, device_counts: Callable[[UserId], DeviceCounts] | None
    ) -> None:
        self._accounts = accounts
        self._device_counts = device_counts

    async def sign_up(self, call: Call) -> Response:
        """Every refusal is a list of sentences: the iOS app shows the first."""
        fields = await call.body()
        try:
            await self._accounts.sign_up.create(
                text_of(fields, "username") or "",
                text_of(fields, "password") or "",
                profile_of(fields.get("account_info")),
                _invitation_of(fields),
            )
        except TooMany as error:
            raise too_many(error) from error
        except ForbiddenError as error:
            raise errors_list(403, [error.message]) from error
        except CyanError as error:
            raise errors_list(400, [error.message]) from error
        return json_response(Done(True))

    async def user(self, call: Call) -> Response:
        return json_response(UserInfo(**self._info(self._user_of(call))))

    async def identify(self, call: Call) -> Response:
        return json_response(Identity(call.caller.user_id, call.caller.username))

    async def change(self, call: Call) -> Response:
        fields = await call.body()
        user = self._user_of(call)
        given = [name for name in ("account_info", "username", "password") if name in fields]
        if len(given) != 1:
            raise bad_request("Send one of account_info, username and password at a time.")
        own = self._accounts.own
        if given == ["account_info"]:
            profile = profile_of(fields["account_info"], own.profile(user.id))
            await own.change_profile(user.id, profile)
            return self._changed(call, "User's account info updated.")
        revoke = flag_of(fields, "invalidate_tokens")
        new = needed_text(fields, given[0])
        await self._check_password(call, needed_text(fields, "current_password"))
        if given == ["username"]:
            await own.change_username(user.id, new, revoke_tokens=revoke)
            return self._changed(call, "User's username updated.")
        try:
            await own.change_password(user.id, new, revoke_tokens=revoke)
        except TooManyLoginsError as error:
            raise too_many(error) from error
        return self._changed(call, "User's password updated.")

    def _changed(self, call: Call, message: str) -> Response:
        """The user object for who changes their profile, a message for the others: both at once."""
        return json_response(UserChanged(**self._info(self._user_of(call)), message=message))

    async def delete(self, call: Call) -> Response:
        await self._check_password(call, needed_text(await call.body(), "password"))
        await self._accounts.own.delete(call.caller.user_id)
        return json_response(Said("User deleted."))

    async def ask_for_reset(self, call: Call) -> Response:
        """The same answer for everybody, before anything is looked up."""
        self._accounts.resets.ask(needed_text(await call.body(), "username"))
        return json_response(Said("Password reset email sent."))

    async def reset(self, call: Call) -> Response:
        fields = await call.body()
        code, password = needed_text(fields, "token"), needed_text(fields, "password")
        try:
            await self._accounts.resets.redeem(code, password)
        except TooManyLoginsError as error:
            raise too_many(error) from error
        return json_response(Said("Password updated. Log in with it."))

    async def offer(self, call: Call) -> Response:
        offer = self._accounts.second_factors.offer(self._user_of(call))
        return json_response(MfaOffer(offer.mfa_token, offer.qr_url, offer.secret))

    async def enable(self, call: Call) -> Response:
        fields = await call.body()
        await self._accounts.second_factors.enable(
            call.caller.user_id,
            needed_text(fields, "mfa_token"),
            needed_text(fields, "otp"),
            revoke_tokens=flag_of(fields, "invalidate_tokens"),
        )
        return json_response(Enrolled(True))

    async def disable(self, call: Call) -> Response:
        await self._check_password(call, needed_text(await call.body(), "current_password"))
        await self._accounts.second_factors.disable(call.caller.user_id)
        return json_response(Done(True))

    async def _check_password(self, call: Call, password: str) -> None:
        """Raises WrongPasswordError, and ApiError 429 when it was tried too often."""
        try:
            right = await self._accounts.logins.is_password_of(
                call.caller.user_id, password, host_of(call)
            )
        except TooMany as error:
            raise too_many(error) from error
        if not right:
            raise WrongPasswordError

    def _user_of(self, call: Call) -> User:
        user = self._accounts.people.find(call.caller.user_id)
        if user is None:
            raise token_refused(InvalidTokenError())
        return user

    def _info(self, user: User) -> _Info:
        profile = self._accounts.own.profile(user.id)
        counts = None if self._device_counts is None else self._device_counts(user.id)
        return {
            "username": user.username,
            "subscription_ids": [],
            "account_info": AccountInfo(
                profile.first_name,
                profile.last_name,
                profile.business_account,
                profile.company_name,
            ),
            "scim_provisioned": False,
            "no_password": not user.has_password,
            "tos": 1,
            "memberships": [],
            "mfa": Mfa(self._accounts.second_factors.is_on(user.id)),
            "wifi_device_count": UNSET if counts is None else counts.wifi,
            "cellular_device_count": UNSET if counts is None else counts.cellular,
        }


def too_many(error: LockedOutError | BusyAddressError | TooManyLoginsError) -> ApiError:
    return too_many_requests(error.message, error.wait_s)


def _invitation_of(fields: dict[str, object]) -> str | None:
    utm = fields.get("utm")
    inner = text_of(utm, "invitation") if isinstance(utm, dict) else None
    return text_of(fields, "invitation") or inner
