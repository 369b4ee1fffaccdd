"""`kill -9`, start again, and every device sends one ping: when is the last one answered?"""

import select
import socket
import time

from bench.child import Child
from bench.counters import ADOPTED, HANDSHAKES, ONLINE, read_counters
from bench.field import HOST, Field
from bench.figures import Amount
from bench.machine import BenchError, cpu_s, resident_bytes

NAME = "restart"
PINGS_WITHIN_S = 5.0
LAST_GOAL_S = 30.0
OPEN_WITHIN_S = 120.0
STEP_S = 0.01

GIVE_UP_S = 60.0


def measure(field: Field) -> list[Amount]:
    """Ends the server that runs, and another one on its folder and port."""
    size, port, pings = len(field.fleet.members), field.udp_port, field.fleet.pings
    field.server.kill()
    core, data = str(field.settings.server_core), str(field.world.data)
    log = field.folder / "restarted.log"
    started_s = time.monotonic()
    with Child("bench.server", data, core, "real", str(port), log=log) as server:
        _wait_until_open(port)
        opened_s = time.monotonic()
        own_s = time.process_time()
        field.fleet.ping_once(PINGS_WITHIN_S, GIVE_UP_S)
        own_s = time.process_time() - own_s
        took_s = time.monotonic() - opened_s
        if pings.answered != size:
            raise BenchError(f"{size - pings.answered} pings have no answer.")
        counted = read_counters(int(server.ready["http_port"]))
        if counted[HANDSHAKES] or counted[ADOPTED] != size or counted[ONLINE] != size:
            raise BenchError(
                f"{size} sessions: {counted[ADOPTED]:.0f} adopted, {counted[ONLINE]:.0f} online,"
                f" {counted[HANDSHAKES]:.0f} handshakes"
            )
        resident = resident_bytes(server.pid)
        cpu = cpu_s(server.pid)
    return [
        Amount(
            NAME,
            f"from the opening of the port to the last answer, {size:,} devices that ping once"
            f" within {PINGS_WITHIN_S:.0f} s",
            pings.last_answer_s - opened_s,
            "s",
            LAST_GOAL_S,
            remark=f"first answer after {pings.first_answer_s - opened_s:.1f} s,"
            f" {pings.sent_again} pings sent again, no handshake; generator {own_s / took_s:.0%}",
        ),
        Amount(
            NAME,
            "from the start of the process to the opening of the port",
            opened_s - started_s,
            "s",
            remark=f"all its CPU until the last answer {cpu:.1f} s; resident {resident / 1e6:.0f}"
            " MB then",
        ),
    ]


def _wait_until_open(port: int) -> None:
    """A closed port refuses; an open one takes the single byte without an answer."""
    deadline = time.monotonic() + OPEN_WITHIN_S
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setblocking(False)
        probe.connect((HOST, port))
        while time.monotonic() < deadline:
            try:
                probe.send(b"\0")
                select.select([probe], [], [], STEP_S)
                probe.recv(1)
            except ConnectionRefusedError:
                time.sleep(STEP_S)
            except BlockingIOError:
                return
    raise BenchError("The restarted server does not open its port.")
