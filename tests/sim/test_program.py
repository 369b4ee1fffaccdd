"""The simulator as a process of its own, over real sockets."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cyan.sim.identity import make_identities
from tests.sim.udp_cloud import UdpCloud, server_key_file

TIMEOUT_S = 30.0


class Program:
    """A running simulator."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        text = await asyncio.wait_for(self.process.stdout.readline(), TIMEOUT_S)
        decoded: dict[str, Any] = msgspec.json.decode(text)
        return decoded

    async def line_with(self, key: str) -> dict[str, Any]:
        while True:
            line = await self.line()
            if key in line:
                return line

    async def stop(self) -> dict[str, int]:
        """Ends it gracefully; returns its statistics."""
        self.process.send_signal(signal.SIGTERM)
        statistics: dict[str, int] = (await self.line_with("statistics"))["statistics"]
        assert await asyncio.wait_for(self.process.wait(), TIMEOUT_S) == 0
        return statistics


@asynccontextmanager
async def run_program(*arguments: str) -> AsyncIterator[Program]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cyan.sim",
        *arguments,
        limit=1 << 24,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "server_key.der"
    write(path, server_key_file())
    return path


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def arguments_for(cloud: UdpCloud, key_file: Path, *more: str) -> list[str]:
    return ["--json", "--port", str(cloud.port), "--server-key", str(key_file), *more]


async def test_it_tells_when_all_devices_are_online(key_file: Path) -> None:
    async with (
        UdpCloud() as cloud,
        run_program(*arguments_for(cloud, key_file, "--count", "5", "--seed", "one")) as program,
    ):
        ready = await program.line_with("ready")
        statistics = await program.stop()
    assert ready["seed"] == "one"
    assert ready["devices"] == [identity.describe() for identity in make_identities("one", 5)]
    assert statistics["handshakes_full"] == 5
    assert statistics["handshakes_resumed"] == 0
    assert statistics["reconnects"] == 0


async def test_the_key_file_tells_where_the_server_is(key_file: Path) -> None:
    async with UdpCloud() as cloud:
        write(key_file, server_key_file(cloud.port))
        arguments = ("--json", "--server-key", str(key_file), "--count", "1")
        async with run_program(*arguments) as program:
            assert len((await program.line_with("ready"))["devices"]) == 1
            await program.stop()


async def test_a_bare_public_key_will_do(key_file: Path) -> None:
    async with UdpCloud() as cloud:
        write(key_file, server_key_file()[:91])
        arguments = arguments_for(cloud, key_file, "--count", "1", "--server", "localhost")
        async with run_program(*arguments) as program:
            await program.line_with("ready")
            await program.stop()


async def test_it_says_goodbye_when_it_is_told_to_stop(key_file: Path) -> None:
    async with (
        UdpCloud() as cloud,
        run_program(*arguments_for(cloud, key_file, "--count", "2")) as program,
    ):
        await program.line_with("ready")
        await program.stop()
    assert [one.heard[-1].data[4:6] for one in cloud.clouds] == [b"\xb1x"] * 2


async def test_the_journal_has_every_acknowledged_event(key_file: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    more = ("--count", "4", "--rate", "80", "--event-size", "60", "--journal", str(journal))
    async with (
        UdpCloud() as cloud,
        run_program(*arguments_for(cloud, key_file, *more)) as program,
    ):
        await program.line_with("ready")
        await asyncio.sleep(1.0)
        statistics = await program.stop()
    heard = [data.decode() for data in cloud.heard_events()]
    lines = [line.split(" ") for line in journal.read_text().splitlines()]
    assert len(heard) > 20
    assert sorted(data for _, _, data in lines) == sorted(heard)
    assert all(
        data.startswith(f"{device}-") and name == "heartbeat" for device, name, data in lines
    )
    assert all(len(data) == 60 for data in heard)
    assert statistics["events_acknowledged"] == statistics["events_sent"] == len(heard)
    sent = (tmp_path / "journal.sent").read_text().splitlines()
    assert sorted(sent) == sorted(journal.read_text().splitlines())


async def test_devices_resume_after_a_restart_with_their_state(
    key_file: Path, tmp_path: Path
) -> None:
    async with UdpCloud() as cloud:
        arguments = arguments_for(cloud, key_file, "--state", str(tmp_path / "state"))
        async with run_program(*arguments) as program:
            first = await program.line_with("ready")
            await program.stop()
        async with run_program(*arguments) as program:
            second = await program.line_with("ready")
            statistics = await program.stop()
    assert first == second
    assert statistics["handshakes_resumed"] == 3
    assert statistics["handshakes_full"] == 0


async def test_a_killed_simulator_resumes_without_using_a_nonce_twice(
    key_file: Path, tmp_path: Path
) -> None:
    async with UdpCloud() as cloud:
        state = str(tmp_path / "state")
        arguments = arguments_for(cloud, key_file, "--state", state, "--rate", "60")
        async with run_program(*arguments) as program:
            await program.line_with("ready")
            await asyncio.sleep(0.5)
            program.process.kill()
        async with run_program(*arguments) as program:
            await program.line_with("ready")
            await asyncio.sleep(0.5)
            statistics = await program.stop()
    # The cloud itself fails on a record number that it has seen.
    assert statistics["handshakes_full"] == 0
    assert statistics["handshakes_resumed"] == 3
    events = cloud.heard_events()
    assert len(set(events)) == len(events)


async def test_a_server_that_is_away_for_a_moment_costs_no_handshake(key_file: Path) -> None:
    cloud = UdpCloud()
    async with cloud:
        more = ("--count", "3", "--rate", "30")
        arguments = arguments_for(cloud, key_file, *more)
        async with run_program(*arguments) as program:
            await program.line_with("ready")
            await cloud.__aexit__()
            await asyncio.sleep(1.5)
            await cloud.__aenter__()
            # The first retransmission comes after 4 to 6 s.
            await asyncio.sleep(5.5)
            statistics = await program.stop()
    assert statistics["handshakes_full"] == 3
    assert statistics["handshakes_resumed"] == 0
    assert statistics["events_failed"] == 0
    assert statistics["retransmissions"] > 0


async def test_two_simulators_do_not_share_a_state_folder(key_file: Path, tmp_path: Path) -> None:
    async with UdpCloud() as cloud:
        arguments = arguments_for(cloud, key_file, "--state", str(tmp_path / "state"))
        async with run_program(*arguments) as first:
            await first.line_with("ready")
            async with run_program(*arguments) as second:
                assert await asyncio.wait_for(second.process.wait(), TIMEOUT_S) == 2
            await first.stop()


async def test_it_stops_with_its_standard_input(key_file: Path) -> None:
    async with (
        UdpCloud() as cloud,
        run_program(*arguments_for(cloud, key_file, "--stop-with-stdin")) as program,
    ):
        await program.line_with("ready")
        assert program.process.stdin is not None
        program.process.stdin.close()
        await program.line_with("statistics")
        assert await asyncio.wait_for(program.process.wait(), TIMEOUT_S) == 0


async def test_keys_are_told_without_a_server() -> None:
    async with run_program("--print-keys", "--seed", "one", "--count", "2") as program:
        line = await program.line()
    assert line == {
        "seed": "one",
        "devices": [identity.describe() for identity in make_identities("one", 2)],
    }


async def test_a_run_ends_after_its_duration(key_file: Path) -> None:
    async with (
        UdpCloud() as cloud,
        run_program(*arguments_for(cloud, key_file, "--duration", "0.5")) as program,
    ):
        await program.line_with("statistics")
        assert await asyncio.wait_for(program.process.wait(), TIMEOUT_S) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--count", "0"],
        ["--platform", "toaster"],
        ["--mix", "toaster:3"],
        [],
        ["--server-key", "/nowhere/key.der"],
        ["--server-key", "/dev/null"],
        ["--server-key", "/dev/null", "--fault", "loss"],
        ["--server-key", "/dev/null", "--faults", "/nowhere/faults.toml"],
        ["--server-key", "/dev/null", "--behaviour", "/nowhere/behaviour.toml"],
    ],
)
async def test_options_without_sense_are_refused_in_a_line(arguments: list[str]) -> None:
    async with run_program(*arguments) as program:
        assert await asyncio.wait_for(program.process.wait(), TIMEOUT_S) == 2
        assert program.process.stderr is not None
        told = (await program.process.stderr.read()).decode()
    assert told.splitlines()[-1].startswith("cyan sim: ")
    assert "Traceback" not in told


async def test_devices_do_what_a_file_says_while_things_go_wrong(
    key_file: Path, tmp_path: Path
) -> None:
    behaviour, faults = tmp_path / "behaviour.toml", tmp_path / "faults.toml"
    write(behaviour, b'[[events]]\nname = "heartbeat/x"\ndata = "{counter}"\ninterval_s = 0.2\n')
    write(faults, b'[[faults]]\nkind = "sleep"\nat_s = [1]\nfor_s = 0.5\n')
    files = ("--behaviour", str(behaviour), "--faults", str(faults), "--fault", "move every_s=1")
    async with (
        UdpCloud() as cloud,
        run_program(*arguments_for(cloud, key_file, *files, "--count", "2")) as program,
    ):
        ready = await program.line_with("ready")
        slept = [await program.line_with("for_s") for _ in ready["devices"]]
        online = 0
        while online < 2:
            online += (await program.line_with("state"))["state"] == "online"
        await asyncio.sleep(1.0)
        statistics = await program.stop()
    assert {line["device"] for line in slept} == {device["id"] for device in ready["devices"]}
    assert all((line["fault"], line["at_s"], line["for_s"]) == ("sleep", 1, 0.5) for line in slept)
    assert statistics["faults"] >= 2
    assert statistics["handshakes_resumed"] == 2
    events = sorted(int(data) for data in cloud.heard_events())
    assert events[:4] == [1, 1, 2, 2]
    assert len(events) > 10
