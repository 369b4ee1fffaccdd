"""The JSON that the routes of ledgers give, and what they take after the question mark
(rest-api-core.md §20)."""

from typing import Literal

import msgspec


class LedgersQuery(msgspec.Struct):
    """`scope` is Owner or Device; `archived` shows archived ledgers in place of the others."""

    scope: str = ""
    archived: str = ""
    page: int = 1
    per_page: int = 25


class PageQuery(msgspec.Struct):
    page: int = 1
    per_page: int = 25


class SetQuery(msgspec.Struct):
    """`Merge` keeps the keys that are not sent."""

    set_mode: Literal["Replace", "Merge"] = "Replace"


class VersionsQuery(msgspec.Struct):
    """Stamps of ISO 8601; without a zone they are UTC."""

    replaced_before: str = ""
    replaced_after: str = ""


class LedgerStats(msgspec.Struct):
    instance_count: int
    total_bytes: int


class Ledger(msgspec.Struct):
    """`direction` is as devices see it; `stats` only where one ledger is asked for."""

    scope: Literal["Owner", "Device"]
    name: str
    description: str
    direction: Literal["Upstream", "Downstream"] | None
    created_at: str
    updated_at: str
    archived_at: str | None
    stats: LedgerStats | msgspec.UnsetType = msgspec.UNSET


class Page(msgspec.Struct):
    page: int
    per_page: int
    total_pages: int
    total: int


class LedgerReply(msgspec.Struct):
    ledger: Ledger


class LedgersReply(msgspec.Struct):
    """`ledger_definitions` is the same list: clients do not agree on the name."""

    ledgers: list[Ledger]
    ledger_definitions: list[Ledger]
    meta: Page


class InstanceScope(msgspec.Struct):
    """The device or account; `not_owned` when the device is the caller's no more."""

    type: Literal["Owner", "Device"]
    value: str
    name: str | msgspec.UnsetType | None = msgspec.UNSET
    not_owned: bool | msgspec.UnsetType = msgspec.UNSET


class LedgerInstance(msgspec.Struct):
    """`replaced_at` only in what it held before."""

    name: str
    scope: InstanceScope
    version: int
    size_bytes: int
    data: dict[str, object]
    created_at: str
    updated_at: str
    replaced_at: str | msgspec.UnsetType = msgspec.UNSET


class InstanceReply(msgspec.Struct):
    instance: LedgerInstance


class InstancesReply(msgspec.Struct):
    instances: list[LedgerInstance]
    meta: Page


class More(msgspec.Struct):
    has_more: bool


class VersionsReply(msgspec.Struct):
    versions: list[LedgerInstance]
    meta: More
