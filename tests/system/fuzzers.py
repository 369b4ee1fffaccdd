"""Changed bytes for the sockets of a server: plain, in handshakes, and, worst of all, under the
keys of devices that it let in. What is changed is genuine: captured sessions of real firmware, and
what the fuzzer's own devices would say.
"""

from random import Random
from typing import Final

from tests.system.peers import DatagramPeer, StreamPeer
from tests.system.processes import Server
from tests.wire.fuzz import TARGETS, mutate

COAP: Final = TARGETS["coap.decode"].seeds
DATAGRAMS: Final = (
    *TARGETS["dtls.record.split_records"].seeds,
    *TARGETS["dtls.record.split_moved"].seeds,
    *TARGETS["dtls.hello.read_client_hello"].seeds,
)
REQUESTS: Final = TARGETS["lightssl.handshake.open_request"].seeds

DEVICES: Final = 8
"""At the same time, of each kind."""

MAX_MESSAGE_BYTES: Final = 1024
"""What a device sends at once is no longer; larger ones test the kernel."""

INPUTS_OF_A_SESSION: Final = 1000
"""Then it begins anew: a server can forget it without a word."""

BAD_HANDSHAKE_WITHIN_S: Final = 0.05

FIRST_NUMBER: Final = 1000
"""Of the fuzzer's devices."""


def changed_message(random: Random) -> bytes:
    """A CoAP message of which most often something is wrong. Most have an id of their own: one that
    was seen before would not be looked at."""
    data = bytearray(mutate(random, COAP))[:MAX_MESSAGE_BYTES]
    if len(data) >= 4 and random.random() < 0.9:
        data[2:4] = random.randbytes(2)
    return bytes(data)


class DatagramFuzzer:
    """Sends inputs to the UDP port, one at each call."""

    def __init__(self, server: Server, random: Random) -> None:
        self.sessions = 0
        """How many had to be begun."""
        self._random = random
        self._stranger = DatagramPeer(server, FIRST_NUMBER)
        self._stranger.begin()
        self._peers = [DatagramPeer(server, FIRST_NUMBER + 1 + i) for i in range(DEVICES)]
        self._inputs = dict.fromkeys(self._peers, INPUTS_OF_A_SESSION)
        self._known: set[DatagramPeer] = set()
        """Those whose own Hello was answered. Whose key the server does not know yet may be any
        device, even that of a Hello among the inputs, and would be no other from then on."""

    def send(self) -> None:
        """One input."""
        draw = self._random.random()
        if draw < 0.01:
            self._shake_hands_badly()
        elif draw < 0.15:
            self._stranger.send(mutate(self._random, DATAGRAMS))
        else:
            self._speak(as_it_is=draw > 0.3)

    def drain(self) -> None:
        """Take what the server has answered; it can be read."""
        for peer in self._peers:
            if peer.socket is not None:
                peer.drain()
        while self._stranger.receive_datagram(0) is not None:
            pass

    def close(self) -> None:
        for peer in (*self._peers, self._stranger):
            peer.close()

    def _speak(self, *, as_it_is: bool) -> None:
        """A message under a session's keys; its record is changed too, or sent as it is."""
        peer = self._random.choice(self._peers)
        self._inputs[peer] += 1
        if peer.is_over or self._inputs[peer] > INPUTS_OF_A_SESSION:
            self._begin(peer)
        assert peer.records is not None
        peer.records.moving = self._random.random() < 0.05
        record = peer.records.seal_data(changed_message(self._random))
        peer.send(record if as_it_is else mutate(self._random, (record,)))

    def _begin(self, peer: DatagramPeer) -> None:
        self._inputs[peer] = 0
        self.sessions += 1
        peer.shake_hands()
        if peer not in self._known or self._random.random() < 0.75:
            peer.introduce()
            self._known.add(peer)

    def _shake_hands_badly(self) -> None:
        """A handshake of which one flight comes changed first."""
        handshake = self._stranger.begin()
        bad_flight = self._random.randrange(3)
        flight = [handshake.start()]
        for number in range(3):
            for datagram in flight:
                if number == bad_flight:
                    self._stranger.send(mutate(self._random, (datagram,)))
                self._stranger.send(datagram)
            answer = self._stranger.receive_datagram(BAD_HANDSHAKE_WITHIN_S)
            if answer is None:
                return
            flight = handshake.feed(answer)


class StreamFuzzer:
    """Sends inputs to the TCP port, one at each call."""

    def __init__(self, server: Server, random: Random) -> None:
        self.sessions = 0
        """How many had to be begun."""
        self._random = random
        self._stranger = StreamPeer(server, FIRST_NUMBER)
        self._peers = [StreamPeer(server, FIRST_NUMBER + 1 + i) for i in range(DEVICES)]
        self._inputs = dict.fromkeys(self._peers, INPUTS_OF_A_SESSION)

    def send(self) -> None:
        """One input."""
        draw = self._random.random()
        if draw < 0.005:
            self._shake_hands_badly()
        else:
            self._speak(as_it_is=draw > 0.01)

    def drain(self) -> None:
        """Take what the server has answered; it can be read."""
        for peer in self._peers:
            if peer.socket is not None:
                peer.drain()

    def close(self) -> None:
        for peer in (*self._peers, self._stranger):
            peer.close()

    def _speak(self, *, as_it_is: bool) -> None:
        """A message under a session's keys; its frame is changed too, or sent as it is."""
        peer = self._random.choice(self._peers)
        self._inputs[peer] += 1
        if peer.is_over or self._inputs[peer] > INPUTS_OF_A_SESSION:
            self._begin(peer)
        message = changed_message(self._random)
        if as_it_is:
            peer.transmit(message)
        else:
            peer.send(mutate(self._random, (peer.seal(message),)))

    def _begin(self, peer: StreamPeer) -> None:
        self._inputs[peer] = 0
        self.sessions += 1
        peer.shake_hands()
        if self._random.random() < 0.75:
            peer.introduce()

    def _shake_hands_badly(self) -> None:
        """A request of another session, of no session, or of this one with something changed."""
        handshake = self._stranger.begin()
        request = handshake.feed(self._stranger.receive_bytes(BAD_HANDSHAKE_WITHIN_S))
        self._stranger.send(mutate(self._random, (*REQUESTS, request)))
