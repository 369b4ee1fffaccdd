"""What an application does over time: variables, functions, events, subscriptions."""

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyan.sim.application import Application
from cyan.sim.behaviour import (
    Ack,
    Behaviour,
    Constant,
    Counter,
    Event,
    Function,
    Sine,
    Subscription,
    Takes,
    Text,
    Variable,
    Walk,
    Wave,
    built_in,
)
from cyan.sim.template import parse_template
from cyan.wire import coap
from cyan.wire.messages import BOOL, DOUBLE, INT, STRING, EventDown

DEVICE_ID = "5eed00000000000000000001"


def boot(behaviour: Behaviour, *, seed: str = "one", at: float = 1000.0) -> Application:
    application = Application(DEVICE_ID, "bold_otter", behaviour, seed)
    application.boot(at)
    return application


def variable(type_: int, wave: Wave, decimals: int = 2) -> Behaviour:
    return Behaviour(variables=(Variable("v", type_, wave, decimals),))


def ints(application: Application, times: list[float]) -> list[int]:
    found = [application.read("v", time) for time in times]
    return [int.from_bytes(value, "big", signed=True) for value in found if value is not None]


def double(application: Application, time: float) -> float:
    value = application.read("v", time)
    assert value is not None
    (number,) = struct.unpack("<d", value)
    assert isinstance(number, float)
    return number


def event(name: str = "e", data: str = "{counter}", **fields: object) -> Event:
    places = ("device_id", "device_name", "counter", "v")
    return Event(name, parse_template(data, places), **{"interval_s": 10.0, **fields})  # type: ignore[arg-type]


def publish(application: Application, until: float) -> list[tuple[float, str, bytes | None]]:
    """All events up to a time: when they were due, their names and data."""
    made = []
    while due := application.take_due(until):
        message = application.make(due, confirmable=True)
        made.append((due.at, message.name, message.data))
    return made


def test_a_counter_counts_from_the_boot() -> None:
    application = boot(variable(INT, Counter(5, 2, 10.0)))
    assert ints(application, [1000, 1009.9, 1010, 1019, 1020, 1100]) == [5, 5, 7, 7, 9, 25]


def test_a_sine_swings_around_its_mean() -> None:
    application = boot(variable(DOUBLE, Sine(20.0, 5.0, 100.0)))
    assert [double(application, at) for at in (1000, 1025, 1050, 1075)] == [20.0, 25.0, 20.0, 15.0]


def test_doubles_are_rounded_and_ints_stay_in_32_bits() -> None:
    assert double(boot(variable(DOUBLE, Constant(1 / 3), 3)), 1000.0) == 0.333
    rising = boot(variable(INT, Counter(2**31 - 2, 1, 1.0)))
    assert ints(rising, [1000, 1001, 1002]) == [2**31 - 2, 2**31 - 1, 2**31 - 1]


@given(st.lists(st.floats(1000.0, 3000.0), max_size=20))
def test_a_walk_does_not_depend_on_when_it_was_looked_at(looks: list[float]) -> None:
    behaviour = variable(DOUBLE, Walk(0.0, 10.0, 1.0, 5.0), 9)
    watched, alone = boot(behaviour), boot(behaviour)
    for time in sorted(looks):
        assert 0.0 <= double(watched, time) <= 10.0
    assert double(watched, 3000.0) == double(alone, 3000.0)


def test_a_walk_goes_by_at_most_its_step_and_as_the_seed_has_it() -> None:
    behaviour = variable(DOUBLE, Walk(-100.0, 100.0, 1.0, 5.0), 9)
    path = [double(boot(behaviour), 1000.0 + at) for at in range(0, 500, 5)]
    steps = [abs(b - a) for a, b in pairwise(path)]
    assert max(steps) <= 1.0
    assert len(set(path)) == len(path)
    other = boot(behaviour, seed="two")
    assert double(other, 1000.0) != path[0]


@pytest.mark.parametrize(
    ("type_", "wave", "text", "payload"),
    [
        (BOOL, Constant(False), "on", b"\1"),
        (BOOL, Constant(True), " FALSE ", b"\0"),
        (BOOL, Constant(True), "perhaps", b"\1"),
        (INT, Constant(7), "-12", struct.pack(">i", -12)),
        (INT, Constant(7), "2147483648", struct.pack(">i", 7)),
        (INT, Constant(7), "nan", struct.pack(">i", 7)),
        (INT, Constant(7), "seven", struct.pack(">i", 7)),
        (INT, Counter(1, 1, 1.0), "9", struct.pack(">i", 9)),
        (DOUBLE, Constant(0.5), "21.5", struct.pack("<d", 21.5)),
        (DOUBLE, Constant(0.5), "inf", struct.pack("<d", 0.5)),
        (DOUBLE, Sine(1.0, 1.0, 9.0), "3", struct.pack("<d", 3.0)),
        (STRING, Text(parse_template("{device_name}", ("device_name",))), "", b""),
        (STRING, Text(parse_template("", ())), "é" * 600, ("é" * 512).encode()),
    ],
)
def test_a_function_sets_a_variable_if_its_argument_is_a_value_of_it(
    type_: int, wave: Wave, text: str, payload: bytes
) -> None:
    behaviour = variable(type_, wave)
    application = boot(Behaviour(behaviour.variables, (Function("set", into="v"),)))
    assert application.call("set", text) == 0
    assert application.read("v", 1500.0) == payload


def test_a_boot_forgets_what_variables_were_set_to() -> None:
    application = boot(built_in())
    application.call("echo", "other")
    assert application.read("greeting", 1001.0) == b"other"
    application.boot(1002.0)
    assert application.read("greeting", 1002.0) == b"hello from bold_otter"


def test_a_function_gives_the_result_of_its_argument() -> None:
    functions = (
        Function("fixed", otherwise=7),
        Function("table", {"a": 1, "b": 2}, otherwise=-1),
        Function("length", {"?": 99}, otherwise=None),
    )
    application = boot(Behaviour(functions=functions))
    called = [("fixed", "x"), ("table", "b"), ("table", "c"), ("length", "né"), ("length", "?")]
    assert [application.call(*one) for one in called] == [7, 2, -1, 3, 99]
    assert application.call("nosuch", "") is None


def test_a_template_shows_the_device_its_counter_and_variables_when_due() -> None:
    wave = Counter(0, 1, 10.0)
    behaviour = Behaviour(
        variables=(Variable("v", INT, wave),),
        events=(event(data="{device_id} {device_name} {counter} {v} {{}}"),),
    )
    made = publish(boot(behaviour), 1020.0)
    assert [data for _, _, data in made] == [
        f"{DEVICE_ID} bold_otter 1 0 {{}}".encode(),
        f"{DEVICE_ID} bold_otter 2 1 {{}}".encode(),
    ]


@pytest.mark.parametrize(
    ("wave", "shown"), [(Constant(True), b"true"), (Constant(False), b"false")]
)
def test_a_template_shows_bools_as_json_has_them(wave: Wave, shown: bytes) -> None:
    behaviour = Behaviour((Variable("v", BOOL, wave),), events=(event(data="{v}"),))
    assert publish(boot(behaviour), 1010.0)[0][2] == shown


def test_events_come_at_their_intervals_from_somewhere_in_the_first() -> None:
    made = publish(boot(Behaviour(events=(event(),))), 1100.0)
    assert 1000.0 <= made[0][0] < 1010.0
    assert [round(b[0] - a[0], 6) for a, b in pairwise(made)] == [10.0] * 9


def test_jitter_moves_each_event_and_not_the_ones_after_it() -> None:
    plain = publish(boot(Behaviour(events=(event(),))), 2000.0)
    jittered = publish(boot(Behaviour(events=(event(jitter=0.2),))), 2000.0)
    moved = [b[0] - a[0] for a, b in zip(plain[1:], jittered[1:], strict=False)]
    assert max(moved) <= 2.0
    assert min(moved) >= -2.0
    assert max(moved) - min(moved) > 2.0


def test_several_events_come_in_the_order_in_which_they_are_due() -> None:
    behaviour = Behaviour(events=(event("slow"), event("quick", interval_s=3.0)))
    made = publish(boot(behaviour), 1100.0)
    assert [at for at, _, _ in made] == sorted(at for at, _, _ in made)
    names = [name for _, name, _ in made]
    assert (names.count("slow"), names.count("quick")) in ((10, 33), (10, 34))
    assert [data for _, _, data in made] == [str(n + 1).encode() for n in range(len(made))]


def test_the_schedule_comes_from_the_seed_alone() -> None:
    behaviour = Behaviour(events=(event(jitter=0.3), event("other", interval_s=7.0)))
    first = publish(boot(behaviour), 2000.0)
    watched = boot(behaviour)
    pieces = []
    for time in range(1000, 2001, 3):
        watched.call("nosuch", "x")
        watched.read("v", time)
        pieces += publish(watched, float(time))
    assert pieces + publish(watched, 2000.0) == first
    assert publish(boot(behaviour, seed="two"), 2000.0) != first


def test_nothing_comes_after_a_halt() -> None:
    application = boot(built_in())
    application.halt()
    assert application.take_due(9999.0) is None
    assert application.deadline() == float("inf")


def test_data_are_padded_and_cut_between_characters() -> None:
    padded = Behaviour(events=(event(size_bytes=5),))
    assert publish(boot(padded), 1010.0)[0][2] == b"1...."
    long = Behaviour(
        variables=(Variable("v", STRING, Text(parse_template("é" * 500, ()))),),
        events=(event(data="-{v}{v}"),),
    )
    data = publish(boot(long), 1010.0)[0][2]
    assert data is not None
    assert data.decode() == "-" + "é" * 511


@pytest.mark.parametrize(
    ("ack", "expected"),
    [(Ack.WITH, (True, True)), (Ack.WITHOUT, (False, False)), (Ack.DEFAULT, (True, False))],
)
def test_an_event_is_confirmable_as_it_says_or_as_the_transport_has_it(
    ack: Ack, expected: tuple[bool, bool]
) -> None:
    assert (ack.is_confirmable(True), ack.is_confirmable(False)) == expected


def test_a_handler_takes_names_with_its_prefix_in_formats_that_it_can_read() -> None:
    subscriptions = (
        Subscription("a/"),
        Subscription("b/", Takes.ALL),
        Subscription("c/", Takes.CBOR),
    )
    application = boot(Behaviour(subscriptions=subscriptions))
    formats = (coap.TEXT, coap.JSON, coap.OCTET_STREAM, coap.CBOR)
    # device-protocol.md §3.8: a handler without a flag gets 0, 40, 41, 50; one for CBOR only 60.
    taken = {
        prefix: [application.receive(EventDown(f"{prefix}/x", b"", one)) for one in formats]
        for prefix in "abcd"
    }
    assert taken == {
        "a": [True, True, False, False],
        "b": [True] * 4,
        "c": [False, False, False, True],
        "d": [False] * 4,
    }


def test_a_received_event_sets_a_variable() -> None:
    behaviour = Behaviour(
        variables=(Variable("v", INT, Constant(1)),),
        subscriptions=(Subscription("set/", into="v"),),
    )
    application = boot(behaviour)
    application.receive(EventDown("other/v", b"5"))
    assert ints(application, [1001.0]) == [1]
    application.receive(EventDown("set/v", b"5"))
    application.receive(EventDown("set/v", b"\xff"))
    application.receive(EventDown("set/v", None))
    assert ints(application, [1001.0]) == [5]
