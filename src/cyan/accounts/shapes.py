"""The JSON of accounts, as clients send and read it (rest-api-core.md §5 to §7)."""

from typing import Final, Literal

import msgspec

MAX_BODY_BYTES: Final = 32 * 1024
"""All fields of the largest body here at their longest, percent-encoded."""


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A form. Which fields are needed depends on the grant; the client comes in them, or as HTTP
    Basic."""

    grant_type: str
    client_id: str | msgspec.UnsetType = msgspec.UNSET
    client_secret: str | msgspec.UnsetType = msgspec.UNSET
    username: str | msgspec.UnsetType = msgspec.UNSET
    password: str | msgspec.UnsetType = msgspec.UNSET
    mfa_token: str | msgspec.UnsetType = msgspec.UNSET
    otp: str | msgspec.UnsetType = msgspec.UNSET
    refresh_token: str | msgspec.UnsetType = msgspec.UNSET
    expires_in: int | msgspec.UnsetType = msgspec.UNSET
    expires_at: str | msgspec.UnsetType = msgspec.UNSET


class TokenReply(msgspec.Struct, frozen=True):
    """`expires_in` is in seconds; 0 means for ever."""

    token_type: Literal["bearer"]
    access_token: str
    expires_in: int
    refresh_token: str


class CodeNeeded(msgspec.Struct, frozen=True):
    """The account has a second factor: send the code with this `mfa_token`."""

    error: Literal["mfa_required"]
    error_description: str
    mfa_token: str


class Said(msgspec.Struct, frozen=True):
    """It was done, and a sentence for the person."""

    message: str
    ok: Literal[True] = True


class CurrentToken(msgspec.Struct, frozen=True):
    """The token of a request. `client` and `client_id` are the same: clients read either."""

    expires_at: str | None
    client: str | None
    client_id: str | None
    scopes: list[str]
    orgs: list[dict[str, str]]


class ListedToken(msgspec.Struct, frozen=True):
    """`token` is a handle by which it can be ended, not the token."""

    token: str
    expires_at: str | None
    client: str


class AccountInfo(msgspec.Struct, frozen=True):
    """What a person says of themselves."""

    first_name: str = ""
    last_name: str = ""
    business_account: bool = False
    company_name: str = ""


class Mfa(msgspec.Struct, frozen=True):
    enabled: bool


class UserInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A person, as they see themselves."""

    username: str
    subscription_ids: list[int]
    account_info: AccountInfo
    scim_provisioned: bool
    no_password: bool
    tos: int
    memberships: list[dict[str, str]]
    mfa: Mfa
    wifi_device_count: int | msgspec.UnsetType = msgspec.UNSET
    cellular_device_count: int | msgspec.UnsetType = msgspec.UNSET


class UserChanged(UserInfo, frozen=True, kw_only=True):
    """The person after the change, and a sentence for them."""

    message: str
    ok: Literal[True] = True


class Identity(msgspec.Struct, frozen=True):
    id: str
    email: str


class NewUser(msgspec.Struct, frozen=True):
    """A sign-up. `utm` is where the stock library lets a caller put `invitation`."""

    username: str
    password: str
    account_info: AccountInfo | None = None
    invitation: str | None = None
    utm: dict[str, str] | None = None


class UserChange(msgspec.Struct, frozen=True):
    """Either account_info, or username or password with current_password."""

    account_info: AccountInfo | None = None
    username: str | None = None
    password: str | None = None
    current_password: str | None = None
    invalidate_tokens: bool = False


class PasswordOnly(msgspec.Struct, frozen=True):
    password: str


class UsernameOnly(msgspec.Struct, frozen=True):
    username: str


class ResetRedemption(msgspec.Struct, frozen=True):
    """`token` is the code of the mail."""

    token: str
    password: str


class MfaOffer(msgspec.Struct, frozen=True):
    mfa_token: str
    qr_url: str
    secret: str


class MfaConfirmation(msgspec.Struct, frozen=True):
    mfa_token: str
    otp: str
    invalidate_tokens: bool = False


class Enrolled(msgspec.Struct, frozen=True):
    enrolled: bool


class CurrentPassword(msgspec.Struct, frozen=True):
    current_password: str


class ClientInfo(msgspec.Struct, frozen=True):
    """An OAuth client; `secret` only in the answer that makes it."""

    name: str
    type: str
    id: str
    redirect_uri: str | msgspec.UnsetType = msgspec.UNSET
    scope: str | msgspec.UnsetType = msgspec.UNSET
    secret: str | msgspec.UnsetType = msgspec.UNSET


class ClientList(msgspec.Struct, frozen=True):
    clients: list[ClientInfo]
    ok: Literal[True] = True


class OneClient(msgspec.Struct, frozen=True):
    client: ClientInfo
    ok: Literal[True] = True


class NewClient(msgspec.Struct, frozen=True):
    name: str
    type: str
    redirect_uri: str | None = None
    scope: str | None = None


class ClientChange(msgspec.Struct, frozen=True):
    """A scope of `none` takes the scope away."""

    name: str | None = None
    scope: str | None = None


class EndQuery(msgspec.Struct, frozen=True):
    """`keep_current` leaves the token of the request."""

    keep_current: bool = False


class ListQuery(msgspec.Struct, frozen=True):
    """`otp` is the one-time code, with HTTP Basic, where a second factor is on."""

    otp: str | None = None
