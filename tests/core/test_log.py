"""Log lines: in one form, and without secrets."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from cyan.core import log
from cyan.core.log import (
    EACH_WINDOW_S,
    MAX_LINES,
    MAX_LINES_EACH,
    MAX_SUBJECTS,
    MAX_VALUE_CHARACTERS,
    WINDOW_S,
    Pace,
    redact,
)

TOKEN = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def restore() -> Iterator[None]:
    """The logging of the other tests stays as it was."""
    root = logging.getLogger()
    handlers, level, settings = list(root.handlers), root.level, structlog.get_config()
    yield
    root.handlers, root.level = handlers, level
    structlog.configure(**settings)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize(
    "text",
    [
        f"/v1/access_tokens/{TOKEN}",
        f"/v1/access_tokens/{TOKEN.upper()}",
        f"/v1/access_tokens/x{TOKEN}_",
        f"/v1/devices/events?access_token={TOKEN}",
        "/oauth/token?password=hunter2&client_secret=hunter2",
        "GET /v1/devices?ACCESS_TOKEN=hunter2 HTTP/1.1",
    ],
)
def test_bearer_secrets_are_redacted_wherever_they_turn_up(text: str) -> None:
    clean = redact(text)
    assert TOKEN not in clean.lower()
    assert "hunter2" not in clean
    assert "[redacted]" in clean


def test_device_ids_and_fingerprints_stay() -> None:
    text = "device 0123456789abcdef01234567 with key " + "ab" * 32
    assert redact(text) == text


def test_what_a_peer_says_is_cut_and_stripped() -> None:
    assert redact("two\nlines\x1b[31m") == "two?lines?[31m"
    assert len(redact("x" * 10_000)) == MAX_VALUE_CHARACTERS


def test_a_line_has_its_event_its_values_and_no_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.configure("json", "info")
    structlog.get_logger("test").info(
        "http.request", path=f"/v1/x?access_token={TOKEN}", password="hunter2", device_id="d", n=3
    )
    (line,) = lines(capsys)
    assert line["event"] == "http.request"
    assert (line["device_id"], line["n"], line["level"]) == ("d", 3, "info")
    assert line["path"] == "/v1/x?access_token=[redacted]"
    assert line["password"] == "[redacted]"
    assert str(line["timestamp"]).endswith("Z")


def test_a_traceback_keeps_its_lines_and_loses_its_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.configure("json", "info")
    try:
        raise ValueError(f"GET /v1/devices?access_token={TOKEN} failed")
    except ValueError:
        structlog.get_logger("test").exception("http.failed")
    (line,) = lines(capsys)
    assert TOKEN not in str(line)
    assert "Traceback" in str(line["exception"])
    assert "\n" in str(line["exception"])


def test_lines_of_libraries_come_in_the_same_form_without_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.configure("json", "info")
    logging.getLogger("uvicorn").warning("odd request %s", f"/v1/x?access_token={TOKEN}")
    logging.getLogger("uvicorn").info("chatter")
    (line,) = lines(capsys)
    assert line["event"] == "odd request /v1/x?access_token=[redacted]"


def test_lines_below_the_level_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("text", "error")
    structlog.get_logger("test").warning("quiet")
    structlog.get_logger("test").error("loud")
    told = capsys.readouterr().err
    assert "loud" in told
    assert "quiet" not in told


def test_lines_about_devices_are_paced_and_counted() -> None:
    now_s = 100.0
    pace = Pace(lambda: now_s)
    for _ in range(MAX_LINES):
        assert "left_out" not in pace(None, "info", {"event": "device.malformed"})
    for _ in range(7):
        with pytest.raises(structlog.DropEvent):
            pace(None, "info", {"event": "device.malformed"})
    assert pace(None, "info", {"event": "device.online"}) == {"event": "device.online"}
    assert pace(None, "info", {"event": "http.request"}) == {"event": "http.request"}
    now_s += WINDOW_S
    assert pace(None, "info", {"event": "device.malformed"})["left_out"] == 7
    assert "left_out" not in pace(None, "info", {"event": "device.malformed"})


def test_lines_about_one_device_are_few_and_its_next_says_how_many_were_left_out() -> None:
    now_s = 100.0
    pace = Pace(lambda: now_s)

    def passes(kind: str, **values: str) -> bool:
        try:
            pace(None, "info", {"event": kind, **values})
        except structlog.DropEvent:
            return False
        return True

    told = [passes("device.malformed", device_id="a") for _ in range(MAX_LINES_EACH + 7)]
    assert told == [True] * MAX_LINES_EACH + [False] * 7
    assert passes("device.malformed", device_id="b")
    assert passes("device.online", device_id="a")
    assert all(passes("device.called", device_id="a") for _ in range(2 * MAX_LINES_EACH))
    now_s += EACH_WINDOW_S
    line = pace(None, "info", {"event": "device.malformed", "device_id": "a"})
    assert line["left_out"] == 7
    line = pace(None, "info", {"event": "device.malformed", "device_id": "b"})
    assert "left_out" not in line


@pytest.mark.parametrize(
    "addresses",
    [
        [f"2001:db8:0:7::{number:x}" for number in range(MAX_LINES_EACH + 5)],
        ["192.0.2.7"] * (MAX_LINES_EACH + 5),
    ],
)
def test_without_a_device_its_network_is_paced(addresses: list[str]) -> None:
    pace = Pace(lambda: 100.0)
    kind = "handshake.wrong_server_key"
    for address in addresses[:MAX_LINES_EACH]:
        pace(None, "warning", {"event": kind, "address": address})
    for address in addresses[MAX_LINES_EACH:]:
        with pytest.raises(structlog.DropEvent):
            pace(None, "warning", {"event": kind, "address": address})
    for address in ("192.0.2.8", "2001:db8:0:8::1"):
        assert "left_out" not in pace(None, "warning", {"event": kind, "address": address})


def test_what_was_left_out_is_told_even_when_a_device_is_forgotten_for_others() -> None:
    now_s = 100.0
    pace = Pace(lambda: now_s)
    for number in range(MAX_LINES_EACH + 3):
        if number < MAX_LINES_EACH:
            pace(None, "info", {"event": "session.ended", "device_id": "noisy"})
        else:
            with pytest.raises(structlog.DropEvent):
                pace(None, "info", {"event": "session.ended", "device_id": "noisy"})
    told = 0
    for number in range(MAX_SUBJECTS):
        if number % MAX_LINES_EACH == 0:
            now_s += WINDOW_S / 10
        line = pace(None, "info", {"event": "session.ended", "device_id": f"other{number}"})
        told += line.get("left_out", 0)
    assert told == 3
