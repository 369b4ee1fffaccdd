"""Requests that still run when the server stops: a call that waits for a device, most of all."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cyan.rest.errors import described
from cyan.rest.responses import json_response


class Stoppable:
    """An ASGI application whose requests can be ended, each with an answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._running: set[asyncio.Task[object]] = set()
        self._is_stopping = False

    async def stop(self, grace_s: float) -> None:
        """Returns when no request runs any more; those that take longer than `grace_s` get 503."""
        if self._running:
            await asyncio.wait(self._running, timeout=grace_s)
        self._is_stopping = True
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def noticed(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            await self._app(scope, receive, noticed)
        except asyncio.CancelledError:
            if not self._is_stopping:
                raise
            if not has_begun:
                refusal = described(503, "stopping", "The server is stopping. Try again shortly.")
                await json_response(refusal.body, refusal.status)(scope, receive, send)
        finally:
            self._running.discard(task)
