"""Requests made up from the OpenAPI file, good ones and bad ones, at a real server process: no 500,
and no answer that the file does not tell of."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.compat.server import Server, running_server

CHECKED = [status_code_conformance, content_type_conformance, response_schema_conformance]
Operation = APIOperation[Any, Any, Any, Any]
MadeCase = Case[Any]

FEW, MANY = 3, 500
"""Requests for each operation and mode, in `make test` and in `make soak`."""

MAX_ANSWER_S = 30
"""Above any wait of the server for a device."""

EVENT_STREAM = "text/event-stream"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@dataclass
class Person:
    """The account of the server, with a token that works: some requests end it."""

    server: Server
    session: requests.Session
    token: str
    asked: int = 0

    def ask(self, case: MadeCase) -> requests.Response:
        """The answer to a request; of a stream, its beginning."""
        self.asked += 1
        answer = self._send(case)
        if answer.status_code == requests.codes.unauthorized:
            self.token = self._log_in()
            answer = self._send(case)
        return answer

    def _send(self, case: MadeCase) -> requests.Response:
        kwargs = case.as_transport_kwargs(
            base_url=self.server.ready.api_url, headers={"Authorization": f"Bearer {self.token}"}
        )
        return self.session.request(**kwargs, stream=True, timeout=MAX_ANSWER_S)

    def _log_in(self) -> str:
        ready = self.server.ready
        form = {
            "grant_type": "password",
            "client_id": "particle-cli",
            "client_secret": "particle-cli",
            "username": ready.username,
            "password": ready.password or "",
        }
        answer = self.session.post(f"{ready.api_url}/oauth/token", data=form, timeout=MAX_ANSWER_S)
        assert answer.ok, answer.text
        return str(answer.json()["access_token"])


def _operations(server: Server) -> list[Operation]:
    """Those that take away come last."""
    file = requests.get(f"{server.ready.api_url}/openapi.json", timeout=MAX_ANSWER_S).json()
    schema = schemathesis.openapi.from_dict(file)
    found = []
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        found.append(result.ok())
    return sorted(found, key=lambda operation: operation.method.upper() == "DELETE")


def _ask_everything(server: Server, examples: int) -> None:
    device = server.own_devices[0].id
    operations = _operations(server)
    with requests.Session() as session:
        person = Person(server, session, server.ready.access_token)
        for operation in operations:
            for mode in GenerationMode:
                _ask_operation(person, operation, mode, device, examples)
    assert person.asked > len(operations)


def _ask_operation(
    person: Person, operation: Operation, mode: GenerationMode, device: str, examples: int
) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), is_own=st.booleans())
    def ask(case: MadeCase, is_own: bool) -> None:
        if is_own and "device" in case.path_parameters:
            case.path_parameters["device"] = device
        with person.ask(case) as answer:
            assert answer.status_code != 500, (case.as_curl_command(), answer.text)
            if answer.headers.get("content-type", "").startswith(EVENT_STREAM):
                return  # without end
            case.validate_response(answer, checks=CHECKED)

    with contextlib.suppress(Unsatisfiable):  # where nothing is sent, nothing can be wrong
        ask()


@pytest.mark.timeout(400)  # three requests for each operation and mode, on a busy machine too
def test_no_made_up_request_makes_the_server_fail(server: Server) -> None:
    _ask_everything(server, FEW)


@pytest.mark.soak
def test_no_made_up_request_of_very_many_makes_the_server_fail(server: Server) -> None:
    _ask_everything(server, MANY)
