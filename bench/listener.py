"""A device that gets every event, and acknowledges it as firmware does."""

import select

from bench.fleet import Member
from bench.machine import BenchError
from bench.volley import connected_socket
from cyan.gateway.udp import datagram_socket, make_address
from cyan.wire import coap


class Listener:
    """Goes on with a member's session. `events` counts what was delivered to it."""

    def __init__(self, member: Member, address: tuple[str, int]) -> None:
        bound = connected_socket(address)
        self._udp = datagram_socket(bound)
        self._server = make_address(bound.family, *address)
        self._records = member.records
        self._is_known = False
        self.events = 0
        # From here on the server sends to this socket.
        self._send(coap.encode_ping(member.next_message_id()))
        self._udp.flush()
        select.select([self.fileno()], [], [], 5)
        self.on_readable()
        if not self._is_known:
            raise BenchError("The server does not answer the listening device.")

    def fileno(self) -> int:
        return self._udp.fileno()

    def on_readable(self) -> None:
        while batch := self._udp.receive():
            for datagram, _ in batch:
                opened = self._records.open(datagram)
                if opened is None:
                    continue
                message = coap.decode(opened[1])
                if message.type == coap.CON:
                    self.events += 1
                    self._send(coap.encode_empty_ack(message.message_id))
                else:
                    self._is_known = True
        self._udp.flush()

    def close(self) -> None:
        self._udp.close()

    def _send(self, content: bytes) -> None:
        self._udp.send(self._records.seal_data(content), self._server)
