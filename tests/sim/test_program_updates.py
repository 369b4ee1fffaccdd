"""Updates of a simulator that is a process of its own, over real sockets."""

from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

from cyan.wire import coap
from cyan.wire.messages.updates import (
    UpdateFinish,
    UpdateStart,
    decode_update_started,
    encode_update_chunk,
    encode_update_finish,
    encode_update_start,
)
from tests.sim.test_program import Program, arguments_for, run_program, write
from tests.sim.udp_cloud import UdpCloud, server_key_file
from tests.sim.updating import CHUNK, TOKEN, user_part
from tests.sim.world import Cloud

FILE = user_part(bytes(range(256)) * 60)
START = UpdateStart(len(FILE), CHUNK, sha256(FILE).digest())
SETTLE_S = 0.3


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "server_key.der"
    write(path, server_key_file())
    return path


async def start(udp: UdpCloud, cloud: Cloud) -> int:
    """Offers the file; returns from where on the device wants it."""
    answers = await udp.ask(
        cloud, lambda id_: encode_update_start(id_, TOKEN, START), wait_s=SETTLE_S
    )
    (started,) = (answer for answer in answers if answer.code == coap.CREATED)
    return decode_update_started(started).offset


async def send(udp: UdpCloud, cloud: Cloud, offset: int, until: int) -> None:
    for index, at in enumerate(range(offset, until, CHUNK), 1):
        data = FILE[at : at + CHUNK]
        await udp.ask(cloud, partial(encode_update_chunk, index=index, data=data), wait_s=0.001)


async def updates(program: Program, what: str) -> dict[str, object]:
    while True:
        line = await program.line_with("update")
        if line["update"] == what:
            return line


async def test_an_update_outlives_a_killed_simulator_and_what_it_installed_a_stopped_one(
    key_file: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    async with UdpCloud() as udp:
        arguments = arguments_for(udp, key_file, "--count", "1", "--state", str(state))
        async with run_program(*arguments) as program:
            await program.line_with("ready")
            cloud = udp.clouds[0]
            assert await start(udp, cloud) == 0
            await send(udp, cloud, 0, 20 * CHUNK)
            began = await updates(program, "began")
            assert (began["size_bytes"], began["offset_bytes"]) == (len(FILE), 0)
            assert [path.suffix for path in state.iterdir() if path.suffix == ".update"]
            program.process.kill()
            await program.process.wait()
        async with run_program(*arguments) as program:
            await program.line_with("ready")
            offset = await start(udp, cloud)
            assert 0 < offset <= 20 * CHUNK
            await send(udp, cloud, offset, len(FILE))
            await udp.ask(cloud, lambda id_: encode_update_finish(id_, TOKEN, UpdateFinish()))
            applied = await updates(program, "applied")
            assert applied["sha256"] == sha256(FILE).hexdigest()
            assert not [path for path in state.iterdir() if path.suffix == ".update"]
            statistics = await program.stop()
            assert (statistics["updates_begun"], statistics["updates_applied"]) == (1, 1)
        for more, version in (((), b"\x00\x03"), (("--factory-reset",), b"\xff\xff")):
            async with run_program(*arguments, *more) as program:
                await program.line_with("ready")
                await program.stop()
            hellos = [
                message.payload
                for message in cloud.messages()
                if message.options[:1] == ((coap.URI_PATH, b"h"),)
            ]
            assert hellos[-1][2:4] == version
