"""The captured sessions at record level: what was said in each handshake, and every record."""

from dataclasses import dataclass, field

from cyan.wire.dtls.handshake import CLIENT_HELLO, Message, decode_fragments, encode_message
from cyan.wire.dtls.record import CID, HANDSHAKE, HEADER_BYTES, MOVED_CID, split_records
from tests.wire import vectors


@dataclass
class CapturedSession:
    """`messages` are the plaintext handshake messages in order, `protected` the epoch 1 records
    as (from device?, record), `master` is empty where the log does not tell it."""

    client_key: bytes
    master: bytes
    messages: list[Message] = field(default_factory=list)
    protected: list[tuple[bool, bytes]] = field(default_factory=list)

    def body(self, message_type: int) -> bytes:
        """The body of the one message of that type."""
        [message] = [message for message in self.messages if message.type == message_type]
        return message.body

    def transcript_before(self, message_type: int) -> bytes:
        """All messages before the one of that type; all of them when there is none."""
        types = [message.type for message in self.messages]
        end = types.index(message_type) if message_type in types else len(types)
        return b"".join(message.encoded for message in self.messages[:end])

    @property
    def randoms(self) -> tuple[bytes, bytes]:
        """The client's and the server's."""
        hello, answer = self.messages[0], self.messages[1]
        return hello.body[2:34], answer.body[2:34]


def sessions(name: str) -> list[CapturedSession]:
    """The sessions of a log of `vectors.WITH_DATAGRAMS`, one a handshake."""
    keys = iter(vectors.client_keys(name))
    masters = iter(vectors.master_secrets(name))
    found: list[CapturedSession] = []
    for datagram in vectors.datagrams(name):
        for record in split_records(datagram.data):
            if record[0] in (CID, MOVED_CID) or record[3:5] != b"\0\0":
                found[-1].protected.append((datagram.from_device, record))
            elif record[0] == HANDSHAKE:
                [fragment] = decode_fragments(record[HEADER_BYTES:])
                assert fragment.is_whole
                message = encode_message(fragment.type, fragment.sequence, fragment.data)
                assert message.encoded == record[HEADER_BYTES:]
                if message.type == CLIENT_HELLO:
                    found.append(CapturedSession(next(keys), next(masters, b"")))
                found[-1].messages.append(message)
    return found
