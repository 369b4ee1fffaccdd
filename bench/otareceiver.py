"""Devices that take a file: each opens its records, acknowledges as firmware does, and has the
SHA-256 of what it got at the end."""

import hashlib
from typing import Final

from bench.fleet import Fleet
from bench.machine import BenchError
from cyan.wire import coap
from cyan.wire.messages import (
    UpdateAck,
    UpdateChunk,
    UpdateFinish,
    UpdateStart,
    UpdateStarted,
    UpdateStatistics,
    decode_server_request,
    encode_update_ack,
    encode_update_finished,
    encode_update_started,
)

WINDOW_BYTES: Final = 128 * 1024
ACK_EVERY: Final = 2


class _File:
    """What one device has of the file."""

    __slots__ = ("beyond", "chunks", "count", "cumulative", "sha256", "unsaid")

    def __init__(self) -> None:
        self.begin(UpdateStart(1, 512))

    def begin(self, start: UpdateStart) -> None:
        self.sha256 = start.sha256
        self.count = -(-start.file_size // start.chunk_size)
        self.chunks: list[bytes] = []
        self.beyond: dict[int, bytes] = {}
        self.cumulative = 0
        self.unsaid = 0


class Receivers:
    """The members of a fleet, from the start of an update to the confirmed end of it.

    `datagrams` and `payload_bytes` count what came of the server, UDP payloads whole.
    """

    def __init__(self, fleet: Fleet, count: int) -> None:
        self._fleet = fleet
        self._files = [_File() for _ in range(count)]
        self.datagrams = self.payload_bytes = 0
        self.finished = 0

    def take(self) -> None:
        """What has come, and the answers to it."""
        fleet = self._fleet
        members, files = fleet.members, self._files
        for index, datagram in fleet.hosts.receive():
            self.datagrams += 1
            self.payload_bytes += len(datagram)
            opened = members[index].records.open(datagram)
            if opened is None:
                continue
            content = opened[1]
            # A chunk's message, spelled out: the reader of all messages would cost the generator
            # more than the server has to do for it.
            if content[0] == 0x50 and content[4:6] == b"\xb1C":
                size = content[6] & 0xF
                number = int.from_bytes(content[9 : 9 + size], "big")
                self._on_chunk(index, files[index], number, content[10 + size :])
            else:
                self._on_other(index, files[index], coap.decode(content))
        fleet.hosts.flush()

    def _on_chunk(self, index: int, file: _File, number: int, data: bytes) -> None:
        is_old = number <= file.cumulative or number in file.beyond
        if number == file.cumulative + 1:
            file.chunks.append(data)
            file.cumulative = number
            while (more := file.beyond.pop(file.cumulative + 1, None)) is not None:
                file.chunks.append(more)
                file.cumulative += 1
        elif not is_old:
            file.beyond[number] = data
        file.unsaid += 1
        if is_old or file.beyond or file.unsaid >= ACK_EVERY or file.cumulative == file.count:
            file.unsaid = 0
            bitmap = 0
            for each in file.beyond:
                bitmap |= 1 << (each - file.cumulative - 1)
            member = self._fleet.members[index]
            ack = encode_update_ack(member.next_message_id(), UpdateAck(file.cumulative, bitmap))
            self._fleet.hosts.send(index, member.seal(ack))

    def _on_other(self, index: int, file: _File, message: coap.Message) -> None:
        if message.type != coap.CON:
            return
        member = self._fleet.members[index]

        def say(content: bytes) -> None:
            self._fleet.hosts.send(index, member.seal(content))

        say(coap.encode_empty_ack(message.message_id))
        match decode_server_request(message):
            case UpdateStart() as start:
                file.begin(start)
                started = UpdateStarted(WINDOW_BYTES // start.chunk_size)
                say(encode_update_started(member.next_message_id(), message.token, started))
            case UpdateFinish():
                if hashlib.sha256(b"".join(file.chunks)).digest() != file.sha256:
                    raise BenchError("A device got another file.")
                file.chunks = []
                self.finished += 1
                done = UpdateStatistics()
                say(encode_update_finished(member.next_message_id(), message.token, done))
            case UpdateChunk():
                raise BenchError("A chunk that asks for an answer.")
            case _:
                pass
