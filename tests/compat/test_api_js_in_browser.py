"""particle-api-js as it is built for browsers, unchanged, in a page of another origin."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.compat.clients import Json
from tests.compat.server import Server
from tests.console.windows import PATIENCE_MS, chromium

_BUILT = Path(__file__).parent / "node_modules/particle-api-js/dist/particle.min.js"
_PAGE = '<!doctype html><title>An app</title><link rel="icon" href="data:,">'

_CALL = """async ([baseUrl, method, options]) => {
  const api = new Particle({ baseUrl });
  try {
    const { statusCode, body } = await api[method](options);
    return { statusCode, body };
  } catch ({ statusCode, body, errorDescription }) {
    return { statusCode, body, errorDescription };
  }
}"""

_HEAR = """async ([baseUrl, auth, name]) => {
  const api = new Particle({ baseUrl, auth });
  const stream = await api.getEventStream({ deviceId: 'mine', name });
  const heard = new Promise((resolve) => stream.on('event', resolve));
  await api.publishEvent({ name: `${name}/light`, data: 'grün' });
  const event = await heard;
  stream.abort();
  return event;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def app(
    browser: Browser, stock_clients: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    """A page that another server gives, with the client in it."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "index.html").write_text(_PAGE)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    elsewhere = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    serving = threading.Thread(target=elsewhere.serve_forever)
    serving.start()
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    try:
        page.goto(f"http://127.0.0.1:{elsewhere.server_port}/")
        page.add_script_tag(path=_BUILT)
        yield page
    finally:
        page.close()
        elsewhere.shutdown()
        elsewhere.server_close()
        serving.join()


def _call(app: Page, server: Server, method: str, **options: Json) -> Json:
    return app.evaluate(_CALL, [server.ready.api_url, method, options])


def test_a_person_logs_in_uses_a_device_and_logs_out(app: Page, server: Server) -> None:
    ready, device = server.ready, server.own_devices[0]
    person = {"username": ready.username, "password": ready.password}
    auth = _call(app, server, "login", **person)["body"]["access_token"]
    listed = _call(app, server, "listDevices", auth=auth)
    assert device.id in [found["id"] for found in listed["body"]]
    one = {"deviceId": device.id, "auth": auth}
    assert _call(app, server, "renameDevice", name="porch", **one)["body"]["name"] == "porch"
    assert _call(app, server, "getVariable", name="answer", **one)["body"]["result"] == 42
    called = _call(app, server, "callFunction", name="led", argument="on", **one)
    assert called["body"]["return_value"] == 1
    assert _call(app, server, "deleteCurrentAccessToken", auth=auth)["body"] == {"ok": True}
    assert _call(app, server, "listDevices", auth=auth)["body"]["error"] == "invalid_token"


def test_a_page_sends_a_patch(app: Page, server: Server) -> None:
    mine = {"sandbox": True, "auth": server.ready.access_token}
    operations = [{"op": "Set", "key": "ROOM", "value": "hall"}]
    for _ in range(2):  # the second over the same connection
        answer = _call(app, server, "updateEnvVars", ops=operations, **mine)
        assert answer["body"]["latest"]["own"] == {"ROOM": {"value": "hall"}}


def test_a_page_hears_an_event(app: Page, server: Server) -> None:
    arguments = [server.ready.api_url, server.ready.access_token, "hall"]
    event = app.evaluate(_HEAR, arguments)
    assert (event["name"], event["data"], event["coreid"]) == ("hall/light", "grün", "api")


def test_a_page_reads_why_it_is_refused(app: Page, server: Server) -> None:
    token = server.ready.access_token
    refused = _call(app, server, "getDevice", deviceId="nothing", auth=token)
    assert (refused["statusCode"], refused["body"]["error"]) == (403, "Permission Denied")
    refused = _call(app, server, "getEventStream", product="7", auth=token)
    assert refused["statusCode"] == 501
    assert refused["errorDescription"].endswith("are not built yet.")
