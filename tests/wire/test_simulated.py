"""The image of the simulated platform."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyan.sim import identity
from cyan.wire import simulated
from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.simulated import (
    MAGIC,
    Event,
    Function,
    Image,
    Piece,
    Subscription,
    Variable,
    decode_image,
    encode_image,
    is_image,
    is_simulated_device,
)

BLINK = Image(
    product_version=3,
    variables=(
        Variable("temperature", "double", 21.5),
        Variable("uptime", "int", 0, step=1, every_s=1.0),
        Variable("led", "bool", False),
        Variable("greeting", "string", "hello"),
    ),
    functions=(
        Function("lamp", {"on": 1, "off": 0}, -1, into="led"),
        Function("echo", otherwise=None, into="greeting"),
    ),
    events=(
        Event("started"),
        Event("temperature", (Piece("it is ", "temperature"), Piece(" °C")), 10.0),
    ),
    subscriptions=(Subscription("alarm/", into="greeting"),),
)


def test_an_image_is_the_magic_and_json() -> None:
    """The layout of the module's docstring."""
    body = encode_image(Image(2, (Variable("answer", "int", 42),)))
    assert body == (
        b'CYANSIM\x01{"product_version":2,"variables":[{"name":"answer","type":"int","value":42}]}'
    )


def test_an_image_comes_back_as_it_was() -> None:
    assert decode_image(encode_image(BLINK)) == BLINK
    assert decode_image(memoryview(encode_image(Image()))) == Image()


def test_fields_that_are_not_known_are_ignored() -> None:
    assert decode_image(MAGIC + b'{"colour":"cyan","product_version":1}') == Image(1)


def test_the_magic_tells_an_image_from_code_whatever_its_version() -> None:
    assert is_image(MAGIC)
    assert is_image(memoryview(b"CYANSIM\x09{}"))
    assert not is_image(b"\x00\x20\x00\x20" * 8)
    assert not is_image(b"")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\x7fELF", "no image"),
        (b"CYANSIM\x02{}", "version 2"),
        (MAGIC, "cannot be read"),
        (MAGIC + b"{", "cannot be read"),
        (MAGIC + b'{"product_version":"one"}', "cannot be read"),
        (MAGIC + b"[" * 60_000, "cannot be read"),
        (MAGIC + b'{"product_version":65536}', "product version 65536"),
        (MAGIC + b" " * simulated.MAX_IMAGE_BYTES + b"{}", "the most is"),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(body: bytes, said: str) -> None:
    with pytest.raises(MalformedError, match=said):
        decode_image(body)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (Image(-1), "product version -1"),
        (Image(variables=(Variable("", "int", 1),)), "empty"),
        (Image(functions=(Function("n" * 65),)), "longer than 64"),
        (Image(events=(Event("\ud800"),)), "longer than 64"),
        (Image(variables=(Variable("a", "int", 1), Variable("a", "int", 2))), "two variables"),
        (Image(functions=(Function("a"), Function("a"))), "two functions"),
        (Image(functions=(Function("a", into="b"),)), "does not have"),
        (Image(subscriptions=(Subscription("a", into="b"),)), "does not have"),
        (Image(events=(Event("a", (Piece("", "b"),)),)), "does not have"),
        (Image(variables=(Variable("a", "int", 1 << 31),)), "does not fit"),
        (Image(variables=(Variable("a", "int", True),)), "does not fit"),
        (Image(variables=(Variable("a", "bool", 1),)), "does not fit"),
        (Image(variables=(Variable("a", "double", float("nan")),)), "does not fit"),
        (Image(variables=(Variable("a", "string", "x" * 1025),)), "does not fit"),
        (Image(variables=(Variable("a", "string", "", every_s=1.0),)), "does not fit"),
        (Image(variables=(Variable("a", "int", 1, every_s=0.0),)), "does not fit"),
        (Image(functions=(Function("a", {"x": 1 << 31}),)), "32 bits"),
        (Image(functions=(Function("a", otherwise=-(1 << 31) - 1),)), "32 bits"),
        (Image(events=(Event("a", (Piece("x" * 1025),)),)), "too much data"),
        (Image(events=(Event("a", interval_s=float("inf")),)), "interval"),
        (Image(events=tuple(Event("a") for _ in range(33))), "33 events"),
        (Image(subscriptions=tuple(Subscription("a") for _ in range(5))), "5 subscriptions"),
    ],
)
def test_an_image_that_breaks_a_bound_is_not_made(image: Image, said: str) -> None:
    with pytest.raises(MisuseError, match=said):
        encode_image(image)


def test_a_reader_holds_to_the_same_bounds() -> None:
    body = MAGIC + msgspec.json.encode(Image(events=tuple(Event("a") for _ in range(33))))
    with pytest.raises(MalformedError, match="33 events"):
        decode_image(body)


@given(st.binary(max_size=200))
def test_any_bytes_after_the_magic_give_an_image_or_the_one_error(noise: bytes) -> None:
    try:
        image = decode_image(MAGIC + noise)
    except MalformedError:
        return
    assert decode_image(encode_image(image)) == image


def test_the_devices_of_the_simulator_are_the_simulated_ones() -> None:
    for made in identity.make_identities("any seed", 3):
        assert is_simulated_device(made.device_id)
        assert is_simulated_device(made.device_id.upper())
    # The shapes of the ids of a Photon, an Argon and a Photon 2.
    for real in (
        "2b0036000f47343233323032",
        "e00fce68f1ac61d5ffd2d2b4",
        "0a10aced202194944a042f04",
    ):
        assert not is_simulated_device(real)
