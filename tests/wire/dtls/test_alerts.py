"""Alerts: which end a session, and any bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyan.wire.dtls.alerts import (
    CLOSE_NOTIFY,
    decode_alert,
    encode_alert,
    ends_session,
    fatal_alert_datagram,
)
from cyan.wire.errors import MalformedError


def test_the_alert_that_a_device_sends_for_a_certificate_is_fatal_unexpected_message() -> None:
    # device-protocol.md §1.4.2 has its bytes: 02 0a.
    assert decode_alert(b"\x02\x0a") == (2, 10)
    assert fatal_alert_datagram(10, 7).hex() == "15fefd00000000000000070002020a"


@pytest.mark.parametrize(
    ("content", "ends"),
    [
        (CLOSE_NOTIFY, True),
        (b"\x02\x14", True),
        (b"\x02\x00", True),
        (b"\x01\x5a", False),
        (b"\x03\x00", False),
        (b"\x01", False),
        (b"", False),
        (b"\x01\x00\x00", False),
    ],
)
def test_fatal_alerts_and_close_notify_end_a_session(content: bytes, ends: bool) -> None:
    assert ends_session(content) is ends


@given(st.binary(max_size=4))
def test_any_bytes_are_an_alert_or_malformed(content: bytes) -> None:
    try:
        level, description = decode_alert(content)
    except MalformedError:
        assert not ends_session(content)
        return
    assert encode_alert(level, description) == content
