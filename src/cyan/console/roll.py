"""A page of a person's devices: what the address asks for, and what is there.

The address is the whole view: it can be shared, kept and gone back to.
"""

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

import msgspec

from cyan.console import devicestore
from cyan.console.devicestore import COUNTED, COUNTED_OF_MANY, ORDERS, Sought
from cyan.core.db.engine import Database
from cyan.core.ids import UserId
from cyan.devices.model import Device
from cyan.devices.ownership import Ownership
from cyan.devices.resource import PresenceView
from cyan.events.store import open_beside
from cyan.rest.auth import Caller

PAGE_SIZE: Final = 25
"""As the platform's own lists (platform-semantics.md §20)."""

MAX_PAGE: Final = 10_000
MAX_TEXT: Final = 64
"""Characters of a search: a name has no more."""

COUNT_ONLINE_UP_TO: Final = 2_000
"""Devices whose dots are counted for the title of the page: 0.2 ms of the loop. In a larger fleet
the filter tells."""

LARGE: Final = 10_000
"""Devices of a fleet in which no page looks at each of them: it is sorted by name, and found is
what begins with a text."""

_YES_NO: Final = {"yes": True, "no": False}


class View(msgspec.Struct, frozen=True):
    """What an address asks for. Whatever makes no sense in it counts as not said, because people
    change addresses by hand and links grow old."""

    text: str = ""
    online: bool | None = None
    platform_id: int | None = None
    development: bool | None = None
    order: str = "name"
    descending: bool = False
    page: int = 1

    @property
    def has_filter(self) -> bool:
        return self.sought(UserId("")).has_filter

    def sought(self, owner_id: UserId) -> Sought:
        return Sought(
            owner_id,
            self.text,
            self.online,
            self.platform_id,
            self.development,
            self.order,
            self.descending,
        )

    def query(self, **changed: object) -> str:
        """The part of an address after the question mark, with some of it changed; the first page
        unless `page` is told."""
        view = msgspec.structs.replace(self, **({"page": 1} | changed))
        said = {
            "q": view.text,
            "online": _word(view.online),
            "platform": "" if view.platform_id is None else str(view.platform_id),
            "development": _word(view.development),
            "sort": ("-" if view.descending else "") + view.order,
            "page": str(view.page),
        }
        plain = {"sort": "name", "page": "1"}
        return urlencode({key: text for key, text in said.items() if text != plain.get(key, "")})

    def sorted_by(self, order: str) -> str:
        """The address of this view in another order, or the other way round."""
        turned = self.order == order and not self.descending
        return self.query(order=order, descending=turned)


class Roll(msgspec.Struct, frozen=True):
    """The devices of a page. `count` is how many fit, None for more than `counted`; `total` is how
    many there are, `online` how many of these are online, None in a large fleet."""

    view: View
    devices: list[Device]
    count: int | None
    total: int
    online: int | None
    counted: int = COUNTED

    @property
    def is_large(self) -> bool:
        """Whether only what begins with a text is found."""
        return self.total > LARGE

    @property
    def first(self) -> int:
        """Which one of all that fit is the first of the page."""
        return (self.view.page - 1) * PAGE_SIZE + 1

    @property
    def last(self) -> int:
        return self.first + len(self.devices) - 1

    @property
    def has_next(self) -> bool:
        if len(self.devices) < PAGE_SIZE:
            return False
        if self.count is None:
            # A search of a large fleet finds no more than are counted.
            return not (self.is_large and self.view.text) or self.last < self.counted
        return self.last < self.count


class Rolls:
    """Makes pages of devices, beside the loop: a filter may have to look at each device."""

    def __init__(self, db: Database, ownership: Ownership, presence: PresenceView) -> None:
        self._db = db
        self._ownership = ownership
        self._presence = presence

    async def read(self, caller: Caller, view: View) -> Roll:
        """The page of the caller's own devices. Nobody sees others."""
        total = len(self._ownership.devices_of(caller.user_id))
        is_large = total > LARGE
        if is_large and view.order != "name":
            view = msgspec.structs.replace(view, order="name", descending=False)
        look = self._look_at_many if is_large else self._look
        devices, count = await asyncio.to_thread(look, view.sought(caller.user_id), view.page)
        return Roll(
            view,
            devices,
            total if count is None else count if count <= self._most(total) else None,
            total,
            self.count_online(caller),
            self._most(total),
        )

    def count_online(self, caller: Caller) -> int | None:
        """How many of the caller's devices are online; None in a large fleet."""
        own = self._ownership.devices_of(caller.user_id)
        return sum(map(self._presence.is_online, own)) if len(own) <= COUNT_ONLINE_UP_TO else None

    @staticmethod
    def _most(total: int) -> int:
        return COUNTED_OF_MANY if total > LARGE else COUNTED

    def _look(self, sought: Sought, page: int) -> tuple[list[Device], int | None]:
        """The page, and how many there are in all; None without a filter."""
        with open_beside(self._db.path) as connection:
            devices = devicestore.page(connection, sought, (page - 1) * PAGE_SIZE, PAGE_SIZE)
            if not sought.has_filter:
                return devices, None
            return devices, devicestore.count(connection, sought, COUNTED)

    def _look_at_many(self, sought: Sought, page: int) -> tuple[list[Device], int | None]:
        """The same in a large fleet."""
        start = (page - 1) * PAGE_SIZE
        with open_beside(self._db.path) as connection:
            if sought.text:
                ids = devicestore.begin_so(connection, sought, COUNTED_OF_MANY + 1)
                shown = ids[:COUNTED_OF_MANY][start : start + PAGE_SIZE]
                return devicestore.these(connection, sought.owner_id, shown), len(ids)
            devices = devicestore.page(connection, sought, start, PAGE_SIZE)
            if not sought.has_filter:
                return devices, None
            return devices, devicestore.count(connection, sought, COUNTED_OF_MANY)


def read_view(query: Mapping[str, str]) -> View:
    """From the parameters of an address."""
    sort = query.get("sort", "")
    order = sort.removeprefix("-")
    platform, page = query.get("platform", ""), query.get("page", "")
    return View(
        text=query.get("q", "").strip()[:MAX_TEXT],
        online=_YES_NO.get(query.get("online", "")),
        platform_id=_number(platform, 65_535),
        development=_YES_NO.get(query.get("development", "")),
        order=order if order in ORDERS else "name",
        descending=sort.startswith("-") and order in ORDERS,
        page=max(1, _number(page, MAX_PAGE) or 1),
    )


def _word(flag: bool | None) -> str:
    return "" if flag is None else "yes" if flag else "no"


def _number(text: str, most: int) -> int | None:
    fits = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    return int(text) if fits and int(text) <= most else None
