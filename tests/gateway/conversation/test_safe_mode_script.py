"""Safe mode: said by the device, shown by its describe, told to people once for each start."""

from cyan.devices import description
from cyan.devices.model import DeviceStarted
from cyan.gateway.conversation.describe import on_describe
from cyan.gateway.effects import Announce, Effect, Emit, LogEvent, Save
from cyan.gateway.session import Session
from cyan.wire.describe import Module, SystemDescribe, encode_system_json
from cyan.wire.describe.system import USER_PART
from cyan.wire.messages import SYSTEM, DescribePost
from tests.gateway.conversation.scripts import (
    LAMP,
    Known,
    is_work,
    message,
    only_save,
    open_session,
    say,
    without_facts,
)

UNFIT = SystemDescribe((Module(USER_PART, 1, 5, checked=30, passed=26),))
UNFIT_JSON = '{"p":12,"m":[{"s":0,"l":"m","vc":30,"vv":26,"f":"u","n":"1","v":5,"d":[]}]}'


def describe(session: Session, system: SystemDescribe) -> tuple[Effect, ...]:
    post = DescribePost(SYSTEM, encode_system_json(system))
    return without_facts(only_save(on_describe(session, LAMP, message(), post, Known)).after)


def say_safe_mode(session: Session, stored: str | None = UNFIT_JSON) -> Save:
    known = Known(at_ms=5000, describe=stored)
    return only_save(say("spark/device/safemode", known=known, session=session))


def test_a_describe_that_cannot_run_is_told_to_people() -> None:
    assert describe(open_session(), UNFIT) == (Emit("spark/status/safe-mode", UNFIT_JSON),)


def test_a_describe_that_runs_tells_nothing() -> None:
    assert describe(open_session(), SystemDescribe()) == ()


def test_what_the_device_says_is_kept_then_logged_then_shown_with_its_last_describe() -> None:
    save = say_safe_mode(open_session())
    (work,) = save.works
    assert is_work(work, description.store_safe_mode, device_id=LAMP, at_ms=5000)
    assert save.reply is None
    log, told = save.after
    assert isinstance(log, LogEvent)
    assert log.event.name == "spark/device/safemode"
    assert told == Emit("spark/status/safe-mode", UNFIT_JSON)


def test_after_an_unfit_describe_the_device_need_not_be_shown_again() -> None:
    session = open_session()
    describe(session, UNFIT)
    assert len(say_safe_mode(session).after) == 1


def test_the_next_start_in_safe_mode_is_shown_again() -> None:
    session = open_session()
    describe(session, UNFIT)
    say_safe_mode(session)
    assert len(say_safe_mode(session).after) == 2


def test_without_any_describe_there_is_nothing_to_show() -> None:
    assert len(say_safe_mode(open_session(), stored=None).after) == 1


def test_a_reset_is_kept_as_a_start_then_logged() -> None:
    save = only_save(say("spark/device/last_reset", b"power_down", Known(at_ms=5000)))
    (work,) = save.works
    assert is_work(work, description.store_reset, device_id=LAMP, at_ms=5000)
    log, told = save.after
    assert isinstance(log, LogEvent)
    assert log.event.data == b"power_down"
    assert told == Announce(DeviceStarted(LAMP, "power_down"))
