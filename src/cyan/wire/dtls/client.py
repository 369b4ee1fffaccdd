"""The device's handshake as Device OS makes it; for the simulator and the tests."""

from hashlib import sha256
from hmac import compare_digest

from cryptography.hazmat.primitives.asymmetric import ec

from cyan.wire.dtls import alerts, bodies, key_schedule
from cyan.wire.dtls.handshake import (
    CERTIFICATE,
    CERTIFICATE_REQUEST,
    CERTIFICATE_VERIFY,
    CLIENT_HELLO,
    CLIENT_KEY_EXCHANGE,
    FINISHED,
    HELLO_VERIFY_REQUEST,
    SERVER_HELLO,
    SERVER_HELLO_DONE,
    SERVER_KEY_EXCHANGE,
    Message,
    Reassembly,
    decode_fragments,
    encode_fragments,
    encode_message,
)
from cyan.wire.dtls.hello import (
    connection_id_in,
    decode_hello_verify_request,
    decode_server_hello,
    encode_client_hello,
)
from cyan.wire.dtls.record import (
    ALERT,
    CHANGE_CIPHER_SPEC,
    CONNECTION_ID_BYTES,
    HANDSHAKE,
    HEADER_BYTES,
    DeviceRecords,
    plaintext_record,
    split_records,
)
from cyan.wire.errors import MalformedError

MAX_DATAGRAM_BYTES = 1280
SMALL_DATAGRAM_BYTES = 508
RETRANSMISSIONS_BEFORE_SMALL = 2
"""A device keeps to 508 bytes after its second retransmission (device-protocol.md §1.4.2)."""

_NO_CERTIFICATE = b"\x00\x00\x03\x00\x00\x00"
"""What a device sends when the server did not choose raw public keys (§1.4.2)."""


class _FailedError(Exception):
    """The server broke the protocol; with the alert that the device sends, if any."""

    def __init__(self, reason: str, description: int | None = None) -> None:
        super().__init__(reason)
        self.description = description


class ClientHandshake:
    """One handshake from the device's side. Send what `start`, `feed` and `retransmit` return.

    `established` holds the session's records once the server's Finished is verified; `failed` tells
    why there will be none. The owner has the timer: 3 s, doubling to 24 s, then it gives up
    (device-protocol.md §1.4.2).
    """

    def __init__(
        self,
        *,
        device_key: ec.EllipticCurvePrivateKey,
        server_public_key: ec.EllipticCurvePublicKey,
        entropy: bytes,
        offer_connection_id: bool = True,
        device_id: bytes | None = None,
        offer_extended_master_secret: bool = False,
        max_datagram_bytes: int = MAX_DATAGRAM_BYTES,
    ) -> None:
        """`entropy` is 64 fresh random bytes.

        Device OS before 3.1 offers no connection id; its `device_id` (12 bytes) is for the records
        of `established`, should they move. Only other stacks offer the extended master secret
        (RFC 7627): for tests of a server.
        """
        self._device_key = device_key
        self._server_public_key = server_public_key
        self._offer_connection_id = offer_connection_id
        self._device_id = device_id
        self._offer_extended_master_secret = offer_extended_master_secret
        self._extended_master_secret = False
        self.max_datagram_bytes = max_datagram_bytes
        self._random = entropy[: bodies.RANDOM_BYTES]
        self._ephemeral = bodies.ephemeral_key(entropy)
        self._record_sequence = 0
        self._send_message_seq = 0
        self._retransmissions = 0
        self._flight: list[Message] = []
        self._finished: Message | None = None
        self._master = b""
        self._server_random = b""
        self._server_ephemeral: ec.EllipticCurvePublicKey | None = None
        self._raw_public_key_chosen = False
        self._certificate_requested = False
        self._connection_id = b""
        self._records: DeviceRecords | None = None
        self.established: DeviceRecords | None = None
        self.failed: str | None = None
        self._expected: tuple[int, ...] = (HELLO_VERIFY_REQUEST, SERVER_HELLO)
        self._say_hello(b"")

    def start(self) -> bytes:
        """The datagram of the first ClientHello."""
        return self._encode_flight()[0]

    def retransmit(self) -> list[bytes]:
        """The last flight again: the same messages in records with new sequence numbers."""
        if self.established is not None or self.failed is not None:
            return []
        self._retransmissions += 1
        if self._retransmissions == RETRANSMISSIONS_BEFORE_SMALL:
            self.max_datagram_bytes = min(self.max_datagram_bytes, SMALL_DATAGRAM_BYTES)
        return self._encode_flight()

    def feed(self, datagram: bytes) -> list[bytes]:
        """Takes a datagram of the server; returns the datagrams to send now.

        Never raises for what the server sent.
        """
        try:
            records = split_records(datagram)
        except MalformedError:
            return []
        answers: list[bytes] = []
        for record in records:
            if self.established is not None or self.failed is not None:
                break
            try:
                answers += self._on_record(record)
            except (_FailedError, MalformedError) as error:
                self.failed = str(error)
                description = (
                    error.description if isinstance(error, _FailedError) else alerts.DECODE_ERROR
                )
                if description is not None:
                    answers.append(alerts.fatal_alert_datagram(description, self._record_sequence))
                    self._record_sequence += 1
        return answers

    def _on_record(self, record: bytes) -> list[bytes]:
        content_type = record[0]
        content = record[HEADER_BYTES:]
        if record[3:5] != b"\0\0":
            opened = self._records.open(record) if self._records is not None else None
            if opened is None:
                return []
            content_type, content = opened
        if content_type == ALERT and alerts.ends_session(content):
            raise _FailedError(f"the server sent alert {content[1]}")
        if content_type != HANDSHAKE:
            return []
        try:
            for fragment in decode_fragments(content):
                if (fragment.type == FINISHED) == (record[3:5] != b"\0\0"):
                    self._reassembly.add(fragment)
        except MalformedError:
            return []
        answers: list[bytes] = []
        while message := self._reassembly.next_message():
            answers += self._on_message(message)
        return answers

    def _on_message(self, message: Message) -> list[bytes]:
        if message.type not in self._expected:
            raise _FailedError(f"message {message.type} not expected", alerts.UNEXPECTED_MESSAGE)
        if message.type == HELLO_VERIFY_REQUEST:
            self._expected = (SERVER_HELLO,)
            self._say_hello(decode_hello_verify_request(message))
            return self._encode_flight()
        if message.type == FINISHED:
            self._on_finished(message)
            return []
        self._transcript.update(message.encoded)
        if message.type == SERVER_HELLO:
            self._on_server_hello(message)
        elif message.type == SERVER_KEY_EXCHANGE:
            self._on_server_key_exchange(message)
        elif message.type == CERTIFICATE_REQUEST:
            self._certificate_requested = True
            self._expected = (SERVER_HELLO_DONE,)
        else:
            self._on_server_hello_done()
            return self._encode_flight()
        return []

    def _on_server_hello(self, message: Message) -> None:
        hello = decode_server_hello(message)
        if hello.version != bodies.DTLS_1_2:
            raise _FailedError("the server chose another version", alerts.PROTOCOL_VERSION)
        if hello.cipher_suite != bodies.AES_128_CCM_8 or hello.compression:
            raise _FailedError("the server chose another suite", alerts.ILLEGAL_PARAMETER)
        self._connection_id = connection_id_in(hello.extensions)
        if bodies.CONNECTION_ID in hello.extensions and not self._offer_connection_id:
            raise _FailedError(
                "the server gave an id that was not offered", alerts.UNSUPPORTED_EXTENSION
            )
        if len(self._connection_id) > CONNECTION_ID_BYTES:
            raise _FailedError("connection id too long", alerts.ILLEGAL_PARAMETER)
        self._server_random = hello.random
        self._extended_master_secret = bodies.EXTENDED_MASTER_SECRET in hello.extensions
        self._raw_public_key_chosen = hello.extensions.get(bodies.CLIENT_CERTIFICATE_TYPE) == bytes(
            (bodies.RAW_PUBLIC_KEY,)
        )
        self._expected = (SERVER_KEY_EXCHANGE,)

    def _on_server_key_exchange(self, message: Message) -> None:
        self._server_ephemeral = bodies.decode_server_key_exchange(
            message.body, self._random + self._server_random, self._server_public_key
        )
        if self._server_ephemeral is None:
            raise _FailedError("the server did not prove its key", alerts.DECRYPT_ERROR)
        self._expected = (CERTIFICATE_REQUEST, SERVER_HELLO_DONE)

    def _on_server_hello_done(self) -> None:
        assert self._server_ephemeral is not None
        self._flight = []
        if self._certificate_requested:
            self._say(
                CERTIFICATE,
                bodies.encode_certificate(bodies.encode_public_key(self._device_key.public_key()))
                if self._raw_public_key_chosen
                else _NO_CERTIFICATE,
            )
        self._say(
            CLIENT_KEY_EXCHANGE,
            bodies.encode_client_key_exchange(bodies.encode_point(self._ephemeral)),
        )
        premaster = bodies.shared_secret(self._ephemeral, self._server_ephemeral)
        randoms = (self._random, self._server_random)
        if self._extended_master_secret:
            self._master = key_schedule.extended_master_secret(premaster, self._transcript.digest())
        else:
            self._master = key_schedule.master_secret(premaster, *randoms)
        if self._certificate_requested and self._raw_public_key_chosen:
            self._say(
                CERTIFICATE_VERIFY,
                bodies.encode_certificate_verify(self._transcript.digest(), self._device_key),
            )
        self._finished = encode_message(
            FINISHED,
            self._send_message_seq,
            key_schedule.verify_data(
                self._master, key_schedule.CLIENT_FINISHED, self._transcript.digest()
            ),
        )
        self._transcript.update(self._finished.encoded)
        if self._offer_connection_id and len(self._connection_id) != CONNECTION_ID_BYTES:
            # Device OS finds this out after the handshake and then throws the session away; there
            # is nothing to be had from finishing it.
            raise _FailedError("the server gave no connection id of 8 bytes")
        keys = key_schedule.derive_keys(self._master, *randoms)
        self._records = DeviceRecords(keys, self._connection_id, device_id=self._device_id)
        self._retransmissions = 0
        self._expected = (FINISHED,)

    def _on_finished(self, message: Message) -> None:
        expected = key_schedule.verify_data(
            self._master, key_schedule.SERVER_FINISHED, self._transcript.digest()
        )
        if not compare_digest(message.body, expected):
            raise _FailedError("the server's Finished is wrong", alerts.DECRYPT_ERROR)
        self.established = self._records

    def _say_hello(self, cookie: bytes) -> None:
        """A HelloVerifyRequest and the hello before it are no part of the transcript."""
        self._transcript = sha256()
        self._reassembly = Reassembly(self._send_message_seq)
        self._flight = []
        self._say(
            CLIENT_HELLO,
            encode_client_hello(
                self._random,
                cookie,
                offer_connection_id=self._offer_connection_id,
                offer_extended_master_secret=self._offer_extended_master_secret,
            ),
        )

    def _say(self, message_type: int, body: bytes) -> None:
        message = encode_message(message_type, self._send_message_seq, body)
        self._send_message_seq += 1
        self._transcript.update(message.encoded)
        self._flight.append(message)

    def _encode_flight(self) -> list[bytes]:
        # A hello is always whole (it is 148 bytes with a long cookie): servers keep no fragments.
        limit = MAX_DATAGRAM_BYTES if self._records is None else self.max_datagram_bytes
        records = [
            self._plaintext(HANDSHAKE, fragment)
            for message in self._flight
            for fragment in encode_fragments(message, limit - HEADER_BYTES)
        ]
        if self._finished is not None and self._records is not None:
            records.append(self._plaintext(CHANGE_CIPHER_SPEC, b"\x01"))
            records.append(self._records.seal(HANDSHAKE, self._finished.encoded))
        datagrams = [records[0]]
        for record in records[1:]:
            if len(datagrams[-1]) + len(record) <= limit:
                datagrams[-1] += record
            else:
                datagrams.append(record)
        return datagrams

    def _plaintext(self, content_type: int, content: bytes) -> bytes:
        record = plaintext_record(content_type, self._record_sequence, content)
        self._record_sequence += 1
        return record
