"""The JSON that the routes of accounts take and give (rest-api-core.md §5, §7)."""

from typing import Literal

import msgspec


class TokenRequest(msgspec.Struct):
    """A form. The client comes in it, or as HTTP Basic."""

    grant_type: str
    client_id: str | msgspec.UnsetType = msgspec.UNSET
    client_secret: str | msgspec.UnsetType = msgspec.UNSET
    username: str | msgspec.UnsetType = msgspec.UNSET
    password: str | msgspec.UnsetType = msgspec.UNSET
    refresh_token: str | msgspec.UnsetType = msgspec.UNSET
    expires_in: int | msgspec.UnsetType = msgspec.UNSET


class TokenReply(msgspec.Struct):
    """`expires_in` is in seconds; 0 means for ever."""

    token_type: Literal["bearer"]
    access_token: str
    expires_in: int
    refresh_token: str | msgspec.UnsetType | None = msgspec.UNSET


class ListedToken(msgspec.Struct):
    """`token` is a handle by which it can be ended, not the token."""

    token: str
    expires_at: str | None
    client: str | None


class CurrentToken(msgspec.Struct):
    expires_at: str | None
    client: str | None
    client_id: str | None
    scopes: list[str]
    orgs: list[str]


class SecondFactor(msgspec.Struct):
    enabled: bool


class UserReply(msgspec.Struct):
    username: str
    subscription_ids: list[str]
    account_info: dict[str, object]
    scim_provisioned: bool
    no_password: bool
    tos: int
    memberships: list[object]
    mfa: SecondFactor
    wifi_device_count: int | msgspec.UnsetType = msgspec.UNSET
    cellular_device_count: int | msgspec.UnsetType = msgspec.UNSET


class Identity(msgspec.Struct):
    id: str
    email: str
