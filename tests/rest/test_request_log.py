"""The line of each request: put together by hand for files, it is what structlog would write."""

import logging
import re
from collections.abc import Iterator

import pytest
import structlog

from cyan.core import log, logfmt
from cyan.rest import requestlog

ID = "5693a772-05f9-4988-978b-8f0eeb312497"
STAMP = re.compile(r"timestamp=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z ")


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The logging of the other tests stays as it was."""
    root = logging.getLogger()
    handlers, level, settings = list(root.handlers), root.level, structlog.get_config()
    # A logger keeps the settings of its first line.
    monkeypatch.setattr(requestlog, "_log", structlog.get_logger())
    yield
    root.handlers, root.level = handlers, level
    structlog.configure(**settings)


def line(capsys: pytest.CaptureFixture[str]) -> str:
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert STAMP.match(written)
    return STAMP.sub("", written)


@pytest.mark.parametrize(
    "path",
    [
        b"/v1/devices",
        b"/v1/devices/0123456789abcdef01234567",
        b"/v1/devices/my%20lamp",
        b"/v1/access_tokens/" + b"a1" * 20,
        b"/v1/%61%31" + b"a1" * 19,
        b"/v1/a=b/%22c%22/%0A/\xff",
        b"/" + b"x" * 900,
    ],
)
def test_the_line_is_what_the_chain_would_write(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, path: bytes
) -> None:
    log.configure("text", "info")
    requestlog.write("GET", path, 200, 0.00123, ID)
    quick = line(capsys)
    monkeypatch.setattr(logfmt, "plain_info", lambda: None)
    with structlog.contextvars.bound_contextvars(request_id=ID):
        requestlog.write("GET", path, 200, 0.00123, ID)
    slow = line(capsys)
    assert sorted(quick.split(" ")) == sorted(slow.split(" "))
    assert "a1a1a1a1" not in quick


def test_a_log_of_warnings_has_no_lines_of_requests(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("text", "warning")
    requestlog.write("GET", b"/v1/devices", 200, 0.001, ID)
    assert capsys.readouterr().err == ""


def test_a_log_for_machines_has_json(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json", "info")
    requestlog.write("GET", b"/v1/devices", 200, 0.001, ID)
    assert '"path": "/v1/devices"' in capsys.readouterr().err
