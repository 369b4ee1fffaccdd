"""The server's handshake: ECDHE-ECDSA with a raw public key, no Certificate of ours (§1.4.2).

::

    device                                        server
    ClientHello                         ->
                                        <-        HelloVerifyRequest (stateless, see `hello`)
    ClientHello with cookie             ->
                                        <-        ServerHello, ServerKeyExchange,
                                                  CertificateRequest, ServerHelloDone  (`flight`)
    Certificate, ClientKeyExchange,
    CertificateVerify, CCS, Finished    ->        `established`
                                        <-        CCS, Finished     (`Established.final_flight`)

The server has no timer: it answers retransmissions, and the device has the timer (3 to 24 s).
"""

from hashlib import sha256
from hmac import compare_digest

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from cyan.wire.dtls import alerts, bodies, key_schedule
from cyan.wire.dtls.handshake import (
    CERTIFICATE,
    CERTIFICATE_REQUEST,
    CERTIFICATE_VERIFY,
    CLIENT_HELLO,
    CLIENT_KEY_EXCHANGE,
    FINISHED,
    SERVER_HELLO,
    SERVER_HELLO_DONE,
    SERVER_KEY_EXCHANGE,
    Fragment,
    Message,
    Reassembly,
    decode_fragments,
    encode_message,
)
from cyan.wire.dtls.hello import (
    ClientHello,
    Refused,
    encode_server_hello,
    has_cookie,
    hello_verify_request,
    make_cookie,
    read_client_hello,
    refuse_what_we_cannot_serve,
)
from cyan.wire.dtls.record import (
    ALERT,
    CHANGE_CIPHER_SPEC,
    CID,
    HANDSHAKE,
    HEADER_BYTES,
    MOVED_CID,
    Keys,
    ServerRecords,
    plaintext_record,
    split_records,
)
from cyan.wire.errors import MalformedError

__all__ = [
    "ClientHello",
    "Established",
    "Refused",
    "ServerHandshake",
    "has_cookie",
    "hello_verify_request",
    "make_cookie",
    "read_client_hello",
]

MAX_EARLY_RECORDS = 4
"""Protected records kept until the keys are known: a Finished that overtook its flight."""

_NEXT_TYPE = {
    CERTIFICATE: CLIENT_KEY_EXCHANGE,
    CLIENT_KEY_EXCHANGE: CERTIFICATE_VERIFY,
    CERTIFICATE_VERIFY: FINISHED,
}


class Established(msgspec.Struct, frozen=True):
    """A handshake that both sides have proved: the device by its key, and by its Finished.

    `has_connection_id` tells whether its records carry the `connection_id`: those of firmware
    before 3.1 do not, and are found by their address or by `record.split_moved`.
    `peer_public_key` is the device's SubjectPublicKeyInfo (91 bytes). `highest_received` and
    `replay_window` are for the `ServerRecords` that go on from here.
    """

    keys: Keys
    connection_id: bytes
    has_connection_id: bool
    peer_public_key: bytes
    highest_received: int
    replay_window: int
    change_cipher_spec: bytes
    finished: bytes

    def final_flight(self, records: ServerRecords) -> bytes:
        """The datagram that ends the handshake; may be made again, with the next sequence number.

        Store the session before this is sent: afterwards the device counts on it.
        """
        return self.change_cipher_spec + records.seal(HANDSHAKE, self.finished)


class _FailedError(Exception):
    """The peer broke the protocol in a way that ends the handshake."""

    def __init__(self, reason: str, description: int) -> None:
        super().__init__(reason)
        self.description = description


class ServerHandshake:
    """One handshake, from a ClientHello whose cookie was right.

    `flight` is the datagram to send first. `established` and `failed` (why, for the log) tell how
    it ended. `final_flight_due` tells, after each `feed`, whether that datagram held the device's
    authentic Finished, the first time or again: then send `established.final_flight(records)`.

    A Finished alone in its datagram has only the connection id to find the handshake by, or else
    its address. Once the
    session is established, protected records belong to the `ServerRecords` made for it (their
    replay window is not shared); content of type HANDSHAKE that they open means that the final
    flight was lost.
    """

    __slots__ = (
        "_early",
        "_ephemeral",
        "_expected",
        "_flight_messages",
        "_has_extended_master_secret",
        "_hello",
        "_master",
        "_peer_key",
        "_peer_public_key",
        "_random",
        "_reassembly",
        "_record_sequence",
        "_records",
        "_send_message_seq",
        "_transcript",
        "connection_id",
        "established",
        "failed",
        "final_flight_due",
        "flight",
        "was_key_unknown",
    )

    def __init__(
        self,
        hello: ClientHello,
        *,
        server_key: ec.EllipticCurvePrivateKey,
        entropy: bytes,
        connection_id: bytes,
        send_certificate: bool = False,
        accept_extended_master_secret: bool = False,
    ) -> None:
        """`entropy` is 64 fresh random bytes, `connection_id` 8 bytes that no other session has.

        The two switches are what other stacks need or want and Device OS does not take (a
        Certificate message, our raw public key in it) or offer (RFC 7627): for tests with a peer
        that we did not write. Refused when the hello lacks something that we need.
        """
        refuse_what_we_cannot_serve(hello)
        self._hello = hello
        self._has_extended_master_secret = (
            accept_extended_master_secret and bodies.EXTENDED_MASTER_SECRET in hello.extensions
        )
        self.connection_id = connection_id
        self._random = entropy[: bodies.RANDOM_BYTES]
        ephemeral = bodies.ephemeral_key(entropy)
        self._ephemeral: ec.EllipticCurvePrivateKey | None = ephemeral
        self._transcript = sha256(hello.message)
        self._send_message_seq = hello.message_seq
        self._record_sequence = hello.record_sequence
        self._reassembly = Reassembly(hello.message_seq + 1)
        self._expected = CERTIFICATE
        self._early: list[bytes] = []
        self._master = b""
        self._peer_public_key = b""
        self._peer_key: ec.EllipticCurvePublicKey | None = None
        self._records: ServerRecords | None = None
        self.established: Established | None = None
        self.failed: str | None = None
        self.was_key_unknown = False
        """The peer could not verify our signature: it holds another server's key."""
        self.final_flight_due = False
        flight = [
            (
                SERVER_HELLO,
                encode_server_hello(
                    hello,
                    self._random,
                    connection_id,
                    extended_master_secret=self._has_extended_master_secret,
                ),
            ),
            (
                SERVER_KEY_EXCHANGE,
                bodies.encode_server_key_exchange(
                    hello.random + self._random, bodies.encode_point(ephemeral), server_key
                ),
            ),
            (CERTIFICATE_REQUEST, bodies.CERTIFICATE_REQUEST_BODY),
            (SERVER_HELLO_DONE, b""),
        ]
        if send_certificate:
            spki = bodies.encode_public_key(server_key.public_key())
            flight.insert(1, (CERTIFICATE, bodies.encode_certificate(spki)))
        self._flight_messages = [self._say(message_type, body) for message_type, body in flight]
        self.flight = self._encode_flight()

    def is_of(self, hello: ClientHello) -> bool:
        """Whether `hello` is the one that began this handshake, first sent or again."""
        return hello.message == self._hello.message

    def feed(self, datagram: bytes) -> bytes | None:
        """Takes a datagram of the peer; returns one to send now, or None.

        That is our flight again after a retransmitted ClientHello, or a fatal alert. Malformed and
        unexpected records are left out without a word. Never raises for what the peer sent.
        """
        self.final_flight_due = False
        if self.failed is not None:
            return None
        try:
            records = split_records(datagram)
        except MalformedError:
            return None
        answer = None
        try:
            for record in records:
                answer = self._on_record(record) or answer
        except _FailedError as error:
            self.failed = str(error)
            answer = alerts.fatal_alert_datagram(error.description, self._record_sequence)
            self._record_sequence += 1
        return answer

    def _on_record(self, record: bytes) -> bytes | None:
        content_type = record[0]
        if content_type in (CID, MOVED_CID) or record[3:5] != b"\0\0":
            self._on_protected(record)
        elif content_type == HANDSHAKE:
            return self._on_plaintext(record[HEADER_BYTES:])
        elif content_type == ALERT:
            self._on_alert(record[HEADER_BYTES:])
        return None

    def _on_plaintext(self, content: bytes) -> bytes | None:
        try:
            fragments = decode_fragments(content)
        except MalformedError:
            return None
        answer = None
        for fragment in fragments:
            if fragment.type == CLIENT_HELLO:
                if self._is_our_hello(fragment) and self.established is None:
                    answer = self._encode_flight()
            elif fragment.type != FINISHED:
                self._on_fragment(fragment)
        return answer

    def _on_protected(self, record: bytes) -> None:
        if self._records is None:
            if len(self._early) < MAX_EARLY_RECORDS:
                self._early.append(record)
            return
        opened = self._records.open(record)
        if opened is None:
            return
        content_type, content = opened
        if content_type == ALERT:
            self._on_alert(content)
        if content_type != HANDSHAKE:
            return
        try:
            fragments = decode_fragments(content)
        except MalformedError:
            return
        for fragment in fragments:
            if fragment.type == FINISHED:
                self.final_flight_due = self.established is not None
                self._on_fragment(fragment)

    def _on_alert(self, content: bytes) -> None:
        if self.established is None and alerts.ends_session(content):
            self.failed = f"the peer sent alert {content[1]}"
            self.was_key_unknown = content[1] == alerts.DECRYPT_ERROR

    def _on_fragment(self, fragment: Fragment) -> None:
        if self.established is not None:
            return
        try:
            self._reassembly.add(fragment)
        except MalformedError:
            return
        while self.established is None and (message := self._reassembly.next_message()):
            try:
                self._on_message(message)
            except MalformedError as error:
                raise _FailedError(str(error), alerts.DECODE_ERROR) from error

    def _on_message(self, message: Message) -> None:
        if message.type != self._expected:
            raise _FailedError(
                f"message {message.type} where {self._expected} belongs", alerts.UNEXPECTED_MESSAGE
            )
        if message.type == CERTIFICATE:
            self._on_certificate(message)
        elif message.type == CLIENT_KEY_EXCHANGE:
            self._on_client_key_exchange(message)
        elif message.type == CERTIFICATE_VERIFY:
            self._on_certificate_verify(message)
        else:
            self._on_finished(message)
            return
        self._expected = _NEXT_TYPE[message.type]
        if message.type == CLIENT_KEY_EXCHANGE:
            early, self._early = self._early, []
            for record in early:
                self._on_protected(record)

    def _on_certificate(self, message: Message) -> None:
        self._peer_public_key = bodies.decode_certificate(message.body)
        try:
            self._peer_key = bodies.decode_public_key(self._peer_public_key)
        except MalformedError as error:
            raise _FailedError(f"certificate: {error}", alerts.BAD_CERTIFICATE) from error
        self._transcript.update(message.encoded)

    def _on_client_key_exchange(self, message: Message) -> None:
        peer = bodies.decode_client_key_exchange(message.body)
        self._transcript.update(message.encoded)
        assert self._ephemeral is not None
        premaster = bodies.shared_secret(self._ephemeral, peer)
        randoms = (self._hello.random, self._random)
        if self._has_extended_master_secret:
            self._master = key_schedule.extended_master_secret(premaster, self._transcript.digest())
        else:
            self._master = key_schedule.master_secret(premaster, *randoms)
        keys = key_schedule.derive_keys(self._master, *randoms)
        self._records = ServerRecords(
            keys, self.connection_id, has_connection_id=self._hello.offers_connection_id
        )

    def _on_certificate_verify(self, message: Message) -> None:
        assert self._peer_key is not None
        if not bodies.is_verified(message.body, self._transcript.digest(), self._peer_key):
            raise _FailedError("the device did not prove its key", alerts.DECRYPT_ERROR)
        self._transcript.update(message.encoded)

    def _on_finished(self, message: Message) -> None:
        assert self._records is not None
        expected = key_schedule.verify_data(
            self._master, key_schedule.CLIENT_FINISHED, self._transcript.digest()
        )
        if not compare_digest(message.body, expected):
            raise _FailedError("the device's Finished is wrong", alerts.DECRYPT_ERROR)
        self._transcript.update(message.encoded)
        finished = encode_message(
            FINISHED,
            self._send_message_seq,
            key_schedule.verify_data(
                self._master, key_schedule.SERVER_FINISHED, self._transcript.digest()
            ),
        )
        self.established = Established(
            keys=self._records.keys,
            connection_id=self.connection_id,
            has_connection_id=self._records.has_connection_id,
            peer_public_key=self._peer_public_key,
            highest_received=self._records.highest_received,
            replay_window=self._records.replay_window,
            change_cipher_spec=plaintext_record(CHANGE_CIPHER_SPEC, self._record_sequence, b"\x01"),
            finished=finished.encoded,
        )
        self.final_flight_due = True
        self._release()

    def _release(self) -> None:
        """Keep only what knows a repeated Finished: handshakes are kept for a while after their
        end, and there can be thousands."""
        self._ephemeral = self._peer_key = None
        self._flight_messages = []
        self._master = b""
        if self._records is not None:
            self._records.release_ciphers()

    def _is_our_hello(self, fragment: Fragment) -> bool:
        return (
            fragment.sequence == self._hello.message_seq
            and fragment.is_whole
            and encode_message(CLIENT_HELLO, fragment.sequence, fragment.data).encoded
            == self._hello.message
        )

    def _say(self, message_type: int, body: bytes) -> bytes:
        message = encode_message(message_type, self._send_message_seq, body)
        self._send_message_seq += 1
        self._transcript.update(message.encoded)
        return message.encoded

    def _encode_flight(self) -> bytes:
        first = self._record_sequence
        self._record_sequence += len(self._flight_messages)
        return b"".join(
            plaintext_record(HANDSHAKE, first + index, message)
            for index, message in enumerate(self._flight_messages)
        )
