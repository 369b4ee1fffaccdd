"""What follows from a describe: hash of the application, vitals, limits of the firmware."""

import msgspec
import pytest

from cyan.devices.model import DeviceDescribed
from cyan.gateway.conversation.describe import on_describe, on_described
from cyan.gateway.effects import Announce, Ask, Effect, Emit, Tell
from cyan.gateway.session import Session, decode_cold, encode_cold
from cyan.health import service
from cyan.health.model import flatten
from cyan.wire.describe import (
    Metric,
    Metrics,
    Module,
    SystemDescribe,
    encode_metrics,
    encode_system_json,
)
from cyan.wire.describe.system import SYSTEM_PART, USER_PART
from cyan.wire.messages import APPLICATION, DIAGNOSTICS, METRICS, SYSTEM, DescribePost
from tests.gateway.conversation.scripts import (
    HELLO,
    LAMP,
    Known,
    is_work,
    message,
    only_save,
    open_session,
    without_facts,
)

HASH = "a6" * 32
SYSTEM_DESCRIBE = SystemDescribe(
    (Module(SYSTEM_PART, 1, 207), Module(USER_PART, 1, 5, hash=bytes.fromhex(HASH)))
)


def describe(session: Session, known: Known, flags: int, payload: bytes) -> tuple[Effect, ...]:
    post = DescribePost(flags, payload)
    save = only_save(on_describe(session, LAMP, message(), post, lambda: known))
    return without_facts(save.after)


def test_other_parts_are_told_which_modules_a_device_runs_once_that_is_kept() -> None:
    unfit = SystemDescribe((Module(USER_PART, 1, 5, checked=30, passed=26),))
    for system, is_fit in ((SYSTEM_DESCRIBE, True), (unfit, False)):
        post = DescribePost(SYSTEM, encode_system_json(system))
        save = only_save(on_describe(open_session(), LAMP, message(), post, Known))
        (fact,) = (effect for effect in save.after if isinstance(effect, Announce))
        assert fact.fact == DeviceDescribed(LAMP, system, is_fit)


@pytest.mark.parametrize("before", [None, "00" * 32])
def test_a_new_application_is_told_by_its_hash(before: str | None) -> None:
    payload = encode_system_json(SYSTEM_DESCRIBE)
    after = describe(open_session(), Known(hash=before), SYSTEM, payload)
    assert after == (Emit("spark/device/app-hash", HASH),)


def test_the_application_of_the_last_session_is_not_told_again() -> None:
    payload = encode_system_json(SYSTEM_DESCRIBE)
    assert describe(open_session(), Known(hash=HASH), SYSTEM, payload) == ()


def test_without_an_application_there_is_no_hash_to_tell() -> None:
    payload = encode_system_json(SystemDescribe((Module(SYSTEM_PART, 1, 207),)))
    assert describe(open_session(), Known(hash=HASH), SYSTEM, payload) == ()


def open_with_vitals() -> Session:
    session = open_session()
    session.hello = msgspec.structs.replace(HELLO, flags=HELLO.flags | DIAGNOSTICS)
    return session


def test_firmware_with_vitals_is_asked_for_them_once_in_a_session() -> None:
    session = open_with_vitals()
    pending = Tell("particle/device/updates/pending", "false")
    assert describe(session, Known(), APPLICATION, b'{"f":[],"v":{}}') == (
        pending,
        Ask(METRICS, 2.0),
    )
    assert describe(session, Known(), APPLICATION, b'{"f":["led"],"v":{}}') == (pending,)


def test_a_device_for_which_firmware_waits_is_told_so() -> None:
    known = Known(pending=True)
    told = describe(open_session(), known, APPLICATION, b'{"f":[],"v":{}}')
    assert told == (Tell("particle/device/updates/pending", "true"),)


def test_firmware_without_vitals_is_not_asked() -> None:
    after = describe(open_session(), Known(), APPLICATION, b'{"f":[],"v":{}}')
    assert [type(effect) for effect in after] == [Tell]


def test_vitals_that_were_asked_for_are_kept_and_told_with_the_round_trip() -> None:
    session, known = open_with_vitals(), Known(at_ms=7000)
    payload = encode_metrics(Metrics((Metric(6, 15),)))
    save = only_save(on_described(session, LAMP, METRICS, 0, payload, known, round_trip_ms=143))
    (told,) = save.after
    assert isinstance(told, Emit)
    assert told.name == "spark/device/diagnostics/update"
    assert flatten(told.data) == {
        "device.system.uptime": 15,
        "service.device.status": "ok",
        "service.cloud.uptime": 2,
        "service.cloud.publish.sent": 1,
        "service.coap.round_trip": 143,
    }
    (work,) = save.works
    assert is_work(work, service.keep, device_id=LAMP, payload=told.data, at_ms=7000)
    assert save.reply is None


def test_vitals_that_a_program_publishes_are_kept_before_they_are_acknowledged() -> None:
    post = DescribePost(METRICS, encode_metrics(Metrics((Metric(6, 15),))))
    save = only_save(on_describe(open_with_vitals(), LAMP, message(), post, Known))
    assert save.reply == b""
    assert [type(effect) for effect in save.after] == [Emit]
    assert len(save.works) == 1


def test_vitals_say_nothing_of_functions_yet_to_be_described() -> None:
    """Old firmware is asked for its describes; one that is on its way is not asked for twice."""
    session = open_session()
    session.hello = msgspec.structs.replace(HELLO, flags=DIAGNOSTICS)
    session.has_system = True
    payload = encode_metrics(Metrics((Metric(6, 15),)))
    save = only_save(on_described(session, LAMP, METRICS, 0, payload, Known()))
    assert [type(effect) for effect in save.after] == [Emit]


@pytest.mark.parametrize(("version", "limit"), [(207, 255), (1406, 622)])
def test_what_old_firmware_takes_is_known_from_its_describe_and_survives_a_restart(
    version: int, limit: int
) -> None:
    session = open_session()
    session.hello = msgspec.structs.replace(HELLO, system_version=None, max_message_size=None)
    session.set_system_version()
    assert session.max_event_data == 622
    payload = encode_system_json(SystemDescribe((Module(SYSTEM_PART, 1, version),)))
    describe(session, Known(), SYSTEM, payload)
    assert session.max_event_data == limit
    restored = decode_cold(session.connection_id, 2, encode_cold(session))
    assert restored.max_event_data == limit


def test_a_session_of_before_this_version_knows_its_limits_from_hello() -> None:
    session = open_session()
    stored = msgspec.msgpack.decode(encode_cold(session))
    del stored["system_version"]
    restored = decode_cold(session.connection_id, 1, msgspec.msgpack.encode(stored))
    assert (restored.system_version, restored.max_event_data) == (6200, 1024)
