"""Every page of the console, asked by nobody, by a stranger and without the form's token."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from cyan.accounts import store as accounts_store
from cyan.console import rooms
from cyan.console.model import SIGN_IN
from cyan.console.pages import Page
from cyan.core.config import Config
from cyan.rest.body import URLENCODED
from tests.cast import Person
from tests.console.access_table import ANYONE, CLAIM, OF_A_DEVICE, OPERATOR, OWN_ONLY
from tests.rest.asgi import Answer, ask
from tests.rest.world import ADAS_DEVICE, ADAS_NAME, World, build_world

BROWSER = {"accept": "text/html,application/xhtml+xml"}


@dataclass(frozen=True, slots=True)
class Place:
    """The whole console over the whole server."""

    world: World
    app: ASGIApp
    pages: list[Page]

    async def sign_in(self, person: Person) -> dict[str, str]:
        """The headers of a browser in which somebody is signed in."""
        user = self.world.parts.people.find(person.user_id)
        found = accounts_store.find_password_hash(self.world.db, person.user_id)
        assert user is not None
        assert found is not None
        secret = await self.world.parts.sessions.begin(user, found, "a test")
        return {**BROWSER, "cookie": f"cyan-session={secret}"}

    async def ask(
        self, page: Page, headers: dict[str, str], fields: str = "", device: str = ADAS_DEVICE
    ) -> Answer:
        values = {"device": device, "file": "console.css"}
        path = re.sub(r"{(\w+)\*?}", lambda match: values.get(match[1], "1"), page.path)
        if page.method == "POST":
            headers = {**headers, "content-type": URLENCODED}
        return await ask(self.app, page.method, path, headers, fields.encode())

    async def token(self, headers: dict[str, str]) -> str:
        shown = await ask(self.app, "GET", "/console/account", headers)
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', shown.body.decode())
        assert found is not None
        return found[1]


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    world = build_world(tmp_path, sign_up="open")
    parts = world.parts
    app = rooms.console(parts.config, parts.clock, parts.sessions, parts.pages)
    yield Place(world, app, [*app.pages])
    await parts.event_log.drain()
    world.close()


def key_of(page: Page) -> tuple[str, str]:
    return page.method, page.path


def is_of_a_device(page: Page) -> bool:
    return page.path.startswith(OF_A_DEVICE)


async def test_every_page_has_a_row_and_every_row_a_page(place: Place) -> None:
    known = ANYONE | OWN_ONLY | OPERATOR | {CLAIM}
    pages = {key_of(page) for page in place.pages if not is_of_a_device(page)}
    assert pages == known


async def test_nobody_is_sent_to_sign_in(place: Place) -> None:
    for page in place.pages:
        if key_of(page) in ANYONE:
            continue
        answer = await place.ask(page, BROWSER)
        assert answer.status == 303, key_of(page)
        assert answer.headers["location"].startswith(SIGN_IN)
        assert answer.body == b""


async def test_pages_for_anyone_ask_for_no_session(place: Place) -> None:
    for page in place.pages:
        if page.method == "GET" and key_of(page) in ANYONE:
            assert (await place.ask(page, BROWSER)).status == 200, page.path


async def test_no_form_does_anything_without_the_token_of_its_page(place: Place) -> None:
    headers = await place.sign_in(place.world.cast.ada)
    other = await place.token(await place.sign_in(place.world.cast.cleo))
    for page in place.pages:
        if page.method != "POST":
            continue
        for fields in ("", "csrf=", f"csrf={'0' * 64}", f"csrf={other}", "csrf=%F0%9F%92%A3"):
            answer = await place.ask(page, headers, fields)
            assert answer.status == 403, (page.path, fields)


async def test_no_form_of_another_site_does_anything(place: Place) -> None:
    headers = await place.sign_in(place.world.cast.ada)
    fields = f"csrf={await place.token(headers)}"
    signs = (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example", "host": "cyan.test"},
        {"origin": "null", "host": "cyan.test"},
    )
    for page in place.pages:
        if page.method == "POST":
            for sign in signs:
                assert (await place.ask(page, {**headers, **sign}, fields)).status == 403


async def test_a_stranger_finds_no_page_of_a_device_and_cannot_tell_whether_it_exists(
    place: Place,
) -> None:
    headers = await place.sign_in(place.world.cast.cleo)
    fields = f"csrf={await place.token(headers)}"
    for page in place.pages:
        if not is_of_a_device(page):
            continue
        sent = fields if page.method == "POST" else ""
        hers = await place.ask(page, headers, sent)
        none = await place.ask(page, headers, sent, device="f" * 24)
        assert (hers.status, none.status) == (404, 404), page.path
        assert _bare(hers, ADAS_DEVICE) == _bare(none, "f" * 24), page.path


def _bare(answer: Answer, device: str) -> str:
    return answer.body.decode().replace(device, "").replace(answer.headers["x-request-id"], "")


async def test_no_page_of_a_stranger_names_what_is_adas(place: Place) -> None:
    headers = await place.sign_in(place.world.cast.cleo)
    ada = place.world.cast.ada
    for page in place.pages:
        if page.method == "GET" and not page.path.endswith("/live"):
            text = (await place.ask(page, headers)).body.decode()
            for name in (ada.username, ada.user_id, ada.token, ada.token_id, ADAS_NAME):
                assert name not in text, (page.path, name)


async def test_the_operators_pages_exist_for_the_operator_only(place: Place) -> None:
    hers = await place.sign_in(place.world.cast.ada)
    theirs = await place.sign_in(place.world.cast.operator)
    for page in place.pages:
        if key_of(page) in OPERATOR:
            assert (await place.ask(page, hers)).status == 404, page.path
            assert (await place.ask(page, theirs)).status == 200, page.path


async def test_every_answer_forbids_frames_foreign_content_and_keeping(place: Place) -> None:
    headers = await place.sign_in(place.world.cast.ada)
    for page in place.pages:
        if page.method != "GET" or page.path.endswith("/live"):
            continue
        answer = await place.ask(page, headers)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers
        if "static" not in page.path:
            assert answer.headers["cache-control"] == "no-store"


async def test_the_console_can_be_asked_only_with_a_session_and_never_with_a_token(
    place: Place,
) -> None:
    ada = place.world.cast.ada
    answer = await ask(place.app, "GET", "/console/account", {**BROWSER, **ada.headers})
    assert answer.status == 303
    in_cookie = {**BROWSER, "cookie": f"cyan-session={ada.token}"}
    assert (await ask(place.app, "GET", "/console/account", in_cookie)).status == 303


async def test_a_path_that_does_not_exist_is_a_page_that_says_so(place: Place) -> None:
    for path in ("/console/nothing", "/console/devices/1/2/3/4", "/console/%FF"):
        answer = await ask(place.app, "GET", path, BROWSER)
        assert answer.status == 404
        assert "There is no page at this address." in answer.body.decode()


async def test_where_sign_up_is_closed_there_is_no_page_of_it(tmp_path: Path) -> None:
    world = build_world(tmp_path)
    parts = world.parts
    assert parts.config.sign_up == Config().sign_up == "closed"
    app = rooms.console(parts.config, parts.clock, parts.sessions, parts.pages)
    assert (await ask(app, "GET", "/console/sign-up", BROWSER)).status == 404
    shown = (await ask(app, "GET", "/console/sign-in", BROWSER)).body.decode()
    assert "/console/sign-up" not in shown
    world.close()
