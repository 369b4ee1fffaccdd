"""The same seed over real sockets: the same events leave, and the same happens to the devices."""

from pathlib import Path

from cyan.sim.behaviour import built_in
from cyan.sim.facts import EventSent, FaultHappened
from tests.sim.field_world import FieldWorld, RoughCloud
from tests.sim.test_program import arguments_for, run_program, write
from tests.sim.udp_cloud import UdpCloud, server_key_file

FAULTS = (
    "sleep at_s=[1.5] for_s=0.5",
    "reboot at_s=[3] for_s=[0.3,0.5]",
    "power-cut at_s=[5] for_s=0.5",
    "move at_s=[2.6,6.4]",
    "duplicate rate=0.3",
)
SLOWEST = "delay for_s=0.08"
"""Each way: what a busy machine may take. The seed is one that makes no event come so soon after a
connection began that this would matter, nor near the end of the run."""
SEED = "s1770"
DEVICES = 2
SECONDS = 8.0


def expected(*more: str, seconds: float = SECONDS) -> tuple[list[str], list[str]]:
    """The lines of events that leave and of faults, from a run on virtual time."""
    sent, faults = [], []
    for index in range(DEVICES):
        behaviour = built_in(event_interval_s=1.0)
        world = FieldWorld(*FAULTS, *more, behaviour=behaviour, seed=SEED, index=index)
        world.run(seconds)
        device_id = world.device.device.identity.device_id
        for _, fact in world.facts:
            if isinstance(fact, EventSent):
                sent.append(f"{device_id} {fact.name} {fact.data.decode()}")
            elif isinstance(fact, FaultHappened):
                faults.append(f"{device_id} {fact.kind} {fact.at_s:.6f} {fact.for_s:.6f}")
    return sorted(sent), sorted(faults)


def lines(path: Path) -> list[str]:
    return sorted(path.read_text().splitlines())


async def test_what_leaves_and_what_happens_is_as_on_virtual_time(tmp_path: Path) -> None:
    sent, faults = expected()
    assert len(sent) > 10
    assert len(faults) == 5 * DEVICES
    assert expected(SLOWEST) == (sent, faults)
    assert expected(seconds=SECONDS + 0.4) == (sent, faults)
    key_file, journal = tmp_path / "server_key.der", tmp_path / "journal"
    write(key_file, server_key_file())
    wanted = ["--count", str(DEVICES), "--seed", SEED, "--rate", str(DEVICES)]
    wanted += ["--duration", str(SECONDS), "--journal", str(journal)]
    for fault in FAULTS:
        wanted += ["--fault", fault]
    async with (
        UdpCloud(RoughCloud) as cloud,
        run_program(*arguments_for(cloud, key_file, *wanted)) as program,
    ):
        statistics = (await program.line_with("statistics"))["statistics"]
    assert lines(tmp_path / "journal.sent") == sent
    assert lines(tmp_path / "journal.faults") == faults
    assert statistics["faults"] == len(faults)
    assert statistics["datagrams_doubled"] > 0
