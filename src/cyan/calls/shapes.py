"""The JSON that the routes of calls take and give (rest-api-core.md §8.3, §8.4)."""

from typing import Literal

import msgspec


class FunctionRequest(msgspec.Struct):
    """`args` and `params` are other spellings of `arg`; numbers and booleans become text."""

    arg: str | float | bool | msgspec.UnsetType = msgspec.UNSET
    args: str | float | bool | msgspec.UnsetType = msgspec.UNSET
    params: str | float | bool | msgspec.UnsetType = msgspec.UNSET
    format: str | msgspec.UnsetType = msgspec.UNSET


class FunctionReply(msgspec.Struct):
    id: str
    name: str | None
    last_app: str
    connected: Literal[True]
    return_value: int


class RawQuery(msgspec.Struct):
    """`format=raw` gives the bare value as text."""

    format: str = ""


class CoreInfo(msgspec.Struct):
    last_app: str
    last_heard: str | None
    connected: Literal[True]
    last_handshake_at: str | None
    deviceID: str  # noqa: N815 - as clients spell it
    product_id: int | None
    name: str | None


class VariableReply(msgspec.Struct):
    cmd: Literal["VarReturn"]
    name: str
    result: object
    coreInfo: CoreInfo  # noqa: N815 - as clients spell it


class PingReply(msgspec.Struct):
    online: bool
    ok: Literal[True]
