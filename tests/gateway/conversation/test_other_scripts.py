"""Describes, subscriptions, time and goodbye as scripts."""

from functools import partial

from cyan.devices import description
from cyan.gateway.conversation.clock import on_time_request
from cyan.gateway.conversation.describe import on_describe
from cyan.gateway.conversation.goodbye import on_goodbye
from cyan.gateway.conversation.subscriptions import on_subscribe
from cyan.gateway.effects import End, Leave, Listen, Reply, Save, Tell
from cyan.gateway.session import MAX_SUBSCRIPTIONS, Session
from cyan.wire import coap
from cyan.wire.blockwise import Block
from cyan.wire.describe import SystemDescribe, encode_system_protobuf
from cyan.wire.messages import APPLICATION, SYSTEM, DescribePost, Goodbye, Subscribe
from tests.gateway.conversation.scripts import LAMP, Known, message, open_session, without_facts

APPLICATION_JSON = b'{"f":["led"],"v":{"temp":9}}'


def test_time_is_in_the_acknowledgement() -> None:
    # device-protocol.md, appendix A: time request and answer.
    (reply,) = on_time_request(message(4, b"\x21"), 1_700_000_000)
    assert reply == Reply(bytes.fromhex("6145000421ff6553f100"))


def test_goodbye_is_acknowledged_first() -> None:
    assert on_goodbye(open_session(), Goodbye(disconnect_reason=5, reset_reason=140)) == (
        Reply(),
        Leave("goodbye: system_reset"),
    )
    assert on_goodbye(open_session(), Goodbye()) == (Reply(), Leave("goodbye: unknown"))
    assert on_goodbye(open_session(), Goodbye(disconnect_reason=99)) == (
        Reply(),
        Leave("goodbye: unknown"),
    )


def test_goodbye_over_tcp_is_the_end_of_the_connection() -> None:
    session = Session(b"stream 1", None, b"public key")
    assert on_goodbye(session, Goodbye(disconnect_reason=2)) == (Reply(), End("goodbye: user"))


def test_a_subscription_is_kept_before_it_is_listened_to() -> None:
    session = open_session()
    wanted = Subscribe("fleet/")
    assert on_subscribe(session, message(), wanted) == (Save(after=(Listen(wanted),)),)
    assert session.subscriptions == (wanted,)
    on_subscribe(session, message(), wanted)
    assert session.subscriptions == (wanted,)


def test_too_many_subscriptions_are_refused() -> None:
    session = open_session()
    for number in range(MAX_SUBSCRIPTIONS):
        on_subscribe(session, message(), Subscribe(f"p{number}"))
    refusal = Reply(coap.encode_ack(7, coap.FORBIDDEN, b"\1"))
    assert on_subscribe(session, message(token=b"\1"), Subscribe("more")) == (refusal,)
    assert len(session.subscriptions) == MAX_SUBSCRIPTIONS


def test_an_application_describe_is_kept_and_the_update_status_told() -> None:
    session = open_session()
    post = DescribePost(APPLICATION, APPLICATION_JSON)
    (save,) = on_describe(session, LAMP, message(token=b"\1"), post, Known)
    assert isinstance(save, Save)
    (work,) = save.works
    assert isinstance(work, partial)
    assert work.func is description.store_application
    assert work.keywords == {
        "device_id": LAMP,
        "functions": ("led",),
        "variables": {"temp": 9},
    }
    assert save.reply == coap.encode_ack(7, coap.CHANGED, b"\1")
    assert save.after == (Tell("particle/device/updates/pending", "false"),)
    assert (session.has_system, session.has_application) == (False, True)


def test_a_describe_without_a_token_gets_the_empty_acknowledgement() -> None:
    post = DescribePost(APPLICATION, APPLICATION_JSON)
    (save,) = on_describe(open_session(), LAMP, message(), post, Known)
    assert isinstance(save, Save)
    assert save.reply == b""


def test_a_system_describe_is_kept_in_its_json_form_with_the_platform_of_hello() -> None:
    session = open_session()
    payload = encode_system_protobuf(SystemDescribe())
    post = DescribePost(SYSTEM, payload, coap.OCTET_STREAM)
    (save,) = on_describe(session, LAMP, message(), post, Known)
    assert isinstance(save, Save)
    (work,) = save.works
    assert isinstance(work, partial)
    assert work.func is description.store_system
    assert work.keywords == {"device_id": LAMP, "system": SystemDescribe(), "platform_id": 12}
    after = without_facts(save.after)
    assert (after, session.has_system, session.has_application) == ((), True, False)


def test_blocks_are_acknowledged_one_by_one_and_kept_with_the_last() -> None:
    session = open_session()
    payload = b'{"f":["' + b"x" * 50 + b'"' + b" " * 1000 + b'],"v":{}}'
    first = DescribePost(APPLICATION, payload[:1024], 0, Block(0, True, 6))
    assert on_describe(session, LAMP, message(1, b"\1"), first, Known) == (
        Reply(coap.encode_ack(1, coap.CHANGED, b"\1")),
    )
    last = DescribePost(APPLICATION, payload[1024:], 0, Block(1, False, 6))
    (save,) = on_describe(session, LAMP, message(2, b"\2"), last, Known)
    assert isinstance(save, Save)
    assert save.reply == coap.encode_ack(2, coap.CHANGED, b"\2")
    assert session.blocks is None


def test_a_block_out_of_order_ends_the_session() -> None:
    post = DescribePost(APPLICATION, b"x" * 1024, 0, Block(3, True, 6))
    (end,) = on_describe(open_session(), LAMP, message(), post, Known)
    assert isinstance(end, End)


def test_an_unreadable_describe_is_answered_with_an_error_and_not_kept() -> None:
    session = open_session()
    refusal = Reply(coap.encode_ack(7, coap.BAD_REQUEST, b"\1"))
    for payload in (b"{nonsense", b'{"x":1}', b"\xff" * 9):
        post = DescribePost(SYSTEM, payload)
        assert on_describe(session, LAMP, message(token=b"\1"), post, Known) == (refusal,)
    assert (session.has_system, session.has_application) == (False, False)
