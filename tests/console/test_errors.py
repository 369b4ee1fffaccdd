"""What goes wrong, as a page or a toast: what happened, what helps, and the right status."""

import msgspec
import pytest
from starlette.responses import Response

from cyan.accounts.lockout import LockedOutError
from cyan.console.application import Console
from cyan.console.assets import Assets
from cyan.console.pages import Access, Page, Pages
from cyan.console.rendering import Renderer
from cyan.console.sessions import Sessions
from cyan.console.visit import Visit
from cyan.core.bus import Bus
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.errors import ConflictError, ForbiddenError, InvalidError
from cyan.core.ports import DeviceOfflineError, DeviceTimeoutError
from cyan.devices.model import UnknownDeviceError
from cyan.firmware.compiling.model import CompilerBusyError
from cyan.firmware.flashing import NotBegunError
from cyan.firmware.images import ImageLostError, StorageFullError
from cyan.rest.errors import bad_request, described, errors_list
from cyan.rest.ratelimit import too_many_requests
from tests.clock import HandClock
from tests.rest.asgi import Answer, ask

BROWSER = {"accept": "text/html"}
HTMX = {"hx-request": "true"}

ERRORS: list[tuple[Exception, int, str]] = [
    (InvalidError("That name is too long."), 400, "That name is too long."),
    (ForbiddenError("Not yours to do."), 403, "Not yours to do."),
    (UnknownDeviceError(), 404, "There is no such device, or it is not yours."),
    (ConflictError("It is locked."), 409, "It is locked."),
    (DeviceOfflineError(), 409, "The device is not connected."),
    (DeviceTimeoutError(), 504, "did not answer in time"),
    (NotBegunError("It was cancelled."), 409, "It was cancelled."),
    (ImageLostError(), 404, "missing or damaged"),
    (StorageFullError(), 507, "has no room"),
    (CompilerBusyError(), 503, "Too many compilations"),
    (LockedOutError(600), 429, "Try again in 11 minutes."),
    (bad_request("Choose a file first."), 400, "Choose a file first."),
    (errors_list(403, ["That belongs to someone else."]), 403, "That belongs to someone else."),
    (too_many_requests("Too many. Try again in 30 s.", 30), 429, "Too many."),
    (described(413, "too_large", "The body is larger than 9 bytes."), 413, "at most 1.0 MiB"),
    (RuntimeError("a secret of the server's"), 500, "The server failed"),
]


def console(db: Database, clock: Clock, error: Exception) -> Console:
    async def fail(_visit: Visit) -> Response:
        raise error

    assets = Assets()
    renderer = Renderer(clock, {"asset": assets.url, "sign_up": "closed"})
    pages = Pages([*assets.pages(), Page("GET", "/console/fails", fail, Access.ANYONE)])
    return Console(pages, Sessions(db, clock, Bus()), renderer, clock)


async def answer(
    db: Database, clock: HandClock, error: Exception, headers: dict[str, str]
) -> Answer:
    return await ask(console(db, clock, error), "GET", "/console/fails", headers)


@pytest.mark.parametrize(("error", "status", "text"), ERRORS, ids=lambda value: str(value)[:30])
async def test_a_page_says_what_happened(
    db: Database, clock: HandClock, error: Exception, status: int, text: str
) -> None:
    got = await answer(db, clock, error, BROWSER)
    assert got.status == status
    assert got.headers["content-type"] == "text/html; charset=utf-8"
    assert text in got.body.decode()
    assert "To the start" in got.body.decode()


@pytest.mark.parametrize(("error", "status", "text"), ERRORS, ids=lambda value: str(value)[:30])
async def test_a_part_becomes_a_toast_and_leaves_what_is_shown(
    db: Database, clock: HandClock, error: Exception, status: int, text: str
) -> None:
    got = await answer(db, clock, error, HTMX)
    assert (got.status, got.body) == (status, b"")
    assert got.headers["hx-reswap"] == "none"
    told = msgspec.json.decode(got.headers["hx-trigger"])["toast"]
    assert told["kind"] == "bad"
    assert text in told["text"]


async def test_a_failure_of_ours_names_its_request_and_nothing_else(
    db: Database, clock: HandClock
) -> None:
    got = await answer(db, clock, RuntimeError("a secret of the server's"), BROWSER)
    assert got.headers["x-request-id"] in got.body.decode()
    assert "secret" not in got.body.decode()


async def test_words_of_others_are_no_markup(db: Database, clock: HandClock) -> None:
    error = InvalidError("<script>alert('ä灯💣')</script>")
    got = await answer(db, clock, error, BROWSER)
    assert "<script>alert" not in got.body.decode()
    assert "&lt;script&gt;" in got.body.decode()
    toast = (await answer(db, clock, error, HTMX)).headers["hx-trigger"]
    assert msgspec.json.decode(toast)["toast"]["text"] == "<script>alert('ä灯💣')</script>"


async def test_who_must_wait_is_told_for_how_long(db: Database, clock: HandClock) -> None:
    got = await answer(db, clock, too_many_requests("Too many.", 30), BROWSER)
    assert got.headers["retry-after"] == "31"


async def test_a_static_file_is_kept_for_ever_under_its_version_and_asked_about_without(
    db: Database, clock: HandClock
) -> None:
    app = console(db, clock, RuntimeError())
    url = Assets().url("console.css")
    first = await ask(app, "GET", url, {"accept-encoding": "gzip"})
    assert "immutable" in first.headers["cache-control"]
    assert first.headers["content-encoding"] == "gzip"
    plain = await ask(app, "GET", "/console/static/console.css")
    assert plain.headers["cache-control"] == "no-cache"
    assert len(first.body) < len(plain.body) / 3
    again = await ask(
        app, "GET", "/console/static/console.css", {"if-none-match": plain.headers["etag"]}
    )
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    "path", ["nothing.css", "vendor/README.md", "../store.py", "%2e%2e/store.py", "vendor"]
)
async def test_nothing_else_is_a_static_file(db: Database, clock: HandClock, path: str) -> None:
    app = console(db, clock, RuntimeError())
    assert (await ask(app, "GET", f"/console/static/{path}", BROWSER)).status == 404
