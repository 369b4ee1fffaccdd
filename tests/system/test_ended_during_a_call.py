"""The server ends while a person waits for a device: the client is told, and does not hang."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.system.people import logged_in
from tests.system.processes import Server, serving, simulating, wait_until
from tests.system.relay import HOST, relaying

ENDED_WITHIN_S: Final = 25.0
"""Below the 30 s that the server itself waits for a device's answer."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "data", {"CYAN_ENROLMENT": "open"}) as server:
        yield server


@pytest.fixture
def waiting(server: Server) -> Iterator["Future[httpx.Response]"]:
    """A call of a function that was sent to its device and did not reach it."""
    key_file = server.key_file()
    with ExitStack() as stack:
        relay = stack.enter_context(relaying(server.udp_port))
        simulator = stack.enter_context(
            simulating(
                key_file, "--count", "1", "--rate", "0", "--server", HOST, "--port", str(relay.port)
            )
        )
        ada = stack.enter_context(logged_in(server, "ada@example.com"))
        pool = stack.enter_context(ThreadPoolExecutor(1))
        (device,) = simulator.wait_until_ready()
        assert ada.post("/v1/devices", data={"id": device}).status_code == 200
        relay.loses_answers = True
        before = relay.lost
        call = pool.submit(ada.post, f"/v1/devices/{device}/led", data={"arg": "on"})
        wait_until(lambda: relay.lost > before, "the call was sent to the device")
        yield call


def test_a_kill_ends_the_connection_of_a_call_that_waits(
    server: Server, waiting: "Future[httpx.Response]"
) -> None:
    server.kill()
    with pytest.raises(httpx.TransportError):
        waiting.result(ENDED_WITHIN_S)


def test_a_graceful_stop_answers_a_call_that_waits(
    server: Server, waiting: "Future[httpx.Response]"
) -> None:
    server.stop()
    answer = waiting.result(ENDED_WITHIN_S)
    assert (answer.status_code, answer.json()["error"]) == (503, "stopping")


def test_a_graceful_stop_ends_event_streams(server: Server) -> None:
    with (
        logged_in(server, "ada@example.com") as ada,
        ada.stream("GET", "/v1/events/some", timeout=ENDED_WITHIN_S) as stream,
    ):
        chunks = stream.iter_bytes()
        assert next(chunks) == b":ok\n\n"
        server.terminate()
        assert list(chunks) == []
        assert server.exit_code() == 0
