"""The events room: what is said now, what was said before, and saying something."""

import asyncio
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from cyan.console.eventlines import DeviceNames, EventLine, EventTail, line_of_event
from cyan.console.live import STREAM_LIMIT, stream
from cyan.console.model import ROOT
from cyan.console.needs import Needs
from cyan.console.pages import Page
from cyan.console.visit import Visit
from cyan.core.clock import from_ms
from cyan.core.errors import InvalidError
from cyan.core.ids import DeviceId
from cyan.events import store
from cyan.events.cursors import MalformedCursorError
from cyan.events.model import (
    END_OF_TIME_MS,
    MAX_NAME_BYTES,
    EventDataError,
    EventNameError,
    EventTtlError,
    ReservedNameError,
    Wanted,
)
from cyan.events.service import EventsUnavailableError
from cyan.events.streams import StreamFilter
from cyan.rest.dates import parse_date
from cyan.rest.errors import described

EVENTS: Final = f"{ROOT}/events"

PAGE_SIZE: Final = 100

NEWEST: Final = 30
"""Events that a live log begins with."""

LATELY_MS: Final = 15 * 60 * 1000
"""How old these may be: the log has no index by owner, and a quiet account would have all of it
looked through for each page."""

_REFUSALS: Final = (EventNameError, ReservedNameError, EventDataError, EventTtlError)


class Asked(msgspec.Struct, frozen=True):
    """Which events an address asks for. Dates are as a browser's field gives them, in UTC."""

    prefix: str = ""
    device: str = ""
    """An id or a name of one of the reader's devices; "" for all of them."""
    since: str = ""
    until: str = ""

    def query(self, **more: str) -> str:
        said = msgspec.structs.asdict(self) | more
        return urlencode({name: text for name, text in said.items() if text})


class EventsRoom:
    """Events of a person and of their devices."""

    def __init__(self, needs: Needs) -> None:
        self._needs = needs

    async def show(self, visit: Visit) -> Response:
        """The live log, with the newest of the past below what comes."""
        asked = _asked(visit)
        device_id = self._device_id(visit, asked)
        lines, after = await newest(self._needs, visit, device_id, asked.prefix)
        return visit.page("events.html", asked=asked, lines=lines, after=after)

    async def live(self, visit: Visit) -> Response:
        asked = _asked(visit)
        device_id = self._device_id(visit, asked)
        wanted = StreamFilter(visit.caller.user_id, device_id, asked.prefix)
        tail = open_tail(self._needs, visit, wanted)
        return stream(visit, tail, self._needs.sessions.is_living)

    async def history(self, visit: Visit) -> Response:
        """The past, a page at a time; the next one is asked for as a part."""
        asked = _asked(visit)
        try:
            since, until = _date("The first day", asked.since), _date("The last day", asked.until)
        except InvalidError as error:
            told = msgspec.structs.replace(asked, since="", until="")
            return visit.page(
                "events-history.html", asked=told, lines=[], more="", error=error.message
            )
        wanted = Wanted(
            visit.caller.user_id,
            self._device_id(visit, asked),
            asked.prefix,
            from_ms=0 if since is None else since,
            to_ms=END_OF_TIME_MS if until is None else until,
        )
        shown = msgspec.structs.replace(asked, since=_field(since), until=_field(until))
        lines, go_on = await _search(
            self._needs, visit, wanted, visit.query.get("cursor"), PAGE_SIZE
        )
        more = f"{EVENTS}/history?{asked.query(cursor=go_on)}" if go_on else ""
        if visit.is_htmx:
            return visit.part("events-page.html", lines=lines, more=more)
        return visit.page("events-history.html", asked=shown, lines=lines, more=more, error=None)

    async def publish(self, visit: Visit) -> Response:
        """What is wrong with it is said in the form."""
        fields = await visit.texts()
        name, data = fields.get("name", ""), fields.get("data", "")
        client = visit.request.client
        self._needs.publish_limit.admit(visit.caller.user_id, "" if client is None else client.host)
        try:
            await self._needs.events.publish(
                visit.caller.user_id, name.strip(), data.encode(errors="replace")
            )
        except _REFUSALS as error:
            return visit.part("events-publish.html", name=name, data=data, error=error.message)
        except EventsUnavailableError as error:
            raise described(503, "unavailable", error.message) from error
        part = visit.part("events-publish.html", name=name, data=data, error=None)
        return visit.told(part, f"{name.strip()} is published.")

    def _device_id(self, visit: Visit, asked: Asked) -> DeviceId | None:
        """Raises UnknownDeviceError."""
        return self._needs.access.get(visit.caller, asked.device).id if asked.device else None


async def newest(
    needs: Needs, visit: Visit, device_id: DeviceId | None, prefix: str = ""
) -> tuple[list[EventLine], str]:
    """What a live log begins with: the newest events of all or one of the reader's devices, and
    the cursor behind which its stream has to go on, so that none is missed or comes twice."""
    since_ms = visit.clock.now_ms() - LATELY_MS
    wanted = Wanted(visit.caller.user_id, device_id, prefix, from_ms=since_ms)
    end = await asyncio.to_thread(_end, needs)
    page = await needs.history.search(wanted, NEWEST)
    names = DeviceNames(needs.access, visit.caller)
    lines = [
        line_of_event(position, event, needs.cursors, names) for position, event in page.events
    ]
    newest_position = max(end, page.events[0][0]) if page.events else end
    return lines, needs.cursors.encode(newest_position)


def _end(needs: Needs) -> int:
    """The last position of the log now."""
    with store.open_beside(needs.database.path) as connection:
        return store.ends(connection)[1]


async def _search(
    needs: Needs, visit: Visit, wanted: Wanted, cursor: str | None, limit: int
) -> tuple[list[EventLine], str]:
    """Events, the newest first, and the cursor of the next page, "" at the end."""
    after = needs.cursors.decode(cursor) if cursor else None
    page = await needs.history.search(wanted, limit, after)
    names = DeviceNames(needs.access, visit.caller)
    lines = [
        line_of_event(position, event, needs.cursors, names) for position, event in page.events
    ]
    return lines, "" if page.go_on_from is None else needs.cursors.encode(page.go_on_from)


def open_tail(needs: Needs, visit: Visit, wanted: StreamFilter) -> EventTail:
    """The live log of what is wanted; whether the reader may want it was checked before.

    It begins behind the event that the browser has last, as it says when it comes back, or as the
    page said that it already shows. Raises TooManyStreamsError.
    """
    last = visit.request.headers.get("last-event-id") or visit.query.get("after")
    try:
        resume_after = needs.cursors.decode(last) if last else None
    except MalformedCursorError:
        resume_after = None
    inner = needs.hub.subscribe_stream(
        wanted, token_id=visit.caller.token_id, with_ids=True, resume_after=resume_after
    )
    names = DeviceNames(needs.access, visit.caller)

    def render(lines: Sequence[EventLine], left_out: int) -> str:
        return visit.part_text("event-lines.html", lines=lines[::-1], left_out=left_out)

    return EventTail(inner, names, render)


def _asked(visit: Visit) -> Asked:
    query = visit.query
    prefix = query.get("prefix", "")
    while len(prefix.encode(errors="replace")) > MAX_NAME_BYTES:
        prefix = prefix[:-1] if len(prefix) <= MAX_NAME_BYTES else prefix[:MAX_NAME_BYTES]
    return Asked(
        prefix=prefix,
        device=query.get("device", "").strip()[:MAX_NAME_BYTES],
        since=query.get("since", "")[:32],
        until=query.get("until", "")[:32],
    )


def _date(what: str, text: str) -> int | None:
    """Milliseconds since 1970; None for no text. Raises InvalidError."""
    if not text:
        return None
    try:
        return parse_date(text)
    except ValueError as error:
        raise InvalidError(f"{what} is a date like 2026-01-31, or 2026-01-31T12:00.") from error


def _field(at_ms: int | None) -> str:
    """As a browser's field for date and time takes it."""
    return "" if at_ms is None else from_ms(at_ms).strftime("%Y-%m-%dT%H:%M")


def pages(needs: Needs) -> list[Page]:
    room = EventsRoom(needs)
    return [
        Page("GET", EVENTS, room.show),
        Page("GET", f"{EVENTS}/live", room.live, counts_as=STREAM_LIMIT),
        Page("GET", f"{EVENTS}/history", room.history),
        Page("POST", f"{EVENTS}/publish", room.publish, counts_as=("POST", "/v1/devices/events")),
    ]
