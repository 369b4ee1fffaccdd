"""Events of many devices at once, from a process of its own: first as fast as they are
acknowledged, then at a multiple of that rate, whatever the server says.

    python -m tests.system.storm DATA UDP_PORT DEVICES MEASURE_S STORM_S FACTOR FATES

prints a line of JSON when the devices are online, one with the rate that was sustained, and one
when the storm is over. The file FATES then has a byte for each of its events: `ACKNOWLEDGED`,
`REFUSED`, or 0 where no answer came. An event's data is its number.
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyan.wire import coap
from cyan.wire.dtls.record import DeviceRecords, split_records
from cyan.wire.messages import Publish, encode_publish
from tests.system.crowd import Crowd
from tests.system.peers import DatagramPeer

EVENT: Final = "storm"
MEASURED_EVENT: Final = "measure"
ACKNOWLEDGED: Final = 1
REFUSED: Final = 2

WINDOW: Final = 512
"""Events that wait for their acknowledgement while the rate is measured: some commits' worth, and
far from what the receive buffers hold."""

STEP_S: Final = 0.002
LAST_ANSWERS_S: Final = 3.0
FIRST_NUMBER: Final = 5000


@dataclass(frozen=True)
class Where:
    """The server on this machine."""

    data: Path
    udp_port: int
    host: str = "127.0.0.1"
    tcp_port: int = 0


class Device:
    """One session, and which events it has sent."""

    __slots__ = ("first_id", "records", "sent")

    def __init__(self, records: DeviceRecords, next_id: int) -> None:
        self.records = records
        self.first_id = next_id
        self.sent = 0


def make_device(where: Where, index: int) -> DatagramPeer:
    return DatagramPeer(where, FIRST_NUMBER + index)


class Storm:
    """Event number n comes from device n modulo their number."""

    def __init__(self, where: Where, devices: int) -> None:
        self._crowd = Crowd(where.udp_port)
        self._devices = []
        for index in range(devices):
            with make_device(where, index) as peer:
                records = peer.connect().records
                assert records is not None
                self._devices.append(Device(records, peer.next_id))
        self._begin(EVENT)

    def measure(self, seconds: float) -> float:
        """Events a second, of which never more than WINDOW wait."""
        self._begin(MEASURED_EVENT)
        began_s = time.monotonic()
        while (now_s := time.monotonic()) < began_s + seconds:
            room = WINDOW - (self._number - self.answered)
            for _ in range(room):
                self._send()
            self._listen()
            if room <= 0:
                time.sleep(STEP_S / 4)
        rate = self.answered / (now_s - began_s)
        self._wait_for_answers()
        return rate

    def rage(self, rate: float, seconds: float) -> float:
        """So many events a second, whatever happens to them; how many they really were."""
        self._begin(EVENT)
        began_s = time.monotonic()
        while (now_s := time.monotonic()) < began_s + seconds:
            due = int((now_s - began_s) * rate) - self._number
            for _ in range(min(due, WINDOW)):
                self._send()
            self._listen()
            if due <= 0:
                time.sleep(STEP_S)
        sent = self._number
        self._wait_for_answers()
        return sent / (now_s - began_s)

    def _begin(self, name: str) -> None:
        self._number = 0
        self.answered = 0
        self.fates = bytearray()
        message = encode_publish(0, Publish(name, b"0"))
        self._head, self._tail = message[:2], message[4:-1]
        for device in self._devices:
            device.first_id = device.first_id + device.sent & 0xFFFF
            device.sent = 0

    def _send(self) -> None:
        number = self._number
        index = number % len(self._devices)
        device = self._devices[index]
        message_id = device.first_id + device.sent & 0xFFFF
        record = device.records.seal_data(
            self._head + message_id.to_bytes(2, "big") + self._tail + b"%d" % number
        )
        # One that the kernel had no room for is one that the network has lost.
        self._crowd.send(index, record)
        device.sent += 1
        self._number = number + 1
        self.fates.append(0)

    def _listen(self) -> None:
        for index, datagram in self._crowd.receive():
            device = self._devices[index]
            for record in split_records(datagram):
                opened = device.records.open(record)
                if opened is not None:
                    self._take(index, device, opened[1])

    def _take(self, index: int, device: Device, content: bytes) -> None:
        kind = content[0] >> 4 & 3
        if kind == coap.ACK:
            message_id = content[2] << 8 | content[3]
            back = device.first_id + device.sent - message_id & 0xFFFF
            number = (device.sent - back) * len(self._devices) + index
            if back <= device.sent and not self.fates[number]:
                self.fates[number] = REFUSED if content[1] >= coap.BAD_REQUEST else ACKNOWLEDGED
                self.answered += 1
        elif kind == coap.CON:
            answer = coap.encode_empty_ack(content[2] << 8 | content[3])
            self._crowd.send(index, device.records.seal_data(answer))

    def _wait_for_answers(self) -> None:
        end_s = time.monotonic() + LAST_ANSWERS_S
        while time.monotonic() < end_s:
            self._listen()
            time.sleep(STEP_S)


def main(arguments: list[str]) -> None:
    data, udp_port, devices, measure_s, storm_s, factor, fates = arguments
    storm = Storm(Where(Path(data), int(udp_port)), int(devices))
    _tell(devices=int(devices))
    rate = storm.measure(float(measure_s))
    _tell(sustained=rate)
    offered = storm.rage(rate * float(factor), float(storm_s))
    Path(fates).write_bytes(storm.fates)
    _tell(offered=offered)


def _tell(**facts: float) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
