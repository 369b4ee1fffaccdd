"""Events from a device: what is logged, what is only acknowledged."""

from collections.abc import Sequence
from functools import partial

import pytest
from structlog.testing import capture_logs

from cyan.devices import description
from cyan.devices.model import UpdatesSwitched
from cyan.events.model import Event
from cyan.gateway.conversation.events import on_publish
from cyan.gateway.effects import Announce, Effect, End, LogEvent, Reply, Save
from cyan.gateway.session import Session
from cyan.wire import coap
from cyan.wire.messages import Publish
from tests.gateway.conversation.scripts import ADA, LAMP, Known, open_session


def publish(event: Publish, session: Session | None = None) -> Sequence[Effect]:
    return on_publish(
        session or open_session(), LAMP, 9, event, owner_id=ADA, at_ms=1000, about=Known
    )


def test_an_event_is_logged_with_all_that_it_came_with() -> None:
    found = publish(Publish("temperature", b"21.5", coap.OCTET_STREAM, 3600))
    assert found == (
        LogEvent(
            Event(
                "temperature",
                b"21.5",
                1000,
                LAMP,
                ADA,
                content_format=coap.OCTET_STREAM,
                ttl_s=3600,
                version=7,
                session=b"session1",
                message_id=9,
            )
        ),
    )


def test_firmware_without_a_version_has_version_0() -> None:
    session = open_session()
    session.hello = None
    (effect,) = publish(Publish("temperature"), session)
    assert isinstance(effect, LogEvent)
    assert (effect.event.version, effect.event.data) == (0, None)


def test_a_name_that_breaks_lines_is_refused() -> None:
    assert publish(Publish("two\u2028lines")) == (Reply(coap.encode_ack(9, coap.BAD_REQUEST)),)


@pytest.mark.parametrize(
    "name",
    [
        "spark/anything",
        "Particle/x",
        "SPARKLE",
        "Spark/device/claim/code",
        "spark/device/claim/",
        "spark/device/ident/0",
        "spark/device/reset",
        "spark/device/key/restore",
    ],
)
def test_a_reserved_name_without_a_meaning_is_acknowledged_and_goes_nowhere(name: str) -> None:
    assert publish(Publish(name, b"secret")) == (Reply(),)


def test_an_error_of_its_keys_is_for_people_to_see_and_in_the_log() -> None:
    with capture_logs() as lines:
        (effect,) = publish(Publish("spark/device/key/error", b"5" * 100))
    assert [(line["event"], line["mask"]) for line in lines] == [("device.key_error", "5" * 20)]
    assert isinstance(effect, LogEvent)
    assert (effect.event.name, effect.event.owner_id) == ("spark/device/key/error", ADA)


@pytest.mark.parametrize(
    ("name", "data", "wanted"),
    [
        ("particle/device/updates/enabled", b"true", {"enabled": True, "forced": None}),
        ("particle/device/updates/enabled", b"false", {"enabled": False, "forced": None}),
        ("particle/device/updates/forced", b" true\n", {"enabled": None, "forced": True}),
        ("particle/device/updates/forced", None, {"enabled": None, "forced": False}),
    ],
)
def test_update_switches_are_kept_then_logged_and_acknowledged_with_that(
    name: str, data: bytes | None, wanted: dict[str, bool | None]
) -> None:
    (save,) = publish(Publish(name, data))
    assert isinstance(save, Save)
    (work,) = save.works
    assert isinstance(work, partial)
    assert work.func is description.store_updates
    assert work.keywords == {"device_id": LAMP, **wanted}
    assert save.reply is None
    log, told = save.after
    assert isinstance(log, LogEvent)
    assert log.event.name == name
    assert told == Announce(UpdatesSwitched(LAMP, **wanted))


def test_a_session_ends_when_the_device_asks_for_it() -> None:
    assert publish(Publish("spark/device/session/end")) == (
        Reply(),
        End("asked for by the device"),
    )
