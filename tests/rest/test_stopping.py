"""What becomes of requests that still run when the server stops."""

import asyncio

import pytest
from starlette.types import Receive, Scope, Send

from cyan.rest.responses import json_response
from cyan.rest.stopping import Stoppable
from tests.rest.asgi import Answer, ask


class _Waiting:
    """An application whose requests end when it is told so."""

    def __init__(self, *, begins: bool = False) -> None:
        self.has_request = asyncio.Event()
        self.may_end = asyncio.Event()
        self._begins = begins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._begins:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        self.has_request.set()
        await self.may_end.wait()
        await json_response({"ok": True})(scope, receive, send)


async def _asking(app: Stoppable, waiting: _Waiting) -> "asyncio.Task[Answer]":
    request = asyncio.create_task(ask(app, "GET", "/"))
    await waiting.has_request.wait()
    return request


async def test_a_request_that_ends_within_the_grace_keeps_its_answer() -> None:
    waiting = _Waiting()
    app = Stoppable(waiting)
    request = await _asking(app, waiting)
    stopping = asyncio.create_task(app.stop(60))
    await asyncio.sleep(0)
    waiting.may_end.set()
    await stopping
    assert (await request).json() == {"ok": True}


async def test_a_request_that_takes_longer_is_told_that_the_server_stops() -> None:
    waiting = _Waiting()
    app = Stoppable(waiting)
    request = await _asking(app, waiting)
    await app.stop(0)
    answer = await request
    assert (answer.status, answer.json()["error"]) == (503, "stopping")


async def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    waiting = _Waiting(begins=True)
    app = Stoppable(waiting)
    request = await _asking(app, waiting)
    await app.stop(0)
    assert (await request).status == 200


async def test_a_request_that_is_cancelled_by_others_stays_cancelled() -> None:
    waiting = _Waiting()
    request = await _asking(Stoppable(waiting), waiting)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request


async def test_without_requests_a_stop_is_over_at_once() -> None:
    await Stoppable(_Waiting()).stop(60)
