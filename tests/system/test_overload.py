"""Three times as many events as the server can take, from many devices that do not care how it is:
it sheds, keeps what it has acknowledged, does not grow, and is itself again soon after."""

import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from cyan.accounts.people import create_user
from cyan.accounts.tokens import issue_token
from cyan.core.clock import SystemClock
from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId
from cyan.devices.registry import register_device
from tests.system import storm
from tests.system.memory import resident_mib
from tests.system.peers import DatagramPeer
from tests.system.people import PASSWORD
from tests.system.processes import environment, migrated, serving
from tests.system.readers import reading

ROOT: Final = Path(__file__).parents[2]
SETTINGS: Final = {"CYAN_ENROLMENT": "open", "CYAN_EVENT_RETENTION_MIB": "100000"}

SHORT: Final = (8.0, 300)
LONG: Final = (600.0, 1000)
"""Seconds of a storm and how many devices make it: in so long they need more of them."""

READERS: Final = 8
"""Streams that get every event: with them an event costs the server several times what it costs the
storm to send one, which so can be three times as fast on one core."""

EXCHANGE_LIFETIME_S: Final = 247.0
"""RFC 7252 §4.8.2. A message id that comes again within it is taken for the same message."""

MEASURE_S: Final = 3.0
FACTOR: Final = 3.0
LEAST_FACTOR: Final = 2.0
"""What the storm comes to if others use its core too."""

WARM_UP: Final = 0.2
MAX_GROWTH_MIB: Final = 48
"""After so much of the storm."""

RECOVERED_WITHIN_S: Final = 30.0
ORDINARY: Final = 20
"""Events of an ordinary device, for its usual latency."""

IN_A_ROW: Final = 5
LEAST_LATENCY_S: Final = 0.05
TIMES_USUAL: Final = 5.0


class Ordinary:
    """A device that publishes now and then; `published` is what was acknowledged."""

    def __init__(self, peer: DatagramPeer) -> None:
        self._peer = peer
        self._count = 0
        self.published: list[str] = []

    def publish(self) -> float:
        """How long it took, s; a lost datagram is sent again a second later."""
        data = f"ordinary-{self._count}"
        self._count += 1
        began_s = time.perf_counter()
        if self._peer.publish(data.encode()):
            self.published.append(data)
        return time.perf_counter() - began_s

    def usual_latency_s(self) -> float:
        return statistics.median(self.publish() for _ in range(ORDINARY))

    def recover(self, limit_s: float) -> float:
        """Publishes until it is served as fast as before, several times in a row; how long that
        took."""
        began_s = time.monotonic()
        quick = 0
        while quick < IN_A_ROW and time.monotonic() < began_s + RECOVERED_WITHIN_S:
            quick = quick + 1 if self.publish() <= limit_s else 0
            time.sleep(0.1)
        assert quick == IN_A_ROW, "it is as slow as in the storm"
        return time.monotonic() - began_s


def prepare(data: Path, devices: int) -> str:
    """A data folder in which the devices of the storm belong to somebody; their token."""
    migrated(data)
    db = Database(data / "cyan.db")
    try:
        owner = create_user(db, "ada@example.com", PASSWORD)
        where = storm.Where(data, 0)
        for index in range(devices):
            device_id = DeviceId(storm.make_device(where, index).device_id)
            register_device(db, SystemClock(), device_id, owner=owner)
        return issue_token(db, owner, "tests").access_token
    finally:
        db.close()


@contextmanager
def storming(
    data: Path, udp_port: int, devices: int, storm_s: float, fates: Path
) -> Iterator["Storming"]:
    arguments = (data, udp_port, devices, MEASURE_S, storm_s, FACTOR, fates)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.system.storm", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        try:
            yield Storming(process)
        finally:
            process.kill()


class Storming:
    """The process of a storm."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @property
    def rages(self) -> bool:
        return self._process.poll() is None

    def tell(self, what: str) -> float:
        """The next thing that it tells."""
        assert self._process.stdout is not None
        value: float = json.loads(self._process.stdout.readline())[what]
        return value


@pytest.mark.parametrize(
    ("storm_s", "devices"), [SHORT, pytest.param(*LONG, marks=pytest.mark.soak)]
)
def test_three_times_the_load_that_can_be_sustained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], storm_s: float, devices: int
) -> None:
    data, fates = tmp_path / "data", tmp_path / "fates"
    token = prepare(data, devices)
    memory: list[float] = []
    with (
        serving(data, SETTINGS) as server,
        reading(server, token, READERS),
        DatagramPeer(server, 1).connect() as peer,
    ):
        ordinary = Ordinary(peer)
        limit_s = max(TIMES_USUAL * ordinary.usual_latency_s(), LEAST_LATENCY_S)
        with storming(data, server.udp_port, devices, storm_s, fates) as raging:
            assert raging.tell("devices") == devices
            sustained = raging.tell("sustained")
            while raging.rages:
                memory.append(resident_mib(server.pid))
                ordinary.publish()
                time.sleep(0.2)
            offered = raging.tell("offered")
        recovered_s = ordinary.recover(limit_s)
        memory.append(resident_mib(server.pid))
        server.stop()
        fate = fates.read_bytes()
        logged = bytearray(len(fate))
        for (number,) in server.rows("SELECT data FROM events_event WHERE name = ?", storm.EVENT):
            logged[int(number)] += 1
        ordinary_logged = Counter(server.logged_events("peer"))
    acknowledged = fate.count(storm.ACKNOWLEDGED)
    settled = memory[round(len(memory) * WARM_UP) :]
    with capsys.disabled():
        print(
            f"\nsustained {sustained:,.0f} events/s; offered {offered:,.0f}/s for {storm_s:.0f} s,"
            f" acknowledged {acknowledged / storm_s:,.0f}/s; resident {memory[0]:.0f} MiB before,"
            f" {settled[0]:.0f} to {max(settled):.0f} in it; recovered in {recovered_s:.1f} s"
        )
    assert offered > LEAST_FACTOR * sustained
    ids = min(storm_s, EXCHANGE_LIFETIME_S) * offered / devices
    assert ids < 65_536, "a message id came again while it meant another message"
    assert 0 < acknowledged < 0.8 * len(fate), "it was no storm"
    assert [n for n, f in enumerate(fate) if f == storm.ACKNOWLEDGED and logged[n] != 1] == []
    assert max(logged) == 1
    assert [ordinary_logged[data] for data in ordinary.published] == [1] * len(ordinary.published)
    assert max(settled) - settled[0] < MAX_GROWTH_MIB
