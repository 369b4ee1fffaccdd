"""Sources that nobody writes: they give a reading, in bounded time, and nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyan.firmware.wiring.lexer import Kind, split_lines
from cyan.firmware.wiring.reader import read_project
from cyan.wire.simulated import decode_image, encode_image

SHOWN = 'void setup() { Particle.variable("x", x); } '

_PIECES = st.sampled_from(
    [
        "void setup() {", "void loop() {", "}", "{", "(", ")", ";", ",", "if (x)", "else", "return",
        'Particle.function("f", f);', "Particle.variable(", 'Particle.publish("e", ', "String",
        "int f(String a)", "int x = 1", "#if", "#else", "#endif\n", "#define A B\n", "\n", '"', "'",
        "R\"x(", "/*", "//", "\\\n", "==", "?", ":", "<", ">", "millis()", "delay(1)", "class C",
        "namespace", "x++", "for (;;)", "while (1)", "do", "switch", "case 1:", "%d", "A", "B",
        "PRODUCT_VERSION(1)", "1e999", "0x", "1h", "\ud800", "\0", "ä", "case", "enum", "operator",
        "[", "]", "[](){", "static", "const char *s =", "+=", "-", "format(", "Timer t(1, f)",
    ]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(_PIECES, max_size=60).map(" ".join), st.booleans())
def test_any_text_gives_a_reading(source: str, is_header: bool) -> None:
    name = "a.h" if is_header else "a.ino"
    content = source.encode(errors="surrogatepass")
    reading = read_project({name: content, "b.cpp": b"void setup() {}"})
    assert reading.is_sound is (reading.image is not None)
    if reading.image is not None:
        assert decode_image(encode_image(reading.image)) == reading.image


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_a_reading(content: bytes) -> None:
    read_project({"a.cpp": content})


@pytest.mark.parametrize(
    "source",
    [
        "#if 1 &&\n#endif\nvoid setup() {}",
        '"" f() {} void setup() {}',
        ": class A {}; void setup() {}",
        'void setup() { Particle.function("f", , g); Timer t(1, ); Particle.publish(, ); }',
        "void setup() { int x = ; x = ; x + = ; return ?; if () {} for () {} }",
        'int f(, ) { return 1; } void setup() { Particle.function("f", f); Particle.variable(f); }',
        "(" * 100_000 + ")" * 100_000,
        "void setup() {" + "{" * 50_000 + "}" * 50_000 + "}",
        "void setup() {" + "if (x) " * 20_000 + ";}",
        "class A {" * 5_000 + "};" * 5_000,
        SHOWN + "int x = " + "(" * 5_000 + "1" + ")" * 5_000 + ";",
        SHOWN + "int x = " + "1 + " * 20_000 + "1;",
        SHOWN + "int x = " + "-" * 20_000 + "1;",
        SHOWN + "int x = y; int y = x;",
        "void f() { g(); g(); } void g() { f(); f(); } void setup() { f(); }",
        "".join(f"#define A{n} A{n + 1} A{n + 1}\n" for n in range(60)) + "int x = A0;",
        "".join(f"#define A{n} A{n + 1}\n" for n in range(5_000)) + "int x = A0;",
        "#if " + "(" * 10_000 + "1" + ")" * 10_000 + "\n#endif\nvoid setup() {}",
        "#if 1\n" * 5_000 + "#endif\n" * 5_000 + "void setup() {}",
        SHOWN + 'String x = String::format("%999d%999d", 1, 1);',
        SHOWN + "int x = 1 << 63 << 63;",
        SHOWN + "double x = 1e999 * 1e999;",
        'void setup() { String s = "aaaaaaaa"; ' + "s += s; " * 60 + 'Particle.publish("e", s); }',
        "/" * 200_000,
        "\\\n" * 100_000,
        'R"' * 50_000,
        "'" * 100_000,
    ],
)  # fmt: skip
def test_what_is_made_to_take_long_or_much_does_not(source: str) -> None:
    reading = read_project({"a.cpp": source.encode()})
    assert reading.is_sound is (reading.image is not None)
    if reading.image is not None:
        encode_image(reading.image)


@pytest.mark.parametrize("quote", ['"', "'"])
def test_an_open_quote_is_one_token_with_all_that_follows(quote: str) -> None:
    """And not one for each escape, each of which would be searched to the end of the line."""
    ((token,),) = split_lines(quote + rf"\{quote}" * 100_000, "app.ino")
    assert (token.kind, token.text) == (Kind.STRAY, quote)
    ((token,),) = split_lines(quote + "a\\", "app.ino")
    assert token.kind is Kind.STRAY
