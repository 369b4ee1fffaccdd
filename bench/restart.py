"""`kill -9`, start again, and every device sends one ping: when is the last one answered?"""

import heapq
import random
import select
import socket
import time
from dataclasses import dataclass

from bench.child import Child
from bench.counters import ADOPTED, HANDSHAKES, ONLINE, read_counters
from bench.field import HOST, Field
from bench.figures import Amount
from bench.fleet import Fleet
from bench.machine import BenchError, cpu_s, resident_bytes
from cyan.wire import coap

NAME = "restart"
PINGS_WITHIN_S = 5.0
LAST_GOAL_S = 30.0
OPEN_WITHIN_S = 120.0
STEP_S = 0.01

RETRANSMIT_S = (4.0, 12.0, 28.0)
"""After the first send, each up to half as late again (device-protocol.md §2.2)."""

GIVE_UP_S = 60.0


def measure(field: Field) -> list[Amount]:
    """Ends the server that runs, and another one on its folder and port."""
    size, port = len(field.fleet.members), field.udp_port
    field.server.kill()
    core, data = str(field.settings.server_core), str(field.world.data)
    log = field.folder / "restarted.log"
    started_s = time.monotonic()
    with Child("bench.server", data, core, "real", str(port), log=log) as server:
        _wait_until_open(port)
        opened_s = time.monotonic()
        round_ = _Round(field.fleet, opened_s)
        own_s = time.process_time()
        round_.run()
        own_s = time.process_time() - own_s
        took_s = time.monotonic() - opened_s
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
            round_.last_s - opened_s,
            "s",
            LAST_GOAL_S,
            remark=f"first answer after {round_.first_s - opened_s:.1f} s, {round_.again} pings"
            f" sent again, no handshake; generator {own_s / took_s:.0%}",
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


@dataclass(slots=True)
class _Ping:
    message_id: int
    sent: int = 0
    first_sent_s: float = 0.0


class _Round:
    """One ping of each device, sent again as firmware does until it is answered."""

    def __init__(self, fleet: Fleet, opened_s: float) -> None:
        self._fleet = fleet
        self._opened_s = opened_s
        self._random = random.Random(1)
        self._waiting = {
            index: _Ping(member.next_message_id()) for index, member in enumerate(fleet.members)
        }
        size = len(fleet.members)
        self._due = [(opened_s + PINGS_WITHIN_S * i / size, i) for i in range(size)]
        self.again = 0
        self.first_s = self.last_s = 0.0

    def run(self) -> None:
        """Returns when all are answered."""
        poll = select.poll()
        poll.register(self._fleet.hosts.udp, select.POLLIN)
        while self._waiting:
            now = time.monotonic()
            if now > self._opened_s + PINGS_WITHIN_S + GIVE_UP_S:
                raise BenchError(f"{len(self._waiting)} pings have no answer.")
            self._send(now)
            if poll.poll(STEP_S * 1000):
                for index, datagram in self._fleet.hosts.receive():
                    self._on_datagram(index, datagram)

    def _send(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            _, index = heapq.heappop(self._due)
            ping = self._waiting.get(index)
            if ping is None:
                continue
            if ping.sent:
                self.again += 1
            else:
                ping.first_sent_s = now
            records = self._fleet.members[index].records
            self._fleet.hosts.send(index, records.seal_data(coap.encode_ping(ping.message_id)))
            if ping.sent < len(RETRANSMIT_S):
                delay = RETRANSMIT_S[ping.sent] * (1 + self._random.random() / 2)
                heapq.heappush(self._due, (ping.first_sent_s + delay, index))
            ping.sent += 1
        self._fleet.hosts.flush()

    def _on_datagram(self, index: int, datagram: bytes) -> None:
        message = self._fleet.take(index, datagram)
        ping = self._waiting.get(index)
        if (
            ping is not None
            and message is not None
            and message.type == coap.ACK
            and message.message_id == ping.message_id
        ):
            del self._waiting[index]
            self.last_s = time.monotonic()
            self.first_s = self.first_s or self.last_s
