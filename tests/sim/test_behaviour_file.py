"""Behaviour files: what they say, and how they are refused."""

from pathlib import Path

import pytest

from cyan.sim.behaviour import Ack, Behaviour, Constant, Counter, Function, Sine, Takes, Text, Walk
from cyan.sim.behaviourfile import MAX_FUNCTIONS, MAX_VARIABLES, read_behaviour
from cyan.sim.tables import MAX_FILE_BYTES, TableError
from cyan.wire import coap
from cyan.wire.messages import BOOL, DOUBLE, INT, STRING

KITCHEN = """
[variables.temperature]
type = "double"
wave = "walk"
low = 15
high = 30
step = 0.5
every_s = 10
decimals = 1

[variables.light]
type = "int"
wave = "sine"
mean = 500
amplitude = 400
period_s = 86400

[variables.doors]
type = "int"
wave = "counter"
step = 2
every_s = 60

[variables.open]
type = "bool"
value = false

[variables.label]
type = "string"
value = "kitchen of {device_name}"

[functions.lamp]
results = { on = 1, off = 0 }
result = -1
into = "open"

[functions.say]
result = "length"
into = "label"

[functions.reset]

[[events]]
name = "reading"
data = '{{"t": {temperature}, "n": {counter}, "of": "{device_id}"}}'
interval_s = 30
jitter = 0.1
format = "json"

[[events]]
name = "raw"
hex = "00 ff"
interval_s = 60
format = "binary"
ack = "without"
size_bytes = 10

[[subscriptions]]
prefix = "kitchen/"
into = "label"

[[subscriptions]]
prefix = "picture"
takes = "all"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "kitchen.toml"
    path.write_text(text)
    return path


def refusal(folder: Path, text: str) -> str:
    path = write(folder, text)
    with pytest.raises(TableError) as caught:
        read_behaviour(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: ")
    return told.removeprefix(f"{path}: ")


@pytest.fixture
def kitchen(tmp_path: Path) -> Behaviour:
    return read_behaviour(write(tmp_path, KITCHEN))


def test_variables_have_types_and_waves(kitchen: Behaviour) -> None:
    temperature, light, doors, is_open, label = kitchen.variables
    assert (temperature.name, temperature.type, temperature.decimals) == ("temperature", DOUBLE, 1)
    assert temperature.wave == Walk(15.0, 30.0, 0.5, 10.0)
    assert (light.type, light.wave) == (INT, Sine(500.0, 400.0, 86400.0))
    assert doors.wave == Counter(0.0, 2.0, 60.0)
    assert (is_open.type, is_open.wave) == (BOOL, Constant(False))
    assert label.type == STRING
    assert isinstance(label.wave, Text)
    assert label.wave.template.pieces == (("kitchen of ", "device_name"),)


def test_functions_have_results_by_argument_or_the_same_or_a_length(kitchen: Behaviour) -> None:
    assert kitchen.functions == (
        Function("lamp", {"on": 1, "off": 0}, -1, "open"),
        Function("say", {}, None, "label"),
        Function("reset", {}, 0, None),
    )


def test_events_have_data_times_a_format_and_an_acknowledgement(kitchen: Behaviour) -> None:
    reading, raw = kitchen.events
    assert (reading.interval_s, reading.jitter, reading.ack) == (30.0, 0.1, Ack.WITH)
    assert reading.content_format == coap.JSON
    assert raw.data == b"\0\xff"
    assert (raw.ack, raw.content_format, raw.size_bytes) == (Ack.WITHOUT, coap.OCTET_STREAM, 10)


def test_subscriptions_say_what_they_take_and_where_it_goes(kitchen: Behaviour) -> None:
    labels, pictures = kitchen.subscriptions
    assert (labels.prefix, labels.takes, labels.into) == ("kitchen/", Takes.TEXT, "label")
    assert (pictures.prefix, pictures.takes, pictures.into) == ("picture", Takes.ALL, None)


def test_an_empty_file_is_a_device_that_does_nothing(tmp_path: Path) -> None:
    assert read_behaviour(write(tmp_path, "")) == Behaviour()


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("jitter", "jiter", "events[0].jiter means nothing; there is name, data, interval_s"),
        ("[functions.lamp]", "[function.lamp]", "function means nothing; there is variables"),
        ('"walk"', '"wlak"', "variables.temperature.wave is one of counter, sine, walk"),
        ("low = 15", "low = 31", "variables.temperature.high is a number from 31 to "),
        ("low = 15", "", "variables.temperature.low is a number from "),
        ("low = 15", "low = nan", "variables.temperature.low is a number from "),
        ("low = 15", "low = true", "variables.temperature.low is a number from "),
        ("low = 15", "low = -1e400", "variables.temperature.low is a number from "),
        ("every_s = 60", "every_s = 0", "variables.doors.every_s is a number from 0.1 to "),
        ("value = false", "value = 0", "variables.open.value is true or false, not 0"),
        ("value = false", 'wave = "sine"', "variables.open.wave is only for int and double"),
        ('"double"', '"float"', "variables.temperature.type is one of bool, int, double, string"),
        ("device_name}", "nobody}", "variables.label.value is a template (braces stand around one"),
        ("decimals = 1", "decimals = 10", "variables.temperature.decimals is a whole number from"),
        ("on = 1", "on = 1.5", "functions.lamp.results.on is a whole number from -2147483648 to"),
        ("result = -1", "result = 2147483648", "functions.lamp.result is a whole number from "),
        ('"length"', '"size"', "functions.say.result is a whole number from -2147483648 to"),
        ('into = "open"', 'into = "window"', "functions.lamp.into is the name of a variable (temp"),
        (
            "{counter}",
            "{count}",
            "events[0].data is a template (braces stand around one of counter",
        ),
        ("{counter}", "{counter:3}", "events[0].data is a template (braces stand around one of "),
        ("{counter}", "{counter!r}", "events[0].data is a template (braces stand around one of "),
        ("{{", "{", "events[0].data is a template ("),
        ("}}'", "}'", "events[0].data is a template (Single '}' encountered"),
        ("interval_s = 30", "interval_s = 0", "events[0].interval_s is a number from 0.01 to "),
        ("jitter = 0.1", "jitter = 0.6", "events[0].jitter is a number from 0 to 0.5, not 0.6"),
        ('"json"', '"yaml"', "events[0].format is one of text, json, xml, link, binary, cbor, "),
        ('"without"', '"never"', "events[1].ack is one of with, without, default, not 'never'"),
        ('"00 ff"', '"0 ff"', "events[1].hex is two hex digits for each byte, not '0 ff'"),
        ("size_bytes = 10", "size_bytes = 1025", "events[1].size_bytes is a whole number from 0"),
        ('name = "raw"', 'name = ""', "events[1].name is a name of 1 to 64 bytes, not ''"),
        ('name = "raw"', f'name = "{"é" * 33}"', "events[1].name is a name of 1 to 64 bytes"),
        ('"picture"', '"pic\\nture"', "subscriptions[1].prefix is a name of 1 to 64 bytes"),
        ('takes = "all"', 'takes = "most"', "subscriptions[1].takes is one of text, all, cbor"),
        ("[variables.doors]", "[variables.counter]", "variables: counter is a name that templates"),
        ("[variables.doors]", f"[variables.{'d' * 65}]", "variables has names of 1 to 64 bytes"),
        ("[functions.reset]", "[functions]\nreset = 1", "functions.reset is a table, not 1"),
        ("[functions.reset]", "[[functions.reset]]", "functions.reset is a table, not [{}]"),
        ("[[subscriptions]]", "[[subscriptions", "no TOML: "),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(
    tmp_path: Path, right: str, wrong: str, told: str
) -> None:
    assert right in KITCHEN
    assert refusal(tmp_path, KITCHEN.replace(right, wrong, 1)).startswith(told)


@pytest.mark.parametrize(
    ("entry", "most", "told"),
    [
        ("[functions.f{}]\n", MAX_FUNCTIONS, "functions has at most 100 entries, not 101"),
        (
            '[variables.v{}]\ntype = "int"\nvalue = 1\n',
            MAX_VARIABLES,
            "variables has at most 100 entries, not 101",
        ),
        ('[[subscriptions]]\nprefix = "s{}"\n', 4, "subscriptions has at most 4 entries, not 5"),
        (
            '[[events]]\nname = "e{}"\ndata = ""\ninterval_s = 1\n',
            32,
            "events has at most 32 entries, not 33",
        ),
    ],
)
def test_there_is_room_for_so_many(tmp_path: Path, entry: str, most: int, told: str) -> None:
    full = "".join(entry.format(number) for number in range(most))
    read_behaviour(write(tmp_path, full))
    assert refusal(tmp_path, full + entry.format(most)) == told


def test_results_have_a_bound(tmp_path: Path) -> None:
    results = ", ".join(f"a{number} = 1" for number in range(101))
    told = refusal(tmp_path, f"[functions.f]\nresults = {{ {results} }}\n")
    assert told == "functions.f.results has at most 100 entries, not 101"


def test_a_file_that_is_not_there_or_no_text_or_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="No such file"):
        read_behaviour(tmp_path / "nowhere.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(TableError, match="no TOML"):
        read_behaviour(binary)
    long = tmp_path / "long.toml"
    long.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(TableError, match="longer than"):
        read_behaviour(long)
    deep = tmp_path / "deep.toml"
    deep.write_text("x = " + "[" * 100_000)
    with pytest.raises(TableError, match="no TOML"):
        read_behaviour(deep)


def test_a_long_value_is_cut_in_the_refusal(tmp_path: Path) -> None:
    told = refusal(tmp_path, f"variables = '{'x' * 100_000}'")
    assert told.startswith("variables is a table, not 'xxx")
    assert len(told) < 100


def test_a_number_of_many_digits_is_refused(tmp_path: Path) -> None:
    told = refusal(tmp_path, f'[variables.v]\ntype = "int"\nvalue = {"9" * 5000}\n')
    assert told.startswith("no TOML: ")
