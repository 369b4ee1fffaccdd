"""Alerts (RFC 5246 §7.2): two bytes, level and description."""

from cyan.wire.dtls.record import ALERT, plaintext_record
from cyan.wire.errors import MalformedError

WARNING, FATAL = 1, 2

CLOSE_NOTIFY_DESCRIPTION = 0
UNEXPECTED_MESSAGE = 10
HANDSHAKE_FAILURE = 40
BAD_CERTIFICATE = 42
ILLEGAL_PARAMETER = 47
DECODE_ERROR = 50
DECRYPT_ERROR = 51
PROTOCOL_VERSION = 70
UNSUPPORTED_EXTENSION = 110

CLOSE_NOTIFY = bytes((WARNING, CLOSE_NOTIFY_DESCRIPTION))
"""Sealed as ALERT it makes a device discard the session and shake hands at once
(session-behaviour.md); a plaintext one is ignored by an established device."""


def decode_alert(content: bytes) -> tuple[int, int]:
    """(level, description); descriptions unknown to us are kept. MalformedError when not that."""
    if len(content) != 2 or content[0] not in (WARNING, FATAL):
        raise MalformedError("not an alert")
    return content[0], content[1]


def encode_alert(level: int, description: int) -> bytes:
    """The content of an alert record."""
    return bytes((level, description))


def ends_session(content: bytes) -> bool:
    """Whether the content of an authentic alert record ends its session: fatal or close_notify.

    False also for what is no alert: nothing is known to end then.
    """
    try:
        level, description = decode_alert(content)
    except MalformedError:
        return False
    return level == FATAL or description == CLOSE_NOTIFY_DESCRIPTION


def fatal_alert_datagram(description: int, record_sequence: int) -> bytes:
    """A whole datagram with one unprotected fatal alert."""
    return plaintext_record(ALERT, record_sequence, encode_alert(FATAL, description))
