"""A device presents a claim code (device-protocol.md §3.11)."""

from cyan.gateway.effects import Claim, Reply, Tell
from tests.gateway.conversation.scripts import say

# udp-claim-code.log: what Device OS 6.2.0 sends.
CAPTURED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+"


def test_a_code_is_used_and_the_device_told_to_forget_it_whatever_comes_of_it() -> None:
    after = (Reply(), Tell("spark/device/claim/code", ""))
    assert say("spark/device/claim/code", CAPTURED) == (Claim(CAPTURED.decode(), after),)


def test_a_code_that_is_no_text_is_no_code() -> None:
    (claim,) = say("spark/device/claim/code", b"\xff\xfe")
    assert isinstance(claim, Claim)
    assert claim.code == "\ufffd\ufffd"


def test_the_code_is_not_in_what_an_error_would_show_of_the_effect() -> None:
    (claim,) = say("spark/device/claim/code", CAPTURED)
    assert CAPTURED.decode() not in repr(claim)
