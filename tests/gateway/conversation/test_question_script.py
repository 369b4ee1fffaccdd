"""What a device asks about itself (device-protocol.md §3.11): answered to it alone."""

import pytest

from cyan.gateway.effects import Reply, Tell
from tests.gateway.conversation.scripts import Known, say


@pytest.mark.parametrize("prefix", ["particle", "spark"])
@pytest.mark.parametrize(
    ("matter", "answer"),
    [("name", "attic"), ("ip", "198.51.100.7"), ("random", bytes(range(40)))],
)
def test_a_question_is_acknowledged_and_answered_under_its_own_name(
    prefix: str, matter: str, answer: str | bytes
) -> None:
    name = f"{prefix}/device/{matter}"
    assert say(name) == (Reply(), Tell(name, answer))


def test_a_device_without_a_name_is_called_nothing() -> None:
    assert say("particle/device/name", known=Known(called=None)) == (
        Reply(),
        Tell("particle/device/name", ""),
    )


@pytest.mark.parametrize("name", ["particle/device/names", "spark/name", "PARTICLE/device/ip"])
def test_other_names_are_no_questions(name: str) -> None:
    assert say(name) == (Reply(),)
