"""Answers to the messages of updates that make no sense, one after the other."""

from typing import Final

import msgspec

from cyan.wire import coap

_FAR: Final = b"\xff\xff\xff\xff"
_A: Final = (coap.URI_PATH, b"A")


class Nonsense(msgspec.Struct, frozen=True):
    """Code, options and payload of a message."""

    code: int
    options: tuple[tuple[int, bytes], ...] = ()
    payload: bytes = b""

    def encode(self, type_: int, message_id: int, token: bytes = b"") -> bytes:
        """The message."""
        return coap.encode(
            coap.Message(type_, self.code, message_id, token, self.options, self.payload)
        )


TO_START: Final = (
    Nonsense(coap.CREATED),
    Nonsense(coap.CREATED, ((coap.WINDOW_SIZE, b""), (coap.FILE_SIZE, b""))),
    Nonsense(coap.CREATED, ((coap.WINDOW_SIZE, b"\x01"), (coap.FILE_SIZE, _FAR))),
    Nonsense(coap.CHANGED, payload=b"\x01\x02\x03"),
    Nonsense(coap.NOT_FOUND, payload=b"{"),
)
"""For UpdateStart and UpdateBegin."""

TO_CHUNKS: Final = (
    Nonsense(coap.POST, (_A, (coap.CHUNK_INDEX, _FAR))),
    Nonsense(coap.POST, (_A,)),
    Nonsense(coap.POST, (_A, (coap.CHUNK_INDEX, b"")), b"\xff" * 512),
    Nonsense(coap.POST, (_A, (coap.CHUNK_INDEX, b"\x01")), b"\xff\xff\xff"),
    Nonsense(coap.POST, (_A, (coap.CHUNK_INDEX, b"\xff" * 5))),
)
"""In place of UpdateAck."""

TO_LEGACY_CHUNKS: Final = (
    Nonsense(coap.CONTENT, payload=b"?"),
    Nonsense(coap.NOT_FOUND),
    Nonsense(coap.CONTINUE, payload=b"\xff" * 40),
)
"""For chunks that are sent one by one."""

TO_FINISH: Final = (
    Nonsense(coap.CREATED, ((coap.WINDOW_SIZE, b"\x01"),)),
    Nonsense(coap.SERVICE_UNAVAILABLE, payload=b"{"),
    Nonsense(coap.NOT_FOUND, payload=b'{"code": "none"}'),
)
"""For UpdateFinish and UpdateDone."""
