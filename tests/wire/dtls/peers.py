"""A device and a server that talk in memory over a network that the test commands."""

from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric import ec

from cyan.wire.dtls.client import ClientHandshake
from cyan.wire.dtls.record import (
    APPLICATION_DATA,
    CID,
    HANDSHAKE,
    MOVED_CID,
    ServerRecords,
)
from cyan.wire.dtls.server import (
    ServerHandshake,
    has_cookie,
    hello_verify_request,
    make_cookie,
    read_client_hello,
)
from cyan.wire.errors import MalformedError

SERVER_KEY = ec.derive_private_key(0x5EC, ec.SECP256R1())
DEVICE_KEY = ec.derive_private_key(0xDE1CE, ec.SECP256R1())
CLIENT_ENTROPY = bytes(range(64))
SERVER_ENTROPY = bytes(range(64, 128))
CONNECTION_ID = b"\x01\x02\x03\x04\x05\x06\x07\x08"
DEVICE_ID = bytes.fromhex("0123456789abcdef01234567")
ADDRESS = b"192.0.2.7:49152"

DELIVER, DROP, TWICE, LATE = "deliver", "drop", "twice", "late"


def device(
    *,
    offer_connection_id: bool = True,
    offer_extended_master_secret: bool = False,
    max_datagram_bytes: int = 1280,
    server_public_key: ec.EllipticCurvePublicKey | None = None,
) -> ClientHandshake:
    return ClientHandshake(
        device_key=DEVICE_KEY,
        server_public_key=server_public_key or SERVER_KEY.public_key(),
        entropy=CLIENT_ENTROPY,
        offer_connection_id=offer_connection_id,
        device_id=DEVICE_ID,
        offer_extended_master_secret=offer_extended_master_secret,
        max_datagram_bytes=max_datagram_bytes,
    )


def server_for(
    hello_datagram: bytes,
    *,
    send_certificate: bool = False,
    accept_extended_master_secret: bool = False,
) -> ServerHandshake:
    """A handshake begun by this hello, its cookie not asked for."""
    return ServerHandshake(
        read_client_hello(hello_datagram),
        server_key=SERVER_KEY,
        entropy=SERVER_ENTROPY,
        connection_id=CONNECTION_ID,
        send_certificate=send_certificate,
        accept_extended_master_secret=accept_extended_master_secret,
    )


class Server:
    """The least that must stand around a ServerHandshake, for one address."""

    def __init__(
        self, first_sequence: int = 0, *, accept_extended_master_secret: bool = False
    ) -> None:
        self.handshake: ServerHandshake | None = None
        self.records: ServerRecords | None = None
        self.received: list[bytes] = []
        self._first_sequence = first_sequence
        self._accept_extended_master_secret = accept_extended_master_secret

    def receive(self, datagram: bytes) -> list[bytes]:
        is_protected = datagram[0] in (CID, MOVED_CID) or datagram[3:5] != b"\0\0"
        if is_protected and self.records is not None:
            return self._on_protected(self.records, datagram)
        try:
            hello = read_client_hello(datagram)
        except MalformedError:
            hello = None
        if hello is not None and (self.handshake is None or not self.handshake.is_of(hello)):
            if not has_cookie(b"secret", ADDRESS, hello):
                return [hello_verify_request(hello, make_cookie(b"secret", ADDRESS, hello))]
            self.handshake = server_for(
                datagram, accept_extended_master_secret=self._accept_extended_master_secret
            )
            return [self.handshake.flight]
        if self.handshake is None:
            return []
        answer = self.handshake.feed(datagram)
        answers = [] if answer is None else [answer]
        established = self.handshake.established
        if self.handshake.final_flight_due and established is not None:
            if self.records is None:
                self.records = ServerRecords(
                    established.keys,
                    established.connection_id,
                    has_connection_id=established.has_connection_id,
                    send_sequence=self._first_sequence,
                    highest_received=established.highest_received,
                    replay_window=established.replay_window,
                )
            answers.append(established.final_flight(self.records))
        return answers

    def _on_protected(self, records: ServerRecords, datagram: bytes) -> list[bytes]:
        opened = records.open(datagram)
        if opened is None:
            return []
        content_type, content = opened
        if content_type == APPLICATION_DATA:
            self.received.append(content)
        if content_type == HANDSHAKE and self.handshake and self.handshake.established:
            return [self.handshake.established.final_flight(records)]
        return []


def shake_hands(client: ClientHandshake, server: Server, faults: Iterable[str] = ()) -> int:
    """Carries datagrams until the device is done; returns how often its timer ran out.

    The fault number n befalls the datagram number n of both directions together; after the last
    fault the network is perfect. A late datagram arrives when the device's timer has run out.
    """
    fate = iter(faults)
    late: list[tuple[bool, bytes]] = []
    queue: list[tuple[bool, bytes]] = [(True, client.start())]
    timeouts = 0
    while client.established is None and client.failed is None:
        if not queue:
            timeouts += 1
            assert timeouts < 60, "the handshake does not end"
            queue = [(True, datagram) for datagram in client.retransmit()] + late
            late = []
        to_server, datagram = queue.pop(0)
        fault = next(fate, DELIVER)
        if fault == LATE:
            late.append((to_server, datagram))
            continue
        for _ in range({DELIVER: 1, DROP: 0, TWICE: 2}[fault]):
            answers = server.receive(datagram) if to_server else client.feed(datagram)
            queue += [(not to_server, answer) for answer in answers]
    return timeouts


def assert_they_talk(client: ClientHandshake, server: Server) -> None:
    """Data goes both ways over what the handshake made."""
    assert client.failed is None
    assert client.established is not None
    assert server.records is not None
    assert server.receive(client.established.seal_data(b"from the device")) == []
    assert server.received[-1:] == [b"from the device"]
    answer = server.records.seal_data(b"from the cloud")
    assert client.established.open(answer) == (APPLICATION_DATA, b"from the cloud")
