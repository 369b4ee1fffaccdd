"""Reliability of one session, the server's side, with a clock moved by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyan.wire import coap
from cyan.wire.errors import MisuseError
from cyan.wire.exchange import (
    ACK_TIMEOUT_S,
    EMPTY_ACK,
    MAX_OUTSTANDING,
    REMEMBER_S,
    REST_S,
    TOKENS,
    BusyError,
    Exchange,
    Request,
)

Ends = list[str]
Responses = list[tuple[int, bytes]]


def make(**given: int) -> Exchange:
    return Exchange(**{"next_message_id": 100, **given})  # type: ignore[arg-type]


def build(message_id: int, token: bytes) -> bytes:
    return message_id.to_bytes(2, "big") + token


def _ack(message_id: int, code: int, payload: bytes) -> coap.Message:
    return coap.Message(coap.ACK, code, message_id, payload=payload)


def _response(token: bytes, code: int, payload: bytes) -> coap.Message:
    return coap.Message(coap.CON, code, 0, token, payload=payload)


def test_a_message_is_new_once() -> None:
    exchange = make()
    assert exchange.is_new(1, 10.0)
    assert not exchange.is_new(1, 11.0)
    assert exchange.answer_to(1) is None, "in the making"
    exchange.keep_answer(1, b"answer")
    assert exchange.answer_to(1) == b"answer"
    assert exchange.answer_to(2) is None


@given(st.floats(0, 1000), st.floats(0, REMEMBER_S))
def test_an_answer_is_remembered_for_95_s_at_least(first_s: float, later_s: float) -> None:
    exchange = make()
    exchange.is_new(0, 0.0)
    exchange.is_new(1, first_s)
    exchange.keep_answer(1, b"answer")
    exchange.is_new(2, first_s + later_s / 2)
    assert not exchange.is_new(1, first_s + later_s)
    assert exchange.answer_to(1) == b"answer"


@given(st.floats(0, 500))
def test_an_answer_is_forgotten_after_twice_that(first_s: float) -> None:
    exchange = make()
    exchange.is_new(0, 0.0)
    exchange.is_new(1, first_s)
    assert exchange.is_new(1, first_s + 2 * REMEMBER_S)


def test_a_message_that_had_no_effect_is_new_when_it_comes_again() -> None:
    exchange = make()
    exchange.is_new(1, 10.0)
    exchange.forget(1)
    assert exchange.is_new(1, 11.0)
    exchange.is_new(2, 10.0 + REMEMBER_S)
    exchange.forget(1)
    assert exchange.is_new(1, 12.0 + REMEMBER_S)


def test_an_answer_that_is_late_is_kept_where_its_message_is() -> None:
    exchange = make()
    exchange.is_new(1, 0.0)
    exchange.is_new(2, REMEMBER_S)
    exchange.keep_answer(1, b"late")
    assert exchange.answer_to(1) == b"late"
    exchange.is_new(3, 2 * REMEMBER_S)
    assert exchange.answer_to(1) is None


def test_what_was_answered_before_a_restart_is_known() -> None:
    exchange = Exchange(next_message_id=0, answered=[5, 6])
    assert not exchange.is_new(5, 1000.0)
    assert exchange.answer_to(6) == EMPTY_ACK
    assert exchange.is_new(7, 1000.0)
    assert not exchange.is_new(6, 1000.0 + REMEMBER_S - 1)


def test_message_ids_go_round() -> None:
    exchange = make(next_message_id=0x1FFFF)
    first = exchange.send(build, 0.0, 0.0)
    second = exchange.send(build, 0.0, 0.0)
    assert (first.data, second.data) == (b"\xff\xff\0", b"\0\0\0")


def ask(exchange: Exchange, now_s: float = 0.0) -> Request:
    return exchange.send(build, now_s, 0.0, None, lambda message: None)


def answer(exchange: Exchange, request: Request) -> None:
    exchange.on_response(_response(bytes((request.token,)), coap.CONTENT, b""))


def test_tokens_go_round_and_those_that_still_wait_are_left_out() -> None:
    exchange = make()
    waiting = ask(exchange)
    seen = []
    for _ in range(2 * TOKENS):
        other = ask(exchange)
        answer(exchange, other)
        seen.append(other.token)
    assert waiting.token not in seen
    assert len(set(seen)) == TOKENS - 1


def test_a_question_takes_a_token_and_other_messages_take_none() -> None:
    exchange = make()
    first = ask(exchange)
    for _ in range(10):
        sent = exchange.send(build, 0.0, 0.0)
        exchange.on_ack(_ack(sent.message_id, coap.EMPTY, b""))
    assert ask(exchange).token == first.token + 1


def test_the_token_of_a_question_without_answer_rests() -> None:
    exchange = make()
    given_up = ask(exchange)
    exchange.cancel(given_up, 10.0)
    for _ in range(TOKENS - 1):
        answer(exchange, ask(exchange, 10.0))
    assert ask(exchange, 10.0 + REST_S - 1).token != given_up.token
    later = {ask(exchange, 10.0 + REST_S).token for _ in range(TOKENS - 1)}
    assert given_up.token in later


def test_when_no_token_is_free_the_device_is_busy() -> None:
    exchange = make()
    waiting = [ask(exchange) for _ in range(TOKENS)]
    for request in waiting:
        exchange.on_ack(_ack(request.message_id, coap.EMPTY, b""))
    with pytest.raises(BusyError, match="questions"):
        ask(exchange)
    exchange.send(build, 0.0, 0.0)
    answer(exchange, waiting[5])
    assert ask(exchange).token == waiting[5].token


def test_the_next_holder_of_a_session_uses_other_tokens() -> None:
    tokens = [
        {ask(exchange).token for _ in range(TOKENS)}
        for exchange in (make(holder=number) for number in range(4))
    ]
    assert len(set.union(*tokens)) == 256


def test_an_acknowledgement_ends_what_waits_for_no_more() -> None:
    exchange, ends = make(), list[str]()
    request = exchange.send(build, 0.0, 0.0, ends.append)
    exchange.on_ack(_ack(request.message_id + 1, coap.EMPTY, b""))
    assert ends == []
    exchange.on_ack(_ack(request.message_id, coap.EMPTY, b""))
    exchange.on_ack(_ack(request.message_id, coap.EMPTY, b""))
    assert ends == ["acknowledged"]
    assert exchange.next_due_s() is None


def test_a_response_inside_the_acknowledgement_answers() -> None:
    exchange, ends = make(), list[str]()
    responses: Responses = []
    request = exchange.send(
        build, 0.0, 0.0, ends.append, lambda m: responses.append((m.code, m.payload))
    )
    exchange.on_ack(_ack(request.message_id, coap.CHANGED, b"1"))
    exchange.on_response(_response(bytes((request.token,)), coap.CHANGED, b"2"))
    assert (responses, ends) == ([(coap.CHANGED, b"1")], ["answered"])


def test_a_response_of_its_own_answers_and_stops_the_sending() -> None:
    exchange, ends = make(), list[str]()
    responses: Responses = []
    request = exchange.send(
        build, 0.0, 0.0, ends.append, lambda m: responses.append((m.code, m.payload))
    )
    exchange.on_ack(_ack(request.message_id, coap.EMPTY, b""))
    assert (list(exchange.due(1000.0, 0.0)), ends) == ([], [])
    exchange.on_response(_response(b"", coap.CONTENT, b"x"))
    exchange.on_response(_response(b"\7\7", coap.CONTENT, b"x"))
    exchange.on_response(_response(b"\x99", coap.CONTENT, b"x"))
    assert responses == []
    exchange.on_response(_response(bytes((request.token,)), coap.CONTENT, b"42"))
    assert (responses, ends) == ([(coap.CONTENT, b"42")], ["answered"])


def test_a_response_that_overtakes_its_acknowledgement_answers() -> None:
    exchange, ends = make(), list[str]()
    responses: Responses = []
    request = exchange.send(
        build, 0.0, 0.0, ends.append, lambda m: responses.append((m.code, m.payload))
    )
    exchange.on_response(_response(bytes((request.token,)), coap.CONTENT, b"42"))
    exchange.on_ack(_ack(request.message_id, coap.EMPTY, b""))
    assert (responses, ends) == ([(coap.CONTENT, b"42")], ["answered"])
    assert exchange.next_due_s() is None


def test_a_reset_ends_the_request() -> None:
    exchange, ends = make(), list[str]()
    request = exchange.send(build, 0.0, 0.0, ends.append, lambda m: None)
    exchange.on_reset(request.message_id + 1)
    exchange.on_reset(request.message_id)
    exchange.on_response(_response(bytes((request.token,)), coap.CONTENT, b"late"))
    assert ends == ["reset"]


@given(st.floats(0, 1))
def test_a_message_is_sent_four_times_each_wait_twice_the_one_before(stretch: float) -> None:
    exchange, ends, sent_at = make(), list[str](), [0.0]
    request = exchange.send(build, 0.0, stretch, ends.append)
    now = 0.0
    while not ends:
        due = exchange.next_due_s()
        assert due is not None
        assert due > now
        now = due
        sent_at += [now for data in exchange.due(now, stretch) if data == request.data]
    factor = ACK_TIMEOUT_S * (1 + stretch / 2)
    assert sent_at == pytest.approx([0.0, factor, 3 * factor, 7 * factor])
    assert now == pytest.approx(15 * factor)
    assert 60 <= now <= 90
    assert ends == ["timeout"]


def test_nothing_is_sent_again_before_its_time() -> None:
    exchange = make()
    exchange.send(build, 0.0, 0.0)
    assert list(exchange.due(3.99, 0.0)) == []
    assert len(list(exchange.due(4.0, 0.0))) == 1
    assert list(exchange.due(4.0, 0.0)) == []


def test_a_request_that_nobody_waits_for_is_neither_sent_nor_reported() -> None:
    exchange, ends = make(), list[str]()
    request = exchange.send(build, 0.0, 0.0, ends.append, lambda m: ends.append("response"))
    exchange.cancel(request, 1.0)
    exchange.on_response(_response(bytes((request.token,)), coap.CONTENT, b""))
    exchange.on_ack(_ack(request.message_id, coap.CONTENT, b""))
    assert (list(exchange.due(100.0, 0.0)), ends) == ([], [])


def test_the_end_of_the_session_ends_everything_once() -> None:
    exchange, ends = make(), list[str]()
    exchange.send(build, 0.0, 0.0, ends.append)
    call = exchange.send(build, 0.0, 0.0, ends.append, lambda m: None)
    exchange.on_ack(_ack(call.message_id, coap.EMPTY, b""))
    exchange.cancel_all("ended")
    exchange.cancel_all("ended")
    assert ends == ["ended", "ended"]


def test_so_many_may_wait_and_no_more() -> None:
    exchange = make()
    requests = [exchange.send(build, 0.0, 0.0) for _ in range(MAX_OUTSTANDING)]
    with pytest.raises(MisuseError, match="too many"):
        exchange.send(build, 0.0, 0.0)
    exchange.on_ack(_ack(requests[0].message_id, coap.EMPTY, b""))
    exchange.send(build, 0.0, 0.0)


def test_a_message_that_cannot_be_built_leaves_nothing_behind() -> None:
    exchange = make()

    def fail(message_id: int, token: bytes) -> bytes:
        raise MisuseError("too large")

    with pytest.raises(MisuseError, match="too large"):
        exchange.send(fail, 0.0, 0.0)
    assert exchange.next_due_s() is None


def test_an_acknowledgement_whose_id_says_nothing_ends_the_oldest_that_awaits_no_more() -> None:
    exchange = make()
    ends: Ends = []
    exchange.send(build, 0.0, 0.0, lambda how: ends.append(f"call {how}"), lambda m: None)
    exchange.send(build, 0.0, 0.0, lambda how: ends.append(f"first {how}"))
    exchange.send(build, 0.0, 0.0, lambda how: ends.append(f"second {how}"))
    exchange.on_pong()
    assert ends == ["first acknowledged"]
    exchange.on_pong()
    exchange.on_pong()
    assert ends == ["first acknowledged", "second acknowledged"]


@given(st.lists(st.integers(0, 0xFFFF), max_size=200))
def test_acknowledged_ids_are_remembered_whatever_their_order(ids: list[int]) -> None:
    exchange = make()
    seen = set()
    for message_id in ids:
        assert exchange.is_new(message_id, 1.0) is (message_id not in seen)
        exchange.keep_answer(message_id, EMPTY_ACK)
        seen.add(message_id)
    for message_id in seen:
        assert exchange.answer_to(message_id) == EMPTY_ACK
        assert not exchange.acknowledge(message_id)


@given(st.lists(st.integers(0, 0xFFFF), max_size=200, unique=True))
def test_ids_from_the_log_are_known_whatever_their_order(ids: list[int]) -> None:
    exchange = Exchange(next_message_id=0, answered=ids)
    assert not any(exchange.is_new(message_id, 1.0) for message_id in ids)


def test_tidying_forgets_only_what_is_too_old_altogether() -> None:
    exchange = make()
    exchange.is_new(1, 10.0)
    exchange.keep_answer(1, b"answer")
    exchange.tidy(10.0 + REMEMBER_S)
    assert exchange.answer_to(1) == b"answer"
    exchange.tidy(10.0 + 2 * REMEMBER_S)
    assert exchange.answer_to(1) is None
    assert exchange.is_new(1, 10.0 + 2 * REMEMBER_S)
