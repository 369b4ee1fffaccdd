"""Devices that take a file: each opens its records, acknowledges as firmware does, and has the
SHA-256 of what it got at the end.

What every chunk passes through is spelled out: the parts of a simulated device would cost the
generator more than the server has to do for it, and the generator would be what is measured.
"""

import hashlib
from struct import Struct
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from bench.fleet import Fleet, Member
from bench.machine import BenchError
from cyan.wire import coap
from cyan.wire.dtls.record import TAG_BYTES
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

_CHUNK: Final = b"\xb1C"
"""The path of a chunk, behind a header without a token; then the option with its index."""
_pack_ack: Final = Struct("!2sH5sH").pack
"""An UpdateAck with an index of two bytes, without gaps, as firmware writes it."""


class _File:
    """What one device has of the file."""

    __slots__ = (
        "beyond", "chunks", "count", "cumulative", "decrypt", "iv", "member", "sha256", "unsaid",
    )  # fmt: skip

    def __init__(self, member: Member) -> None:
        self.member = member
        self.decrypt = AESCCM(member.records.keys.server_write_key, TAG_BYTES).decrypt
        self.iv = member.records.keys.server_write_iv
        self.begin(UpdateStart(1, 512))

    def begin(self, start: UpdateStart) -> None:
        self.sha256 = start.sha256
        self.count = -(-start.file_size // start.chunk_size)
        self.chunks: list[bytes] = []
        self.beyond: dict[int, bytes] = {}
        self.cumulative = 0
        self.unsaid = 0

    def open(self, record: bytes) -> bytes:
        """The message in one record of the server. Raises InvalidTag when it is not authentic."""
        length = (len(record) - 29).to_bytes(2, "big")
        additional_data = record[3:11] + record[:3] + length
        return self.decrypt(self.iv + record[13:21], record[21:], additional_data)

    def take(self, number: int, message: bytes) -> bytes | None:
        """The answer to a chunk, if it gets one."""
        cumulative, beyond = self.cumulative, self.beyond
        if number == cumulative + 1 and not beyond:
            self.chunks.append(message)
            self.cumulative = number
            self.unsaid += 1
            if self.unsaid < ACK_EVERY and number < self.count:
                return None
        else:
            if number > cumulative:
                beyond.setdefault(number, message)
            while (more := beyond.pop(self.cumulative + 1, None)) is not None:
                self.chunks.append(more)
                self.cumulative += 1
        self.unsaid = 0
        return self._ack()

    def _ack(self) -> bytes:
        message_id, cumulative = self.member.next_message_id(), self.cumulative
        if cumulative > 0xFF and not self.beyond:
            return _pack_ack(b"\x50\x02", message_id, b"\xb1A\xe2\x06\xe9", cumulative)
        bitmap = 0
        for each in self.beyond:
            bitmap |= 1 << (each - cumulative - 1)
        return encode_update_ack(message_id, UpdateAck(cumulative, bitmap))

    def check(self) -> None:
        """BenchError when it is another file than was announced."""
        data = b"".join(message[10 + (message[6] & 0xF) :] for message in self.chunks)
        if hashlib.sha256(data).digest() != self.sha256:
            raise BenchError("A device got another file.")


class Receivers:
    """The members of a fleet, from the start of an update to the confirmed end of it.

    `datagrams` and `payload_bytes` count what came of the server, UDP payloads whole.
    """

    def __init__(self, fleet: Fleet, count: int) -> None:
        self._fleet = fleet
        self._files = [_File(member) for member in fleet.members[:count]]
        self.datagrams = self.payload_bytes = 0
        self.finished = 0

    def take(self) -> None:
        """What has come, and the answers to it."""
        hosts, files = self._fleet.hosts, self._files
        for index, datagram in hosts.receive():
            self.datagrams += 1
            self.payload_bytes += len(datagram)
            file = files[index]
            message = file.open(datagram)
            if message[4:6] == _CHUNK and message[0] == 0x50:
                size = message[6] & 0xF
                number = int.from_bytes(message[9 : 9 + size], "big")
                answer = file.take(number, message)
                if answer is not None:
                    hosts.send(index, file.member.seal(answer))
            elif datagram[0] == 0x17:
                self._on_other(index, file, coap.decode(message))
        hosts.flush()

    def check(self) -> None:
        """BenchError when a device got another file: its confirmation meant nothing then."""
        for file in self._files:
            file.check()

    def _on_other(self, index: int, file: _File, message: coap.Message) -> None:
        if message.type != coap.CON:
            return
        member = file.member

        def say(content: bytes) -> None:
            self._fleet.hosts.send(index, member.seal(content))

        say(coap.encode_empty_ack(message.message_id))
        match decode_server_request(message):
            case UpdateStart() as start:
                file.begin(start)
                started = UpdateStarted(WINDOW_BYTES // start.chunk_size)
                say(encode_update_started(member.next_message_id(), message.token, started))
            case UpdateFinish():
                self.finished += 1
                done = UpdateStatistics()
                say(encode_update_finished(member.next_message_id(), message.token, done))
            case UpdateChunk():
                raise BenchError("A chunk that asks for an answer.")
            case _:
                pass
