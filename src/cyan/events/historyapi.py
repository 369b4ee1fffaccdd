"""REST: looking back into the log of one's events. Ours: the platform keeps no events."""

from typing import Literal

import msgspec
from starlette.responses import Response

from cyan.core.ids import DeviceId
from cyan.devices.access import DeviceAccess
from cyan.devices.model import UnknownDeviceError
from cyan.events.cursors import Cursors, MalformedCursorError
from cyan.events.history import EventHistory
from cyan.events.model import END_OF_TIME_MS, MAX_NAME_BYTES, Event, Wanted
from cyan.events.rendering import to_json
from cyan.rest.call import Call
from cyan.rest.dates import parse_date
from cyan.rest.errors import bad_request, permission_denied
from cyan.rest.registry import Route
from cyan.rest.responses import JsonResponse

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
"""Events of a page; MAX_LIMIT of them with a kilobyte each are the page's bytes too."""

NEWEST, OLDEST = "newest", "oldest"


class HistoryQuery(msgspec.Struct):
    """`device` is an id or a name. Dates are of ISO 8601, UTC without a zone, both included.

    `cursor` is the `next` of the page before, or the id of any event, of a stream too: the page
    begins behind that, in its order.
    """

    prefix: str = ""
    device: str = ""
    start_date: str = ""
    end_date: str = ""
    order: Literal["newest", "oldest"] = "newest"
    limit: int = DEFAULT_LIMIT
    cursor: str = ""


class LoggedEvent(msgspec.Struct):
    """An event as streams show it, with its name and its id, which is a cursor."""

    id: str
    name: str
    data: object
    ttl: int
    published_at: str
    coreid: str
    userid: str
    version: int
    public: bool
    productID: int | msgspec.UnsetType = msgspec.UNSET  # noqa: N815 - as clients spell it


class HistoryReply(msgspec.Struct):
    """`next` is the cursor of the next page. A page may be short, even empty, and have one: the
    search took long. None: there is nothing more now."""

    events: list[LoggedEvent]
    next: str | None


class _Head(msgspec.Struct):
    id: str
    name: str


class _Endpoints:
    def __init__(self, history: EventHistory, cursors: Cursors, access: DeviceAccess) -> None:
        self._history = history
        self._cursors = cursors
        self._access = access

    async def list(self, call: Call) -> Response:
        limit = self._limit(call)
        wanted = self._wanted(call)
        page = await self._history.search(wanted, limit, self._after(call))
        events = [self._render(position, event) for position, event in page.events]
        go_on = None if page.go_on_from is None else self._cursors.encode(page.go_on_from)
        return JsonResponse(msgspec.json.encode({"events": events, "next": go_on}))

    def _wanted(self, call: Call) -> Wanted:
        prefix = call.query.get("prefix", "")
        if len(prefix.encode(errors="replace")) > MAX_NAME_BYTES:
            raise bad_request(f"An event prefix has at most {MAX_NAME_BYTES} bytes.")
        order = call.query.get("order", NEWEST)
        if order not in (NEWEST, OLDEST):
            raise bad_request(f"order is {NEWEST} (first) or {OLDEST} (first).")
        from_ms, to_ms = _date(call, "start_date", 0), _date(call, "end_date", END_OF_TIME_MS)
        if from_ms > to_ms:
            raise bad_request("start_date is not after end_date.")
        return Wanted(
            call.caller.user_id,
            self._device(call),
            prefix,
            from_ms=from_ms,
            to_ms=to_ms,
            newest_first=order == NEWEST,
        )

    def _device(self, call: Call) -> DeviceId | None:
        id_or_name = call.query.get("device")
        if not id_or_name:
            return None
        try:
            return self._access.get(call.caller, id_or_name).id
        except UnknownDeviceError as error:
            raise permission_denied() from error

    def _limit(self, call: Call) -> int:
        text = call.query.get("limit") or str(DEFAULT_LIMIT)
        is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_LIMIT))
        if not is_number or not 1 <= int(text) <= MAX_LIMIT:
            raise bad_request(f"limit is a whole number from 1 to {MAX_LIMIT}.")
        return int(text)

    def _after(self, call: Call) -> int | None:
        cursor = call.query.get("cursor")
        if not cursor:
            return None
        try:
            return self._cursors.decode(cursor)
        except MalformedCursorError as error:
            raise bad_request(error.message) from error

    def _render(self, position: int, event: Event) -> msgspec.Raw:
        """The JSON of streams with id and name before it."""
        head = msgspec.json.encode(_Head(self._cursors.encode(position), event.name))
        return msgspec.Raw(head[:-1] + b"," + to_json(event)[1:])


def _date(call: Call, name: str, otherwise: int) -> int:
    text = call.query.get(name)
    if not text:
        return otherwise
    try:
        return parse_date(text)
    except ValueError as error:
        raise bad_request(
            f"{name} is a date of ISO 8601, like 2026-01-31T12:00:00Z or 2026-01-31."
        ) from error


def routes(history: EventHistory, cursors: Cursors, access: DeviceAccess) -> list[Route]:
    """What a person can do with the past."""
    return [
        Route(
            "GET",
            "/v1/event_log",
            _Endpoints(history, cursors, access).list,
            scope="events:get",
            summary="The caller's past events, a page at a time, by name, device and time.",
            query=HistoryQuery,
            response=HistoryReply,
        )
    ]
