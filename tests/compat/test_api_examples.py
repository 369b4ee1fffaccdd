"""The lines for curl in the documentation, typed as they stand there."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.compat.clients import Json
from tests.compat.server import Server

HOWTO = Path(__file__).parents[2] / "docs/howto"
PAGE = HOWTO / "use-the-api.md"
ONE_AFTER_THE_OTHER = HOWTO / "cloud-data.md"
MAX_RUN_S = 60

_EXAMPLE = re.compile(r"```sh\n(curl .*)\n```(?:\n\n```json\n((?:.|\n)*?)```)?")
_PLACES = re.compile(r"export (.*)")


def _examples(page: Path = PAGE) -> list[tuple[str, Json]]:
    """Each line with the answer that the page shows, or None."""
    found = _EXAMPLE.findall(page.read_text())
    return [(line, json.loads(shown) if shown else None) for line, shown in found]


def _type(line: str, server: Server) -> str:
    """What the line prints in a shell with the variables that the page sets."""
    places = {
        "URL": server.ready.api_url,
        "TOKEN": server.ready.access_token,
        "DEVICE": server.own_devices[0].id,
    }
    ended = subprocess.run(
        ["/bin/sh", "-c", line.replace("curl ", "curl -sS ", 1)],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], **places},
        timeout=MAX_RUN_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module", autouse=True)
def _curl() -> None:
    if shutil.which("curl") is None:
        reason = "curl is not installed."
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.mark.parametrize("page", [PAGE, ONE_AFTER_THE_OTHER], ids=lambda page: page.stem)
def test_the_page_sets_the_variables_that_its_lines_use(page: Path) -> None:
    (exported,) = _PLACES.findall(page.read_text())
    assert [word.partition("=")[0] for word in exported.split()] == ["URL", "TOKEN", "DEVICE"]


@pytest.mark.parametrize(
    ("line", "shown"), [(line, shown) for line, shown in _examples() if shown is not None]
)
def test_an_example_answers_as_the_page_shows(line: str, shown: Json, server: Server) -> None:
    assert _lacks(json.loads(_type(line, server)), shown) == []


def test_examples_that_go_on_from_one_another_answer_as_the_page_shows(server: Server) -> None:
    examples = _examples(ONE_AFTER_THE_OTHER)
    assert len(examples) >= 8
    for line, shown in examples:
        assert _lacks(json.loads(_type(line, server)), shown) == [], line


def test_a_raw_value_is_bare(server: Server) -> None:
    (line,) = [line for line, _ in _examples() if "format=raw" in line]
    assert 0 < float(_type(line, server)) < 100


def test_a_bad_token_is_refused_in_json_with_a_request_id(server: Server) -> None:
    (line,) = [line for line, _ in _examples() if line.startswith("curl -i")]
    head, _, body = _type(line, server).partition("\n\n")
    assert head.startswith("HTTP/1.1 401")
    assert re.search(r"^x-request-id: \S+", head, re.MULTILINE | re.IGNORECASE)
    assert json.loads(body)["error"] == "invalid_token"


def _lacks(answer: Json, shown: Json, place: str = "$") -> list[str]:
    """What is shown and is not in the answer, or is of another type; values may differ."""
    if not isinstance(shown, dict):
        same = type(answer) is type(shown)
        return [] if same else [f"{place} is {answer!r}, shown as {shown!r}"]
    missing = [f"{place}.{key}" for key in shown if key not in answer]
    return missing + [
        fault
        for key, value in shown.items()
        if key in answer
        for fault in _lacks(answer[key], value, f"{place}.{key}")
    ]
