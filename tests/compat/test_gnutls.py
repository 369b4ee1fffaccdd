"""DTLS with a peer that we did not write: gnutls-cli of GnuTLS, with raw public keys on both sides.

How far it reaches: both ServerHello and ClientHello of another stack, the cookie, retransmission
by its timer, our signature over the key exchange, its CertificateVerify, the key schedule with the
classic and the extended master secret, Finished both ways, and records without connection id both
ways with application data and close_notify. That is the form of Device OS before 3.1.

Where it ends: no stack in Debian knows the connection id by its old number 254, or the records of
type 25 that go with it; their witnesses are the captured sessions in `tests/wire/vectors`. And
GnuTLS wants a Certificate message and takes the extended master secret, so two switches of
ServerHandshake are on here which the gateway never sets.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from cyan.wire.dtls.alerts import CLOSE_NOTIFY
from cyan.wire.dtls.bodies import encode_public_key
from cyan.wire.dtls.record import ALERT, APPLICATION_DATA, HANDSHAKE, ServerRecords, split_records
from cyan.wire.dtls.server import (
    ServerHandshake,
    has_cookie,
    hello_verify_request,
    make_cookie,
    read_client_hello,
)
from cyan.wire.errors import MalformedError

PRIORITY = (
    "NONE:+VERS-DTLS1.2:+ECDHE-ECDSA:+AES-128-CCM-8:+AEAD:+SIGN-ECDSA-SHA256:+GROUP-SECP256R1"
    ":+COMP-NULL:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK:%NO_TICKETS"
)
"""What a device offers, said in GnuTLS's words."""

TIMEOUT_S = 30
SECRET = b"secret of the cookies"
SERVER_KEY = ec.derive_private_key(0x5EC, ec.SECP256R1())
PEER_KEY = ec.derive_private_key(0xC11, ec.SECP256R1())


@pytest.fixture(scope="module")
def gnutls_cli() -> str:
    """The program. Without it these tests are skipped, except in CI, where they fail."""
    program = shutil.which("gnutls-cli")
    if program is None:
        reason = "no gnutls-cli here: it is in the Debian package gnutls-bin"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return program


class Server(asyncio.DatagramProtocol):
    """The least that must stand around a ServerHandshake; answers data with `echo <data>`.

    `lost` are the numbers of our datagrams that the network loses; `change` is what happens to our
    flight on its way.
    """

    def __init__(
        self,
        *,
        accept_extended_master_secret: bool = False,
        lost: frozenset[int] = frozenset(),
        change: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self.accept_extended_master_secret = accept_extended_master_secret
        self.lost = lost
        self.change = change
        self.sent = 0
        self.handshake: ServerHandshake | None = None
        self.records: ServerRecords | None = None
        self.received: list[tuple[int, bytes]] = []
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for answer in self.answers(data):
            self.sent += 1
            if self.sent not in self.lost:
                self.transport.sendto(answer, addr)

    def answers(self, datagram: bytes) -> list[bytes]:
        if self.records is not None and datagram[3:5] != b"\0\0":
            return self.on_protected(self.records, datagram)
        if self.handshake is None:
            return self.on_hello(datagram)
        answer = self.handshake.feed(datagram)
        if self.handshake.failed is not None:
            self.ended.set()
        answers = [] if answer is None else [answer]
        established = self.handshake.established
        if self.handshake.final_flight_due and established is not None:
            if self.records is None:
                self.records = ServerRecords(
                    established.keys,
                    established.connection_id,
                    has_connection_id=established.has_connection_id,
                    highest_received=established.highest_received,
                    replay_window=established.replay_window,
                )
            answers.append(established.final_flight(self.records))
        return answers

    def on_hello(self, datagram: bytes) -> list[bytes]:
        try:
            hello = read_client_hello(datagram)
        except MalformedError:
            return []
        if not has_cookie(SECRET, b"address", hello):
            return [hello_verify_request(hello, make_cookie(SECRET, b"address", hello))]
        self.handshake = ServerHandshake(
            hello,
            server_key=SERVER_KEY,
            entropy=os.urandom(64),
            connection_id=bytes(8),
            send_certificate=True,
            accept_extended_master_secret=self.accept_extended_master_secret,
        )
        return [self.change(self.handshake.flight)]

    def on_protected(self, records: ServerRecords, datagram: bytes) -> list[bytes]:
        answers = []
        for record in split_records(datagram):
            opened = records.open(record)
            assert opened is not None
            self.received.append(opened)
            content_type, content = opened
            if content_type == APPLICATION_DATA:
                answers.append(records.seal_data(b"echo " + content))
            elif content_type == ALERT:
                self.ended.set()
            elif content_type == HANDSHAKE and self.handshake and self.handshake.established:
                answers.append(self.handshake.established.final_flight(records))
        return answers


@asynccontextmanager
async def running(
    program: str, folder: Path, server: Server
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A gnutls-cli that connects to `server`."""
    key, public = folder / "key.pem", folder / "public.pem"
    key.write_bytes(
        PEER_KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    public.write_bytes(
        PEER_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    process = await asyncio.create_subprocess_exec(
        program,
        "--udp",
        f"--port={port}",
        f"--priority={PRIORITY}",
        f"--rawpkkeyfile={key}",
        f"--rawpkfile={public}",
        "--insecure",
        "127.0.0.1",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        transport.close()
        # The transports of the pipes close themselves in the next turns of the loop.
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def say(process: asyncio.subprocess.Process, text: str) -> None:
    """Has gnutls-cli send a line, and waits until it has shown what came back."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{text}\n".encode())
    await process.stdin.drain()
    while line := await process.stdout.readline():
        if line.decode().strip() == f"echo {text}":
            return
    raise AssertionError("gnutls-cli ended without the answer")


async def hang_up(process: asyncio.subprocess.Process, server: Server) -> None:
    assert process.stdin is not None
    process.stdin.close()
    await server.ended.wait()


@pytest.mark.parametrize("extended", [False, True], ids=["classic", "extended"])
async def test_gnutls_shakes_hands_and_data_goes_both_ways(
    gnutls_cli: str, tmp_path: Path, extended: bool
) -> None:
    server = Server(accept_extended_master_secret=extended)
    async with running(gnutls_cli, tmp_path, server) as process:
        await say(process, "hello")
        await say(process, "x" * 1000)
        await hang_up(process, server)
    assert server.handshake is not None
    established = server.handshake.established
    assert established is not None
    assert established.peer_public_key == encode_public_key(PEER_KEY.public_key())
    assert not established.has_connection_id
    assert server.received == [
        (APPLICATION_DATA, b"hello\n"),
        (APPLICATION_DATA, b"x" * 1000 + b"\n"),
        (ALERT, CLOSE_NOTIFY),
    ]


@pytest.mark.parametrize("number", [1, 2, 3], ids=["cookie", "flight", "final flight"])
async def test_gnutls_comes_again_when_a_datagram_was_lost(
    gnutls_cli: str, tmp_path: Path, number: int
) -> None:
    server = Server(lost=frozenset((number,)))
    async with running(gnutls_cli, tmp_path, server) as process:
        await say(process, "hello")
        await hang_up(process, server)
    assert server.sent > 4
    assert (APPLICATION_DATA, b"hello\n") in server.received


async def test_gnutls_refuses_a_server_that_does_not_hold_the_key_which_it_shows(
    gnutls_cli: str, tmp_path: Path
) -> None:
    shown = encode_public_key(SERVER_KEY.public_key())
    stolen = encode_public_key(PEER_KEY.public_key())
    server = Server(change=lambda flight: flight.replace(shown, stolen))
    async with running(gnutls_cli, tmp_path, server) as process:
        assert process.stdout is not None
        output = (await process.stdout.read()).decode()
        assert await process.wait() != 0
    assert "Public key signature verification has failed" in output
    assert server.records is None
