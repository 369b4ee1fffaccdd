"""What `scripts/wheel` makes is enough: installed without a network into a fresh environment, with
every checksum held against the lock file, `cyan dev` runs from it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from cyan import __version__
from tests.system.dev import FREE_PORTS
from tests.system.processes import environment

ROOT = Path(__file__).parents[2]
WITHIN_S = 300.0

# Nothing of the tree that the tests run from may be found: neither by a path nor by a setting.
FOREIGN = ("PYTHON", "PIP_")

pytestmark = pytest.mark.timeout(600)


def _outside() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


def _run(command: Sequence[str | Path], cwd: Path, env: dict[str, str] | None = None) -> str:
    ended = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    return ended.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the script makes. Without a package index the tests are skipped, except in CI."""
    folder = tmp_path_factory.mktemp("wheel") / "dist"
    ended = subprocess.run(
        [ROOT / "scripts/wheel", folder],
        cwd=ROOT,
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    is_built = any(folder.glob("*.whl"))
    if ended.returncode and is_built and not os.environ.get("CI"):
        pytest.skip("The packages of requirements.lock cannot be fetched here.")
    assert ended.returncode == 0, ended.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def installed(dist: Path) -> Path:
    """The folder of programs of a fresh environment, as the page tells to make it."""
    venv = dist.with_name("venv")
    _run([sys.executable, "-m", "venv", venv], dist)
    # No index, not even one that the machine's own settings name; find-links only here.
    env = {**_outside(), "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    pip: list[str | Path] = [venv / "bin/pip", "install", "--quiet", "--no-index"]
    _run([*pip, "--find-links", "wheels", "--require-hashes", "-r", "requirements.lock"], dist, env)
    (wheel,) = dist.glob("*.whl")
    _run([*pip, "--no-deps", wheel.name], dist, env)
    _run([venv / "bin/pip", "check"], dist, env)
    return venv / "bin"


@contextmanager
def _developing(program: Path, folder: Path) -> Iterator[dict[str, object]]:
    settings = {**FREE_PORTS, "CYAN_DATA": str(folder / "data")}
    env = {k: v for k, v in environment(settings).items() if not k.startswith(FOREIGN)}
    process = subprocess.Popen(
        [program, "dev", "--json", "--devices", "1"],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "It ended at start."
        yield json.loads(line)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_the_checksums_are_those_of_the_files(dist: Path) -> None:
    told = _run(["sha256sum", "--check", "--strict", "SHA256SUMS"], dist)
    assert len(told.splitlines()) == len([*dist.rglob("*.whl")]) + 2
    assert (dist / "requirements.lock").read_bytes() == (ROOT / "requirements.lock").read_bytes()


def test_the_wheel_is_named_as_the_distribution_and_not_as_somebody_elses(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    assert wheel.name == f"cyan_cloud-{__version__}-py3-none-any.whl"


def test_cyan_dev_runs_from_it_with_a_device_online(installed: Path, tmp_path: Path) -> None:
    place = "import cyan; print(cyan.__file__)"
    found = _run([installed / "python", "-c", place], tmp_path, _outside())
    assert Path(found.strip()).is_relative_to(installed.parent)
    with _developing(installed / "cyan", tmp_path) as ready:
        bearer = {"authorization": f"Bearer {ready['access_token']}"}
        health = httpx.get(f"{ready['api_url']}/health").json()
        assert (health["ok"], health["online"]) == (True, 1)
        assert httpx.get(f"{ready['api_url']}/v1/user", headers=bearer).status_code == 200
        door = httpx.get(f"{ready['api_url']}/console/sign-in")
        assert door.status_code == 200
        for path in re.findall(r'(?:href|src)="(/console/static/[^"#]+)', door.text):
            assert httpx.get(f"{ready['api_url']}{path}").status_code == 200, path


def test_its_commands_know_the_schema(installed: Path, tmp_path: Path) -> None:
    env = {**_outside(), "CYAN_DATA": str(tmp_path / "data")}
    assert "The schema went from nothing to" in _run([installed / "cyan", "migrate"], tmp_path, env)
    assert "nothing was done" in _run([installed / "cyan", "upgrade"], tmp_path, env)
