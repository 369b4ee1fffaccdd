"""REST: publish, and the three streams of a person (rest-api-core.md §10)."""

import msgspec
from starlette.responses import Response

from cyan.core.ids import DeviceId
from cyan.devices.access import DeviceAccess
from cyan.devices.api import get_device
from cyan.events.cursors import Cursors, MalformedCursorError
from cyan.events.hub import Hub
from cyan.events.model import (
    DEFAULT_TTL_S,
    MAX_NAME_BYTES,
    EventDataError,
    EventNameError,
    EventTtlError,
    ReservedNameError,
)
from cyan.events.publishlimit import PublishLimit
from cyan.events.readers import TooManyStreamsError
from cyan.events.service import EventService, EventsUnavailableError
from cyan.events.streams import StreamFilter
from cyan.rest.call import Call
from cyan.rest.errors import bad_request, described, ok_false
from cyan.rest.registry import EVENT_STREAM, Reply, Route
from cyan.rest.responses import json_response
from cyan.rest.sse import SseResponse

_REFUSALS = (EventNameError, ReservedNameError, EventDataError, EventTtlError)


class PublishRequest(msgspec.Struct):
    """Body of a publish, JSON or form. `private` and `public` are accepted and mean nothing."""

    name: str
    data: str = ""
    ttl: int = DEFAULT_TTL_S


class PublishReply(msgspec.Struct):
    ok: bool = True


class StreamQuery(msgspec.Struct):
    """`cursor`, empty or the last `id:` that came, asks for `id:` lines and what was missed."""

    cursor: str | msgspec.UnsetType = msgspec.UNSET


_STREAM = Reply(media_type=EVENT_STREAM)


class _Endpoints:
    def __init__(
        self,
        service: EventService,
        hub: Hub,
        cursors: Cursors,
        access: DeviceAccess,
        limit: PublishLimit,
    ) -> None:
        self._service = service
        self._limit = limit
        self._hub = hub
        self._cursors = cursors
        self._access = access

    async def publish(self, call: Call) -> Response:
        fields = await call.body()
        name = fields.get("name")
        if not isinstance(name, str):
            raise bad_request("An event needs a name: text of 1 to 64 bytes.")
        data, ttl_s = _data(fields.get("data", "")), _ttl_s(fields.get("ttl"))
        client = call.request.client
        self._limit.admit(call.caller.user_id, "" if client is None else client.host)
        try:
            await self._service.publish(call.caller.user_id, name, data, ttl_s)
        except _REFUSALS as error:
            raise bad_request(error.message) from error
        except EventsUnavailableError as error:
            raise described(503, "unavailable", error.message) from error
        return json_response(PublishReply())

    async def stream_by_prefix(self, call: Call) -> Response:
        return self._open(call, None)

    async def stream_without_prefix(self, call: Call) -> Response:
        raise ok_false(400, "event prefix filter is required")

    async def stream_of_own_devices(self, call: Call) -> Response:
        return self._open(call, None)

    async def stream_of_one_device(self, call: Call) -> Response:
        return self._open(call, get_device(self._access, call).id)

    def _open(self, call: Call, device_id: DeviceId | None) -> Response:
        prefix = call.path.get("prefix", "")
        if len(prefix.encode(errors="replace")) > MAX_NAME_BYTES:
            raise bad_request(f"An event prefix has at most {MAX_NAME_BYTES} bytes.")
        with_ids, resume_after = self._resume(call)
        caller = call.caller
        try:
            stream = self._hub.subscribe_stream(
                StreamFilter(caller.user_id, device_id, prefix),
                token_id=caller.token_id,
                expires_at_ms=caller.expires_at_ms,
                with_ids=with_ids,
                resume_after=resume_after,
            )
        except TooManyStreamsError as error:
            raise described(429, "too_many_streams", error.message) from error
        return SseResponse(stream)

    def _resume(self, call: Call) -> tuple[bool, int | None]:
        """Whether the reader wants cursors, and the position it goes on from."""
        cursor = call.query.get("cursor")
        if cursor is not None:
            try:
                return True, self._cursors.decode(cursor) if cursor else None
            except MalformedCursorError as error:
                raise bad_request(error.message) from error
        last_id = call.request.headers.get("last-event-id")
        if last_id is None:
            return False, None
        try:
            return True, self._cursors.decode(last_id)
        except MalformedCursorError:
            # An EventSource sends what it last saw, wherever that was, and cannot be told to stop.
            return True, None


def _data(value: object) -> bytes | None:
    """Text as it is; other JSON values as their text, since data always is text."""
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode(errors="replace")
    return msgspec.json.encode(value)


def _ttl_s(value: object) -> int:
    if value is None or value == "":
        return DEFAULT_TTL_S
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 9:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise bad_request(EventTtlError().message)


def routes(
    service: EventService,
    hub: Hub,
    cursors: Cursors,
    access: DeviceAccess,
    limit: PublishLimit,
) -> list[Route]:
    """What a person can do with events."""
    endpoints = _Endpoints(service, hub, cursors, access, limit)
    own, one = endpoints.stream_of_own_devices, endpoints.stream_of_one_device
    one_device = "/v1/devices/{device}/events"
    return [
        Route(
            "POST",
            "/v1/devices/events",
            endpoints.publish,
            summary="Publish an event to the caller's streams, and to their subscribed devices when"
            " the data has at most 1024 bytes; streams get up to 102400.",
            request=PublishRequest,
            response=PublishReply,
        ),
        Route(
            "GET",
            "/v1/events",
            endpoints.stream_without_prefix,
            summary="Refused: this stream needs a prefix.",
            response=_STREAM,
        ),
        Route(
            "GET",
            "/v1/events/{prefix*}",
            endpoints.stream_by_prefix,
            summary="Stream the caller's events whose name starts with the prefix.",
            query=StreamQuery,
            response=_STREAM,
        ),
        Route(
            "GET",
            "/v1/devices/events",
            own,
            summary="Stream the events of the caller and of the caller's devices.",
            query=StreamQuery,
            response=_STREAM,
        ),
        Route(
            "GET",
            "/v1/devices/events/{prefix*}",
            own,
            summary="Stream the caller's events whose name starts with the prefix.",
            query=StreamQuery,
            response=_STREAM,
        ),
        Route(
            "GET",
            one_device,
            one,
            summary="Stream the events of one device.",
            query=StreamQuery,
            response=_STREAM,
        ),
        Route(
            "GET",
            one_device + "/{prefix*}",
            one,
            summary="Stream the events of one device whose name starts with the prefix.",
            query=StreamQuery,
            response=_STREAM,
        ),
    ]
