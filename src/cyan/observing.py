"""What the operator's own machines ask: is it well, and how much of what."""

import asyncio
from typing import Final

import structlog
from starlette.responses import Response

from cyan.core import metrics
from cyan.core.db.engine import Database
from cyan.devices.presence import Presence
from cyan.gateway.gateway import Gateway
from cyan.rest.auth import Auth
from cyan.rest.call import Call
from cyan.rest.errors import described
from cyan.rest.forwarding import is_local
from cyan.rest.registry import Reply, Route
from cyan.rest.responses import json_response
from cyan.rest.shapes import Readiness

WRITES_WITHIN_S: Final = 5.0
"""A database that takes longer for nothing is not well."""

_log = structlog.get_logger(__name__)


def routes(database: Database, gateway: Gateway, presence: Presence) -> list[Route]:
    async def health(call: Call) -> Response:
        """200 when all parts are ready: the database writes, devices can connect."""
        ready = {
            "database": await _writes(database),
            "udp": gateway.is_listening,
            "tcp": gateway.is_listening_to_streams,
        }
        status = 200 if all(ready.values()) else 503
        body = {"ok": status == 200, "parts": ready, "online": presence.online_count()}
        return json_response(body, status)

    async def exposition(call: Call) -> Response:
        """Answers loopback, or the operator's token."""
        is_operator = call.known_caller is not None and call.known_caller.is_operator
        if not (is_operator or is_local(call.request)):
            raise described(403, "forbidden", "Metrics answer this machine or the operator.")
        return Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)

    return [
        Route(
            "GET",
            "/health",
            health,
            Auth.NONE,
            summary="Whether all parts are ready.",
            response=(Reply(Readiness), Reply(Readiness, 503)),
        ),
        Route(
            "GET",
            "/metrics",
            exposition,
            Auth.OPTIONAL,
            summary="For Prometheus.",
            response=Reply(media_type="text/plain"),
        ),
    ]


async def _writes(database: Database) -> bool:
    try:
        async with asyncio.timeout(WRITES_WITHIN_S):
            await database.write(lambda connection: None)
    except Exception:
        _log.exception("health.database")
        return False
    return True
