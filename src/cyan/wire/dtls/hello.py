"""ClientHello and ServerHello, the stateless cookie exchange, and what we cannot serve.

Nothing here keeps state about a peer: until a cookie has come back, an address may be forged
(RFC 6347 §4.2.1).
"""

from hmac import compare_digest, digest

import msgspec

from cyan.wire.dtls import alerts, bodies
from cyan.wire.dtls.handshake import (
    CLIENT_HELLO,
    HELLO_VERIFY_REQUEST,
    Message,
    decode_fragments,
    encode_message,
)
from cyan.wire.dtls.reader import Reader, vector
from cyan.wire.dtls.record import (
    HANDSHAKE,
    HEADER_BYTES,
    plaintext_record,
    split_records,
)
from cyan.wire.errors import MalformedError

COOKIE_BYTES = 20
"""Short enough that our answer is smaller than any hello that we can serve."""
MAX_HELLO_MESSAGE_SEQUENCE = 16
"""A device's hello has 0 or, with a cookie, 1; more when its cookie had expired."""
MAX_HELLO_RECORD_SEQUENCE = 1 << 32
"""Our flight goes on counting from it, so it must not be near the end of the 48 bits."""

_HELLO_VERIFY_VERSION = b"\xfe\xff"
"""RFC 6347 §4.2.1; devices take it (device-protocol.md §1.4.2)."""
_NULL_COMPRESSION = 0


class ClientHello(msgspec.Struct, frozen=True):
    """What a ClientHello asks for. `message` is the whole message, as it enters the transcript;
    `parameters` is its body without the cookie, which two hellos of one handshake share."""

    version: bytes
    random: bytes
    cookie: bytes
    cipher_suites: tuple[int, ...]
    compressions: bytes
    extensions: dict[int, bytes]
    parameters: bytes
    message: bytes
    message_seq: int
    record_sequence: int

    @property
    def offers_connection_id(self) -> bool:
        """Whether the device's records are to carry an id that we choose: firmware from 3.1 on."""
        return bodies.CONNECTION_ID in self.extensions


class ServerHello(msgspec.Struct, frozen=True):
    """What a ServerHello has chosen."""

    version: bytes
    random: bytes
    cipher_suite: int
    compression: int
    extensions: dict[int, bytes]


class Refused(MalformedError):  # noqa: N818
    """A well-formed hello that we cannot serve; `alert` is the datagram that says so."""

    def __init__(self, reason: str, alert: bytes) -> None:
        super().__init__(reason)
        self.alert = alert


def read_client_hello(datagram: bytes) -> ClientHello:
    """The ClientHello that a datagram begins with.

    MalformedError when it does not, or holds only a fragment: a device's hello of 148 bytes is
    never cut, and keeping fragments would be state for an unproven address.
    """
    record = split_records(datagram)[0]
    if record[0] != HANDSHAKE or record[3:5] != b"\0\0":
        raise MalformedError("not a plaintext handshake record")
    fragments = decode_fragments(record[HEADER_BYTES:])
    if len(fragments) != 1 or fragments[0].type != CLIENT_HELLO or not fragments[0].is_whole:
        raise MalformedError("not one whole ClientHello")
    fragment = fragments[0]
    record_sequence = int.from_bytes(record[5:11], "big")
    if fragment.sequence > MAX_HELLO_MESSAGE_SEQUENCE:
        raise MalformedError("ClientHello with a high message_seq")
    if record_sequence > MAX_HELLO_RECORD_SEQUENCE:
        raise MalformedError("ClientHello with a high record sequence")
    reader = Reader(fragment.data)
    version = reader.take(2)
    random = reader.take(bodies.RANDOM_BYTES)
    session_id = reader.vector(1)
    if len(session_id) > bodies.MAX_SESSION_ID_BYTES:
        raise MalformedError("session id too long")
    cookie = reader.vector(1)
    suites = reader.vector(2)
    if len(suites) % 2:
        raise MalformedError("odd list of cipher suites")
    return ClientHello(
        version=version,
        random=random,
        cookie=cookie,
        cipher_suites=_uint16s(suites),
        compressions=reader.vector(1),
        extensions=bodies.decode_extensions(reader),
        parameters=fragment.data[: 35 + len(session_id)]
        + fragment.data[36 + len(session_id) + len(cookie) :],
        message=encode_message(CLIENT_HELLO, fragment.sequence, fragment.data).encoded,
        message_seq=fragment.sequence,
        record_sequence=record_sequence,
    )


def encode_client_hello(
    random: bytes,
    cookie: bytes,
    *,
    offer_connection_id: bool = True,
    offer_extended_master_secret: bool = False,
) -> bytes:
    """The body that Device OS sends (device-protocol.md §1.4.1), before 3.1 without the id.

    Only other stacks offer the extended master secret.
    """
    extensions = b"".join(
        (
            bodies.encode_extension(
                bodies.SIGNATURE_ALGORITHMS, vector(2, b"\x04\x03\x04\x01\x03\x03\x03\x01")
            ),
            bodies.encode_extension(bodies.SUPPORTED_GROUPS, vector(2, b"\x00\x17")),
            bodies.encode_extension(bodies.POINT_FORMATS, vector(1, b"\x00")),
            bodies.encode_extension(bodies.CONNECTION_ID, vector(1, b""))
            if offer_connection_id
            else b"",
            bodies.encode_extension(bodies.CLIENT_CERTIFICATE_TYPE, vector(1, b"\x02")),
            bodies.encode_extension(bodies.SERVER_CERTIFICATE_TYPE, vector(1, b"\x02")),
            bodies.encode_extension(bodies.EXTENDED_MASTER_SECRET, b"")
            if offer_extended_master_secret
            else b"",
        )
    )
    return b"".join(
        (
            bodies.DTLS_1_2,
            random,
            vector(1, b""),
            vector(1, cookie),
            vector(2, b"\xc0\xae\x00\xff"),
            vector(1, b"\x00"),
            vector(2, extensions),
        )
    )


def make_cookie(secret: bytes, address: bytes, hello: ClientHello) -> bytes:
    """HMAC-SHA256 over the address (bytes that name it) and the hello's parameters, truncated."""
    covered = vector(2, address) + hello.parameters
    return digest(secret, covered, "sha256")[:COOKIE_BYTES]


def has_cookie(secret: bytes, address: bytes, hello: ClientHello) -> bool:
    """Whether the hello brings the cookie that `make_cookie` makes for it."""
    return compare_digest(hello.cookie, make_cookie(secret, address, hello))


def hello_verify_request(hello: ClientHello, cookie: bytes) -> bytes:
    """The whole datagram that asks for the hello again with `cookie`."""
    message = encode_message(
        HELLO_VERIFY_REQUEST, hello.message_seq, _HELLO_VERIFY_VERSION + vector(1, cookie)
    )
    return plaintext_record(HANDSHAKE, hello.record_sequence, message.encoded)


def decode_hello_verify_request(message: Message) -> bytes:
    """The cookie."""
    reader = Reader(message.body)
    reader.take(2)
    cookie = reader.vector(1)
    reader.finish()
    return cookie


def refuse_what_we_cannot_serve(hello: ClientHello) -> None:
    """Raises Refused for a hello without something that every session of ours needs."""
    try:
        _check(hello)
    except Refused:
        raise
    except MalformedError as error:
        raise _refused(hello, str(error), alerts.DECODE_ERROR) from error


def _check(hello: ClientHello) -> None:
    extensions = hello.extensions
    if hello.version != bodies.DTLS_1_2:
        raise _refused(hello, "no DTLS 1.2", alerts.PROTOCOL_VERSION)
    if bodies.AES_128_CCM_8 not in hello.cipher_suites:
        raise _refused(hello, "no ECDHE-ECDSA-AES128-CCM8")
    if _NULL_COMPRESSION not in hello.compressions:
        raise _refused(hello, "no null compression")
    if bodies.SECP256R1 not in _uint16s(_list(extensions.get(bodies.SUPPORTED_GROUPS), 2)):
        raise _refused(hello, "no P-256")
    signatures = _uint16s(_list(extensions.get(bodies.SIGNATURE_ALGORITHMS), 2))
    if int.from_bytes(bodies.ECDSA_SHA256, "big") not in signatures:
        raise _refused(hello, "no ECDSA with SHA-256")
    if bodies.RAW_PUBLIC_KEY not in _list(extensions.get(bodies.CLIENT_CERTIFICATE_TYPE), 1):
        raise _refused(hello, "no raw public key of the client (extension 19)")
    if bodies.SERVER_CERTIFICATE_TYPE in extensions and bodies.RAW_PUBLIC_KEY not in _list(
        extensions[bodies.SERVER_CERTIFICATE_TYPE], 1
    ):
        raise _refused(hello, "no raw public key of the server (extension 20)")
    if extensions.get(bodies.CONNECTION_ID, b"\x00") != b"\x00":
        raise _refused(hello, "a connection id for our records (extension 254)")


def encode_server_hello(
    hello: ClientHello,
    random: bytes,
    connection_id: bytes,
    *,
    extended_master_secret: bool = False,
) -> bytes:
    """The body that answers `hello` with our one suite and only extensions that it offered."""
    offered = hello.extensions
    chosen = [bodies.encode_extension(bodies.CLIENT_CERTIFICATE_TYPE, b"\x02")]
    if bodies.SERVER_CERTIFICATE_TYPE in offered:
        chosen.append(bodies.encode_extension(bodies.SERVER_CERTIFICATE_TYPE, b"\x02"))
    if hello.offers_connection_id:
        chosen.append(bodies.encode_extension(bodies.CONNECTION_ID, vector(1, connection_id)))
    if bodies.RENEGOTIATION_SCSV in hello.cipher_suites or bodies.RENEGOTIATION_INFO in offered:
        chosen.append(bodies.encode_extension(bodies.RENEGOTIATION_INFO, vector(1, b"")))
    if bodies.POINT_FORMATS in offered:
        chosen.append(bodies.encode_extension(bodies.POINT_FORMATS, vector(1, b"\x00")))
    if extended_master_secret and bodies.EXTENDED_MASTER_SECRET in offered:
        chosen.append(bodies.encode_extension(bodies.EXTENDED_MASTER_SECRET, b""))
    return b"".join(
        (
            bodies.DTLS_1_2,
            random,
            vector(1, b""),
            bodies.AES_128_CCM_8.to_bytes(2, "big"),
            b"\x00",
            vector(2, b"".join(chosen)),
        )
    )


def decode_server_hello(message: Message) -> ServerHello:
    """Reads a ServerHello; whether its choices are allowed is for the handshake to say."""
    reader = Reader(message.body)
    version = reader.take(2)
    random = reader.take(bodies.RANDOM_BYTES)
    if len(reader.vector(1)) > bodies.MAX_SESSION_ID_BYTES:
        raise MalformedError("session id too long")
    suite = reader.uint(2)
    compression = reader.uint(1)
    return ServerHello(version, random, suite, compression, bodies.decode_extensions(reader))


def connection_id_in(extensions: dict[int, bytes]) -> bytes:
    """The connection id that a hello's extensions give, empty when none."""
    content = extensions.get(bodies.CONNECTION_ID)
    if content is None:
        return b""
    reader = Reader(content)
    connection_id = reader.vector(1)
    reader.finish()
    return connection_id


def _refused(
    hello: ClientHello, reason: str, description: int = alerts.HANDSHAKE_FAILURE
) -> Refused:
    return Refused(reason, alerts.fatal_alert_datagram(description, hello.record_sequence))


def _list(content: bytes | None, length_size: int) -> bytes:
    """The list that is the whole content of an extension; empty when there is no extension."""
    if content is None:
        return b""
    reader = Reader(content)
    items = reader.vector(length_size)
    reader.finish()
    return items


def _uint16s(items: bytes) -> tuple[int, ...]:
    return tuple(
        int.from_bytes(items[index : index + 2], "big") for index in range(0, len(items), 2)
    )
