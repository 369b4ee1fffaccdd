"""REST: vitals of a device, the last ones, those of a time, their meaning, and new ones
(rest-api-core.md §15)."""

import asyncio
import csv
import io
from collections.abc import Sequence
from typing import Final

import msgspec
from starlette.responses import Response

from cyan.calls.api import unanswered
from cyan.core.clock import iso_ms
from cyan.core.ports import DeviceOfflineError, DeviceRefusedError, DeviceTimeoutError
from cyan.devices.access import DeviceAccess
from cyan.devices.api import get_device
from cyan.health import shapes
from cyan.health.model import (
    RETENTION_MS,
    DateRangeError,
    NoVitalsError,
    Record,
    flatten,
    metadata,
)
from cyan.health.service import Vitals
from cyan.health.summary import DEFAULT_SAMPLES, MAX_SAMPLES, summarize
from cyan.rest.call import Call
from cyan.rest.dates import parse_date
from cyan.rest.errors import ApiError
from cyan.rest.registry import Reply, Route
from cyan.rest.responses import json_response
from cyan.rest.shapes import Done

CSV: Final = "text/csv"

_STAMP_COLUMN: Final = "updated_at"


class _Endpoints:
    def __init__(self, access: DeviceAccess, vitals: Vitals) -> None:
        self._access = access
        self._vitals = vitals

    async def update(self, call: Call) -> Response:
        device = get_device(self._access, call)
        try:
            self._vitals.request(device)
        except (DeviceOfflineError, DeviceTimeoutError, DeviceRefusedError) as error:
            raise unanswered(error) from error
        return json_response({"ok": True}, 202)

    async def last(self, call: Call) -> Response:
        device = get_device(self._access, call)
        try:
            record = self._vitals.get_last(device)
        except NoVitalsError as error:
            raise _refusal(404, "not_found", error.message) from error
        return json_response({"diagnostics": _render(record)})

    async def list(self, call: Call) -> Response:
        device = get_device(self._access, call)
        try:
            from_ms, to_ms = _read_dates(call)
        except DateRangeError as error:
            raise _refusal(400, "bad_request", error.message) from error
        records = self._vitals.list_between(device, from_ms, to_ms)
        if CSV in call.request.headers.get("accept", ""):
            # Thousands of records take a tenth of a second, which other requests shall not wait.
            content = await asyncio.to_thread(_write_csv, records)
            return Response(content, media_type=CSV)
        return json_response({"diagnostics": [_render(record) for record in records]})

    async def summary(self, call: Call) -> Response:
        device = get_device(self._access, call)
        try:
            from_ms, to_ms = _read_dates(call)
        except DateRangeError as error:
            raise _refusal(400, "bad_request", error.message) from error
        # What is older is deleted, and samples of decades would be of no use.
        from_ms = max(from_ms, call.clock.now_ms() - RETENTION_MS)
        limit = _read_limit(call)
        records = self._vitals.list_between(device, from_ms, to_ms)
        summed = await asyncio.to_thread(summarize, device.id, records, from_ms, to_ms, limit)
        return json_response(summed)

    async def metadata(self, call: Call) -> Response:
        get_device(self._access, call)
        return json_response({"diagnostics_metadata": metadata()})


def _refusal(status: int, code: str, description: str) -> ApiError:
    """The shape that these endpoints have for errors, with our mark of a failure."""
    return ApiError(status, {"ok": False, "error": code, "description": description})


def _render(record: Record) -> dict[str, object]:
    return {
        "updated_at": iso_ms(record.at_ms),
        "deviceID": record.device_id,
        "payload": msgspec.Raw(record.payload.encode()),
    }


def _read_dates(call: Call) -> tuple[int, int]:
    """The stretch of time that is asked for, in ms; all that is kept unless told otherwise."""
    now_ms = call.clock.now_ms()
    to_ms = _read_date(call, "end_date", now_ms)
    from_ms = _read_date(call, "start_date", now_ms - RETENTION_MS)
    if from_ms > to_ms:
        raise DateRangeError
    return from_ms, to_ms


def _read_date(call: Call, name: str, otherwise: int) -> int:
    text = call.query.get(name)
    if not text:
        return otherwise
    try:
        return parse_date(text)
    except ValueError as error:
        raise DateRangeError from error


def _read_limit(call: Call) -> int:
    text = call.query.get("limit") or str(DEFAULT_SAMPLES)
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_SAMPLES))
    if not is_number or not 1 <= int(text) <= MAX_SAMPLES:
        raise _refusal(400, "bad_request", f"limit is a whole number from 1 to {MAX_SAMPLES}.")
    return int(text)


def _write_csv(records: Sequence[Record]) -> str:
    """A line for each record, a column for each leaf that any of them has."""
    rows = [
        {_STAMP_COLUMN: iso_ms(record.at_ms)}
        | {path: _cell(leaf) for path, leaf in flatten(record.payload).items()}
        for record in records
    ]
    columns = dict.fromkeys([_STAMP_COLUMN])
    for row in rows:
        columns.update(dict.fromkeys(row))
    written = io.StringIO()
    writer = csv.DictWriter(written, list(columns))
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


def _cell(leaf: object) -> str:
    """A leaf as it stands in JSON, but texts without quotation marks, and nothing for null."""
    if leaf is None:
        return ""
    return leaf if isinstance(leaf, str) else msgspec.json.encode(leaf).decode()


def routes(access: DeviceAccess, vitals: Vitals) -> list[Route]:
    """The routes of this feature."""
    on = _Endpoints(access, vitals)
    one = "/v1/diagnostics/{device}"
    return [
        Route(
            "POST",
            one + "/update",
            on.update,
            scope="devices.diagnostics:update",
            summary="Ask a device for its vitals",
            response=Reply(Done, 202),
        ),
        Route(
            "GET",
            one + "/last",
            on.last,
            scope="devices.diagnostics:get",
            summary="The last vitals of a device",
            response=shapes.ReadingReply,
        ),
        Route(
            "GET",
            one,
            on.list,
            scope="devices.diagnostics:get",
            summary="The vitals of a device, as JSON or CSV",
            query=shapes.VitalsQuery,
            response=(Reply(shapes.ReadingsReply), Reply(media_type=CSV)),
        ),
        Route(
            "GET",
            one + "/summary",
            on.summary,
            scope="devices.diagnostics.summary:get",
            summary="The vitals of a time as a few samples, as graphs show them",
            query=shapes.SummaryQuery,
            response=shapes.SummaryReply,
        ),
        Route(
            "GET",
            one + "/metadata",
            on.metadata,
            scope="devices.diagnostics.metadata:get",
            summary="What the vitals mean",
            response=shapes.MetadataReply,
        ),
    ]
