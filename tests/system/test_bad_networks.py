"""Loss, duplication, reordering and other addresses on the way between a fleet and a real server,
which is killed now and then: nothing acknowledged is missing, nothing is there twice, and who
calls a device gets its own answer or none. `tests/gateway` has the same on virtual time."""

import math
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Final

import httpx
import pytest

from tests.system.lossy import GOOD, HOST, Faults, Lossy, lossy
from tests.system.people import logged_in
from tests.system.processes import Server, Simulator, serving, simulating, wait_until

DEVICES: Final = 60
EVENTS_A_SECOND: Final = 3
CALLS_A_SECOND: Final = 3
"""So each device publishes, and is called, once in 20 s."""

CALLERS: Final = 24
SUCCESS: Final = 0.96
KILL_EVERY_S: Final = 45.0
LONGEST_OUTAGE_S: Final = 15.0

BACK_WITHIN_S: Final = 200.0
"""A lost session is noticed after 60 to 90 s; three resumptions that nobody answers take 168 s
(device-protocol.md §1.4.6)."""

TIMED_OUT: Final = 408
VARIABLES: Final = ("one", "two", "three")
BEHAVIOUR: Final = (
    "".join(
        f'[variables.{name}]\ntype = "string"\nvalue = "{{device_id}}/{name}"\n\n'
        for name in VARIABLES
    )
    + '[functions.length]\nresult = "length"\n\n'
    + '[[events]]\nname = "reading"\ndata = "{device_id}-{counter}"\n'
    + f"interval_s = {DEVICES / EVENTS_A_SECOND}\n"
)

LOSS = Faults(loss=0.2)
ALL = Faults(loss=0.2, duplication=0.2, reordering=0.2)
MOVING = Faults(duplication=0.2, reordering=0.2, roam_every_s=40)
EVERYTHING = Faults(loss=0.2, duplication=0.2, reordering=0.2, roam_every_s=40)
LONG = pytest.mark.soak


class Calls:
    """Calls over the API; `endings` counts `right`, `wrong`, `timed out` and `cut off`, the last by
    the end of the server."""

    def __init__(self, ada: httpx.Client, random: Random) -> None:
        self.endings: Counter[str] = Counter()
        self._ada = ada
        self._random = random
        self._pool = ThreadPoolExecutor(CALLERS)
        self._calls: list[Future[str]] = []

    def start(self, device: str) -> Future[str]:
        number = len(self._calls)
        if self._random.random() < 0.5:
            call = self._pool.submit(self._measure, device, 1 + number % 200)
        else:
            call = self._pool.submit(self._read, device, self._random.choice(VARIABLES))
        self._calls.append(call)
        return call

    def finish(self) -> None:
        self._pool.shutdown(wait=True)
        self.endings.update(call.result() for call in self._calls)

    def _measure(self, device: str, length: int) -> str:
        try:
            answer = self._ada.post(f"/v1/devices/{device}/length", data={"arg": "x" * length})
        except httpx.TransportError:
            return "cut off"
        return _ending(answer, "return_value", length)

    def _read(self, device: str, name: str) -> str:
        try:
            answer = self._ada.get(f"/v1/devices/{device}/{name}")
        except httpx.TransportError:
            return "cut off"
        return _ending(answer, "result", f"{device}/{name}")


def _ending(answer: httpx.Response, key: str, wanted: object) -> str:
    if answer.status_code == TIMED_OUT:
        return "timed out"
    assert answer.status_code == 200, answer.text
    return "right" if answer.json()[key] == wanted else "wrong"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "data", {"CYAN_ENROLMENT": "open"}) as server:
        yield server


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("faults", "kills", "seconds"),
    [
        pytest.param(EVERYTHING, True, 40, id="everything for a moment"),
        pytest.param(LOSS, False, 300, id="loss", marks=LONG),
        pytest.param(ALL, False, 300, id="all", marks=LONG),
        pytest.param(MOVING, True, 300, id="moving, kills", marks=LONG),
        pytest.param(EVERYTHING, True, 300, id="everything", marks=LONG),
    ],
)
def test_what_is_acknowledged_is_logged_once_and_no_answer_is_anothers(
    server: Server, tmp_path: Path, faults: Faults, kills: bool, seconds: float
) -> None:
    behaviour = tmp_path / "telling.toml"
    behaviour.write_text(BEHAVIOUR)
    arguments = ("--count", str(DEVICES), "--behaviour", behaviour, "--server", HOST)
    random = Random(f"{faults}{kills}{seconds}")
    with (
        lossy(server.udp_port, seed=random.getrandbits(32)) as network,
        simulating(server.key_file(), *arguments, "--port", str(network.port)) as simulator,
        logged_in(server, "ada@example.com") as ada,
    ):
        devices = simulator.wait_until_ready()
        for device in devices:
            assert ada.post("/v1/devices", data={"id": device}).status_code == 200
        calls = Calls(ada, random)
        network.faults = faults
        live(server, calls, devices, random, kills=kills, seconds=seconds)
        calls.finish()
        network.faults = GOOD
        if seconds > KILL_EVERY_S:
            check_that_all_come_back(simulator, ada, devices)
        simulator.stop()
        acknowledged, sent = simulator.acknowledged(), simulator.sent()
        check_that_it_was_bad(network, faults)
    logged = Counter(server.logged_events("reading"))
    assert len(acknowledged) > EVENTS_A_SECOND * seconds / 3
    assert [data for data in acknowledged if logged[data] != 1] == []
    assert [data for data, times in logged.items() if times > 1] == []
    assert set(logged) <= set(sent)
    assert calls.endings["wrong"] == 0
    made = calls.endings.total() - calls.endings["cut off"]
    assert calls.endings["right"] > made / 2
    if not kills:
        # Less by chance alone only: some hundred calls are few.
        chance = 2 * math.sqrt(made * SUCCESS * (1 - SUCCESS))
        assert calls.endings["right"] >= SUCCESS * made - chance


def live(
    server: Server, calls: Calls, devices: list[str], random: Random, *, kills: bool, seconds: float
) -> None:
    """Calls go out, and the server is away now and then, first after half of the usual time."""
    end_s = time.monotonic() + seconds
    kill_s = time.monotonic() + KILL_EVERY_S / 2 if kills else end_s
    while (now_s := time.monotonic()) < end_s:
        if now_s > kill_s:
            server.kill()
            time.sleep(random.uniform(0, min(LONGEST_OUTAGE_S, seconds / 10)))
            server.start()
            kill_s = time.monotonic() + KILL_EVERY_S
        calls.start(random.choice(devices))
        time.sleep(1 / CALLS_A_SECOND)


def check_that_all_come_back(simulator: Simulator, ada: httpx.Client, devices: list[str]) -> None:
    known = len(simulator.acknowledged())

    def absent() -> set[str]:
        return set(devices) - {data.split("-")[0] for data in simulator.acknowledged()[known:]}

    wait_until(lambda: not absent(), "every device publishes again", BACK_WITHIN_S)
    again = Calls(ada, Random(1))
    asked = [(device, again.start(device)) for device in devices]
    # A device that begins a new session at that very moment loses the call with the old one.
    late = [device for device, call in asked if call.result() == "timed out"]
    assert len(late) <= len(devices) // 10
    for device in late:
        again.start(device)
    again.finish()
    assert again.endings == Counter({"right": len(devices), "timed out": len(late)})


def check_that_it_was_bad(network: Lossy, faults: Faults) -> None:
    assert (network.lost > 0) == (faults.loss > 0)
    assert (network.doubled > 0) == (faults.duplication > 0)
    assert (network.held_back > 0) == (faults.reordering > 0)
    assert (network.roamed > 0) == (faults.roam_every_s is not None)
