"""Hello: what comes in, what is to be done."""

from functools import partial

import msgspec

from cyan.devices import description, presence
from cyan.devices.presence import PresenceRow
from cyan.gateway import store
from cyan.gateway.conversation.hello import on_admitted, on_hello
from cyan.gateway.effects import Admit, Arrive, Effect, Emit, End, Save
from cyan.gateway.session import without_id
from cyan.wire.messages import Subscribe
from tests.gateway.conversation.scripts import HELLO, LAMP, new_session, open_session


def same_work(work: object, wanted: partial[None]) -> bool:
    return (
        isinstance(work, partial)
        and work.func == wanted.func
        and (work.args, work.keywords) == (wanted.args, wanted.keywords)
    )


def test_the_id_is_compared_before_anything_else_happens() -> None:
    session = new_session()
    assert on_hello(session, HELLO) == (Admit(HELLO),)
    assert (session.device_id, session.hello) == (None, None)


def test_a_hello_without_an_id_ends_the_session() -> None:
    (effect,) = on_hello(new_session(), msgspec.structs.replace(HELLO, device_id=b""))
    assert effect == End("Hello without a device id")


def test_the_same_device_may_say_hello_again() -> None:
    assert on_hello(open_session(), HELLO) == (Admit(HELLO),)


def test_another_id_than_before_ends_the_session() -> None:
    other = msgspec.structs.replace(HELLO, device_id=bytes(12))
    (effect,) = on_hello(open_session(), other)
    assert isinstance(effect, End)


ROW = PresenceRow(
    device_id=LAMP,
    online=True,
    holder="main",
    adoption=0,
    last_heard_ms=5,
    last_handshake_ms=5,
    ip_address="192.0.2.7",
)


def admitted(was_online: bool) -> tuple[Effect, ...]:
    return tuple(on_admitted(new_session(), LAMP, HELLO, was_online=was_online, row=ROW))


def test_an_admitted_hello_is_kept_acknowledged_and_then_the_device_is_online() -> None:
    (save,) = admitted(was_online=False)
    assert isinstance(save, Save)
    assert save.reply == b""
    assert save.after == (Arrive(ROW), Emit("spark/status", "online"))
    keep, newest, present = save.works
    assert same_work(
        keep,
        partial(
            description.store_hello,
            device_id=LAMP,
            platform_id=12,
            product_id=12,
            product_version=7,
            system_version=6200,
            at_ms=5,
            ip_address="192.0.2.7",
            max_message_bytes=1152,
            max_binary_bytes=None,
            ota_chunk_bytes=None,
        ),
    )
    assert same_work(
        newest, partial(store.remove_others, device_id=LAMP, connection_id=b"session1")
    )
    assert same_work(present, partial(presence.store, rows=(ROW,)))


def test_a_device_whose_end_was_not_noticed_was_offline_just_before() -> None:
    (save,) = admitted(was_online=True)
    assert isinstance(save, Save)
    assert save.after == (
        Emit("spark/status", "offline"),
        Arrive(ROW),
        Emit("spark/status", "online"),
    )


def test_hello_begins_describes_and_subscriptions_anew() -> None:
    session = open_session()
    session.has_system = session.has_application = True
    session.subscriptions = (Subscribe("fleet/"),)
    on_admitted(session, LAMP, HELLO, was_online=False, row=ROW)
    assert (session.has_system, session.has_application) == (False, False)
    assert list(session.subscriptions) == []
    assert (session.device_id, session.hello) == (LAMP, without_id(HELLO))
