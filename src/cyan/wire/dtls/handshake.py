"""Handshake messages as DTLS carries them: header, fragments, reassembly (RFC 6347 §4.2).

A message is `type(1) length(3) message_seq(2) fragment_offset(3) fragment_length(3) body`. The
transcript, which CertificateVerify and Finished cover, takes every message as if it had come in one
fragment, without record headers (RFC 6347 §4.2.6, device-protocol.md §1.4.2).
"""

import msgspec

from cyan.wire.dtls.reader import Reader
from cyan.wire.errors import MalformedError, MisuseError

CLIENT_HELLO, SERVER_HELLO, HELLO_VERIFY_REQUEST = 1, 2, 3
CERTIFICATE, SERVER_KEY_EXCHANGE, CERTIFICATE_REQUEST, SERVER_HELLO_DONE = 11, 12, 13, 14
CERTIFICATE_VERIFY, CLIENT_KEY_EXCHANGE, FINISHED = 15, 16, 20

MESSAGE_HEADER_BYTES = 12
MAX_MESSAGE_BYTES = 2048
"""More than a device's content limit of 1152 (device-protocol.md §1.4.4)."""
MAX_MESSAGES_AHEAD = 8
"""How far a message may be ahead of the next expected one; the longest flight has 5."""
MAX_FRAGMENTS_PER_RECORD = 16


class Message(msgspec.Struct, frozen=True, gc=False):
    """One whole handshake message; `encoded` is its form in the transcript."""

    type: int
    sequence: int
    encoded: bytes

    @property
    def body(self) -> bytes:
        """What stands behind the 12-byte header."""
        return self.encoded[MESSAGE_HEADER_BYTES:]


class Fragment(msgspec.Struct, frozen=True, gc=False):
    """A part of a message: `data` stands at `offset` of a body of `length` bytes."""

    type: int
    length: int
    sequence: int
    offset: int
    data: bytes

    @property
    def is_whole(self) -> bool:
        """Whether this is the whole message."""
        return len(self.data) == self.length


def encode_message(message_type: int, sequence: int, body: bytes) -> Message:
    """A message in one fragment."""
    size = len(body).to_bytes(3, "big")
    return Message(
        message_type,
        sequence,
        message_type.to_bytes(1, "big")
        + size
        + sequence.to_bytes(2, "big")
        + bytes(3)
        + size
        + body,
    )


def encode_fragments(message: Message, max_bytes: int) -> list[bytes]:
    """The message in fragments of at most `max_bytes`, each with its header."""
    room = max_bytes - MESSAGE_HEADER_BYTES
    if room < 1:
        raise MisuseError("a fragment needs room for its header and one byte")
    body = message.body
    if len(body) <= room:
        return [message.encoded]
    start = message.encoded[:6]
    return [
        start + offset.to_bytes(3, "big") + len(part).to_bytes(3, "big") + part
        for offset in range(0, len(body), room)
        for part in (body[offset : offset + room],)
    ]


def decode_fragments(content: bytes) -> list[Fragment]:
    """The fragments in the content of one record; MalformedError when cut off or out of bounds."""
    reader = Reader(content)
    fragments: list[Fragment] = []
    while reader.left:
        if len(fragments) == MAX_FRAGMENTS_PER_RECORD:
            raise MalformedError("too many fragments in one record")
        message_type = reader.uint(1)
        length = reader.uint(3)
        sequence = reader.uint(2)
        offset = reader.uint(3)
        data = reader.vector(3)
        if length > MAX_MESSAGE_BYTES:
            raise MalformedError("handshake message too long")
        if offset + len(data) > length:
            raise MalformedError("fragment reaches past its message")
        fragments.append(Fragment(message_type, length, sequence, offset, data))
    return fragments


class _Partial:
    """A message of which some bytes are still missing."""

    __slots__ = ("body", "length", "missing", "type")

    def __init__(self, message_type: int, length: int) -> None:
        self.type = message_type
        self.length = length
        self.body = bytearray(length)
        self.missing = bytearray(b"\x01" * length)

    def add(self, fragment: Fragment) -> None:
        if fragment.type != self.type or fragment.length != self.length:
            raise MalformedError("fragments of one message disagree")
        end = fragment.offset + len(fragment.data)
        self.body[fragment.offset : end] = fragment.data
        self.missing[fragment.offset : end] = bytes(len(fragment.data))

    @property
    def is_complete(self) -> bool:
        return not any(self.missing)


class Reassembly:
    """Puts a peer's messages together and in order.

    Holds at most `MAX_MESSAGES_AHEAD` messages of `MAX_MESSAGE_BYTES`. What was taken already, or
    is too far ahead, is left out without a word: the peer sends it again when it matters.
    """

    __slots__ = ("_partials", "next_sequence")

    def __init__(self, next_sequence: int) -> None:
        self.next_sequence = next_sequence
        self._partials: dict[int, _Partial] = {}

    def add(self, fragment: Fragment) -> None:
        """Takes a fragment; MalformedError when it contradicts an earlier one."""
        if not 0 <= fragment.sequence - self.next_sequence < MAX_MESSAGES_AHEAD:
            return
        partial = self._partials.get(fragment.sequence)
        if partial is None:
            partial = _Partial(fragment.type, fragment.length)
            self._partials[fragment.sequence] = partial
        partial.add(fragment)

    def next_message(self) -> Message | None:
        """The next message in order, once it is complete."""
        partial = self._partials.get(self.next_sequence)
        if partial is None or not partial.is_complete:
            return None
        del self._partials[self.next_sequence]
        message = encode_message(partial.type, self.next_sequence, bytes(partial.body))
        self.next_sequence += 1
        return message
