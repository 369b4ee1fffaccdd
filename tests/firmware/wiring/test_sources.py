"""What is read out of Wiring sources: the image that the simulated device follows."""

import textwrap

import pytest

from cyan.firmware.wiring.reader import Reading, read_project
from cyan.wire.simulated import Event, Function, Image, Piece, Subscription, Variable

MAIN = "void setup() {}\nvoid loop() {}\n"


def read(source: str, **more: str) -> Reading:
    files = {"app.ino": textwrap.dedent(source).encode()}
    files |= {name.replace("__", "/") + ".h": text.encode() for name, text in more.items()}
    return read_project(files, {"PLATFORM_ID": 12, "PLATFORM_ARGON": 12})


def image_of(source: str, **more: str) -> Image:
    """What a source declares that a compiler has nothing to say about."""
    reading = read(source, **more)
    assert reading.messages == ()
    assert reading.image is not None
    return reading.image


def in_setup(code: str, before: str = "") -> str:
    return f"{before}\nvoid setup() {{ {code} }}\nvoid loop() {{}}"


def in_loop(code: str, before: str = "") -> str:
    return f"{before}\nvoid setup() {{}}\nvoid loop() {{ {code} }}"


def test_a_whole_application_is_read() -> None:
    source = """
        /* A thermometer: Particle.variable("not", this) */
        #include "Particle.h"
        #define PERIOD 10s
        #ifdef DEBUG
        this is not "C++
        #endif
        PRODUCT_VERSION(3);
        SYSTEM_THREAD(ENABLED);

        double temperature = 21.5;
        int turns = 0;
        bool lamp = false;
        String greeting = "hello";
        char city[16] = "Berlin";

        int setLamp(String command) {
          if (command == "on") {
            digitalWrite(D7, HIGH);
            lamp = true;
            return 1;
          } else if (command.equals("off")) {
            lamp = false;
            return 0;
          }
          return -1;
        }
        int echo(String text) { greeting = text; return text.length(); }
        void onAlarm(const char *event, const char *data) { greeting = String(data); }
        void report(float t) {
          Particle.publish("temperature", String::format("{\\"t\\":%.1f}", t), PRIVATE);
        }
        void setup() {
          Particle.variable("temp", temperature);
          Particle.variable("turns", &turns, INT);
          Particle.variable("lamp", lamp);
          Particle.variable("greeting", greeting);
          Particle.variable("city", city);
          Particle.function("lamp", setLamp);
          Particle.function("echo", echo);
          Particle.subscribe("alarm/", onAlarm, MY_DEVICES);
          Particle.publish("started", "v" "3", PRIVATE);
        }
        void loop() {
          turns++;
          report(temperature);
          delay(PERIOD);
        }
    """
    assert image_of(source) == Image(
        product_version=3,
        variables=(
            Variable("temp", "double", 21.5),
            Variable("turns", "int", 0, step=1.0, every_s=10.0),
            Variable("lamp", "bool", False),
            Variable("greeting", "string", "hello"),
            Variable("city", "string", "Berlin"),
        ),
        functions=(
            Function("lamp", {"on": 1, "off": 0}, -1, into="lamp"),
            Function("echo", otherwise=None, into="greeting"),
        ),
        events=(
            Event("started", (Piece("v3"),)),
            Event("temperature", (Piece('{"t":', "temp"), Piece("}")), 10.0),
        ),
        subscriptions=(Subscription("alarm/", into="greeting"),),
    )


@pytest.mark.parametrize(
    ("declaration", "type_", "value"),
    [
        ("int x = 5;", "int", 5),
        ("int a = 1, x = 2;", "int", 2),
        ("int x;", "int", 0),
        ("const int FIVE = 5; int x = FIVE * 2 + 1;", "int", 11),
        ("#define N (2 << 3)\nint x = N;", "int", 16),
        ("static volatile uint32_t x = 0xFF;", "int", 255),
        ("unsigned long x = 4294967295UL;", "int", -1),
        ("int x{7};", "int", 7),
        ("int x(7);", "int", 7),
        ("byte x = 'A';", "int", 65),
        ("time_t x = 1'000'000;", "int", 1_000_000),
        ("float x = 1.5f;", "double", 1.5),
        ("double x = -3;", "double", -3.0),
        ("double x = 7 / 2;", "double", 3.0),
        ("double x = 7 / 2.0;", "double", 3.5),
        ("double x = (float) 1 / 4;", "double", 0.25),
        ("bool x = true;", "bool", True),
        ("bool x = 3 > 2 && !false;", "bool", True),
        ("retained bool x;", "bool", False),
        ('String x = "a" "b";', "string", "ab"),
        ('String x("ab");', "string", "ab"),
        ('String x = String("n") + 5;', "string", "n5"),
        ('const char *x = "tab\\there";', "string", "tab\there"),
        ('char x[20] = "ab";', "string", "ab"),
        ('std::string x = "ab";', "string", "ab"),
        ('const char *x = R"(a"\\n)";', "string", 'a"\\n'),
        ('const char *x = "ä\\u00e4\\x41";', "string", "ääA"),
        ("int x = PLATFORM_ID == PLATFORM_ARGON ? 1 : 2;", "int", 1),
    ],
)
def test_a_variable_has_the_type_and_the_value_of_its_declaration(
    declaration: str, type_: str, value: object
) -> None:
    (variable,) = image_of(in_setup('Particle.variable("v", x);', declaration)).variables
    assert (variable.name, variable.type, variable.value) == ("v", type_, value)


@pytest.mark.parametrize(
    ("argument", "before", "value"),
    [
        ("get", "double get() { return 1.5; }", 1.5),
        ("[]() { return 7; }", "", 7),
        ("state.level", "struct State { int level = 4; }; State state;", 4),
        ("&x", "int x = 3;", 3),
    ],
)
def test_variables_are_calculated_members_and_addresses_too(
    argument: str, before: str, value: object
) -> None:
    (variable,) = image_of(in_setup(f'Particle.variable("v", {argument});', before)).variables
    assert variable.value == value


@pytest.mark.parametrize(
    ("body", "results", "otherwise"),
    [
        ("return 42;", {}, 42),
        ("return -1;", {}, -1),
        ("", {}, 0),
        ("return arg.length();", {}, None),
        ("return strlen(arg);", {}, None),
        ('if (arg == "a" || arg == "b") return 1; return 0;', {"a": 1, "b": 1}, 0),
        ('if (arg.equalsIgnoreCase("a")) { return 1; } else { return 2; }', {"a": 1}, 2),
        ('if (!strcmp(arg, "a")) return 1; return 0;', {"a": 1}, 0),
        ('if (strcmp(arg, "a") == 0) return 1; return 0;', {"a": 1}, 0),
        ("if (arg.toInt() == 5) return 1; return 0;", {"5": 1}, 0),
        ("if (NAME == arg) { return HIGH; } return LOW;", {"n": 1}, 0),
        ("WITH_LOCK(Serial) { return 3; }", {}, 3),
    ],
)
def test_a_function_returns_what_its_source_says(
    body: str, results: dict[str, int], otherwise: int | None
) -> None:
    handler = f'const String NAME = "n";\nint call(String arg) {{ {body} }}'
    (function,) = image_of(in_setup('Particle.function("call", call);', handler)).functions
    assert (function.results, function.otherwise) == (results, otherwise)


def test_functions_without_a_name_are_read_too() -> None:
    code = """
        Particle.function("lamp", [](String arg) { if (arg == "on") return 1; return 0; });
        Particle.subscribe("mood", [](const char *event, const char *data) { mode = data; });
        Particle.variable("mode", mode);
    """
    before = 'String mode = "calm";\nTimer timer(3s, []() { Particle.publish("tick"); });'
    image = image_of(in_setup(code, before))
    assert image.functions == (Function("lamp", {"on": 1}, 0),)
    assert image.subscriptions == (Subscription("mood", into="mode"),)
    assert image.events == (Event("tick", (), 3.0),)


@pytest.mark.parametrize(
    ("type_", "body", "into"),
    [
        ("int", "level = arg.toInt(); return 1;", "level"),
        ("int", "int wanted = atoi(arg); level = wanted; return 1;", "level"),
        ("String", "this->level = String(arg); return 1;", "level"),
        ("bool", 'level = (arg == "on"); return 1;', "level"),
        ("bool", 'if (arg == "on") level = true; return 1;', "level"),
        ("bool", 'if (arg == "open") level = true; return 1;', None),
        ("int", "level = arg.toInt() * 2; return 1;", None),
        ("int", "int level = arg.toInt(); return 1;", None),
    ],
)
def test_a_variable_follows_the_argument_where_it_is_set_to_it(
    type_: str, body: str, into: str | None
) -> None:
    before = f"{type_} level;\nint call(String arg) {{ {body} }}"
    code = 'Particle.variable("level", level); Particle.function("call", call);'
    (function,) = image_of(in_setup(code, before)).functions
    assert function.into == into


def test_functions_are_found_before_their_use_in_classes_and_in_other_files() -> None:
    source = """
        #include "lamp.h"
        Lamp lamp;
        void setup() {
          Particle.function("late", late);
          Particle.function("method", &Lamp::set, &lamp);
        }
        void loop() {}
        int late(String arg) { return 8; }
    """
    header = "#pragma once\nclass Lamp { public: Lamp() : n(0) {} int set(String a) { return 9; }\n"
    functions = image_of(source, lamp=header + "private: int n; };\n").functions
    assert [(one.name, one.otherwise) for one in functions] == [("late", 8), ("method", 9)]


@pytest.mark.parametrize(
    ("code", "interval_s"),
    [
        ('Particle.publish("e"); delay(2500);', 2.5),
        ('Particle.publish("e"); delay(1min);', 60.0),
        ('Particle.publish("e"); delay(PAUSE);', 7.0),
        ('Particle.publish("e"); delay(HALF);', 0.5),
        ('Particle.publish("e"); delay(std::chrono::seconds(3));', 3.0),
        ('Particle.publish("e"); delay(500); work(); delay(500);', 1.0),
        ('if (millis() - last >= 10 * 1000) { last = millis(); Particle.publish("e"); }', 10.0),
        ('if (millis() > last + 5000UL) { Particle.publish("e"); }', 5.0),
        ('if (Particle.connected() && millis() - last > EVERY) Particle.publish("e");', 30.0),
        ('if (Time.now() - last > 60) Particle.publish("e");', 60.0),
        ('while (true) { Particle.publish("e"); delay(4000); }', 4.0),
        ('if (millis() - last > 100) { Particle.publish("e"); } delay(1000);', 1.0),
        ("if (!Particle.connected()) { Particle.connect(); } else { tell(); } delay(2s);", 2.0),
    ],
)
def test_the_interval_of_an_event_is_that_of_its_loop(code: str, interval_s: float) -> None:
    before = "unsigned long last; const auto work = 1;\nconst unsigned long EVERY = 30000;"
    before += "\nconst auto PAUSE = 7s; const std::chrono::milliseconds HALF = 500ms;"
    if "tell" in code:
        before += '\nvoid tell() { Particle.publish("e"); }'
    (event,) = image_of(in_loop(code, before)).events
    assert (event.name, event.interval_s) == ("e", interval_s)


def test_timers_publish_at_their_period() -> None:
    before = 'void tick() { Particle.publish("tick"); }\nTimer timer(2000, tick);'
    (event,) = image_of(in_setup("timer.start();", before)).events
    assert event == Event("tick", (), 2.0)


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ('Particle.publish("e", "text");', (Piece("text"),)),
        ('Particle.publish("e", PRIVATE);', ()),
        ('Particle.publish("e", String(x), 60, PRIVATE);', (Piece("", "x"),)),
        ('Particle.publish("e", "x is " + String(x) + "!");', (Piece("x is ", "x"), Piece("!"))),
        ('Particle.publish("e", String::format("%d%%", 5));', (Piece("5%"),)),
        ('String s = "a"; s += x; Particle.publish("e", s);', (Piece("a", "x"),)),
        (
            'char b[9]; snprintf(b, sizeof(b), "n=%d", x); Particle.publish("e", b);',
            (Piece("n=", "x"),),
        ),
        ('Particle.publish("e", String(hidden));', (Piece("8"),)),
        ('Particle.publish("e", String(1.0 / 3));', (Piece("0.33"),)),
    ],
)
def test_the_data_of_an_event_are_text_and_variables(code: str, data: tuple[Piece, ...]) -> None:
    source = in_setup('Particle.variable("x", x); ' + code, "int x = 1; int hidden = 8;")
    (event,) = image_of(source).events
    assert event.data == data


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ('if (digitalRead(D0)) Particle.publish("e");', "whether and when event 'e'"),
        ('for (int i = 0; i < 3; i++) { Particle.publish("e"); }', "whether and when event 'e'"),
        ('Particle.publish("e");', "loop() has no delay() with a number: once a second"),
        ('Particle.publish("e", analogRead(A0)); delay(1s);', "'analogRead(A0)', cannot be read"),
        ("Particle.publish(name()); delay(1s);", "the name 'name()' of Particle.publish()"),
    ],
)
def test_what_cannot_be_read_is_said(code: str, said: str) -> None:
    reading = read(in_loop(code))
    assert reading.is_sound
    (message,) = reading.messages
    assert message.startswith("app.ino:")
    assert said in message


def test_what_a_handler_publishes_is_said_to_be_left_out() -> None:
    before = 'int call(String arg) { Particle.publish("called"); return 1; }'
    reading = read(in_setup('Particle.function("call", call);', before))
    assert reading.image is not None
    assert reading.image.events == ()
    assert reading.messages == (
        "app.ino:1:33: warning: Particle.publish() is not reached from setup() or loop(), as far"
        " as can be read: left out",
    )


def test_a_place_is_file_line_and_column() -> None:
    source = 'void setup() {\n\n  if (x()) Particle.publish("e");\n}\nvoid loop() {}\n'
    (message,) = read(source).messages
    assert message.startswith("app.ino:3:21: warning: ")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("int x;", "app.ino:1:1: error: undefined reference to 'setup()' and 'loop()'"),
        ("void setup() {\nvoid loop() {}\n", "2:14: error: expected '}' at end of input"),
        (MAIN + "}", "3:1: error: expected declaration before '}' token"),
        ("void setup() { f(1]; }", "error: expected ')' before ']' token"),
        ("void setup() { /* }", "1:16: error: unterminated comment"),
        ('void setup() { f("a); }', '1:18: error: missing terminating " character'),
        ("void setup() { f(); } @", "stray '@' in program"),
        ("void setup() {\n  f()\n}\n", "2:5: error: expected ';' before '}' token"),
        ("void setup() {\n  f(1)\n  g();\n}\n", "2:6: error: expected ';' before 'g'"),
        ("void setup() {\n  x = 1\n  return;\n}\n", "2:7: error: expected ';' before 'return'"),
        ("int x = 1\n" + MAIN, "1:9: error: expected ',' or ';' before 'void'"),
        ("void setup() { else {} }", "'else' without a previous 'if'"),
        ("void setup() { if x {} }", "expected '(' before 'x'"),
        ("#if 1\n" + MAIN, "1:2: error: unterminated #if"),
        ("#endif\n" + MAIN, "#endif without #if"),
        ("#error No.\n" + MAIN, "1:2: error: #error No ."),
        (MAIN + MAIN, "3:6: error: redefinition of 'setup', defined at app.ino:1"),
        (in_setup('Particle.function("f", nothing);'), "'nothing' was not declared in this scope"),
        (in_setup('Particle.variable("v", nothing);'), "'nothing' was not declared in this scope"),
        (in_setup(f'Particle.function("{"n" * 65}", f);', "int f(String s) { return 1; }"),
         "has 65 bytes: 1 to 64"),
        (in_setup('Particle.publish("");'), "has 0 bytes"),
        ("PRODUCT_VERSION(65535);\n" + MAIN, "PRODUCT_VERSION(65535) is no whole number from 1"),
        ("PRODUCT_VERSION(x);\n" + MAIN, "PRODUCT_VERSION(x) is no whole number"),
    ],
)  # fmt: skip
def test_an_error_looks_like_a_compiler_s(source: str, said: str) -> None:
    reading = read(source)
    assert not reading.is_sound
    assert reading.image is None
    errors = [message for message in reading.messages if ": error: " in message]
    assert any(said in message for message in errors), reading.messages


def test_conditions_of_the_platform_are_followed() -> None:
    source = """
        #if PLATFORM_ID == PLATFORM_ARGON && defined(PARTICLE)
        PRODUCT_VERSION(2);
        #elif 1
        #error Not here.
        #else
        PRODUCT_VERSION(4);
        #endif
        #ifndef NAME
        # define NAME "lamp"
        #endif
        #undef OTHER
        void setup() { Particle.variable(NAME, x); }
        void loop() {}
        int x = SYSTEM_LIMIT \\
              + 1;
        #define SYSTEM_LIMIT 5
    """
    reading = read(source)
    assert reading.image is not None
    assert reading.image.product_version == 2
    assert reading.image.variables == (Variable("lamp", "int", 0),)


def test_the_product_s_id_is_read() -> None:
    assert read("PRODUCT_ID(1234)\nPRODUCT_VERSION(1)\n" + MAIN).product_id == 1234
    assert read("PRODUCT_ID(PLATFORM_ID);\n" + MAIN).product_id == 12
    assert read(MAIN).product_id is None


def test_what_a_library_does_wrong_is_a_warning() -> None:
    files = {"src/app.cpp": MAIN.encode(), "lib/bad/src/bad.cpp": b"int f( {"}
    reading = read_project(files)
    assert reading.is_sound
    (message,) = reading.messages
    assert message.startswith("lib/bad/src/bad.cpp:1:")


def test_examples_and_tests_of_a_library_are_not_compiled() -> None:
    files = {
        "src/app.cpp": MAIN.encode(),
        "lib/lamp/src/lamp.cpp": b"int lamp;",
        "lib/lamp/examples/a/a.ino": MAIN.encode(),
        "lib/lamp/test/main.cpp": b"}",
    }
    assert read_project(files).messages == ()


@pytest.mark.parametrize(
    "code",
    [
        "struct A { A() : a{1}, b(2), c{3} {} int a; int b; int c; };",
        "struct A { operator bool() const; operator double() const; };",
        "template <class T> T f() { return T(); }\ntemplate <class T> T f() { return 1; }",
        "struct A { int at(int i) { return i; } int at(int i) const { return i; } };",
        "NAMESPACE_BEGIN\nint x;\nNAMESPACE_END\n",
        "void f() { goto end; end: return; }",
        "void f() { CHECK(1)\n CHECK(2) }",
        "__attribute__((weak)) void f() {}\n__attribute__((weak)) void g() {}",
        "void f() { " + "if (a) {} else " * 140 + "{} }",
        "void f() { int a[] = {1, 2}; auto g = [&](int x) { return x; }; switch (a[0]) { case 1:\n"
        "  f(); break; default: break; } do { f(); } while (0); }",
        'extern "C" { void f(); }\nnamespace a { namespace b { int x = 1; } }',
        "enum class Color { red, green }; Color c = Color::red; typedef int number; using n = int;",
        'static const struct { int a; const char *b; } TABLE[] = {{1, "a"}, {2, "b"}};',
        "unsigned long long int x = 5; std::map<String, std::vector<int>> m; int f(int (*g)(int));",
        "void f() { if (int x = 1; x) {} for (auto &&y : m) f(); while (x--) ; }",
        "class A : public B { public: virtual ~A() = default; int f() override; private: int x; };",
    ],
)
def test_what_a_compiler_takes_is_taken(code: str) -> None:
    assert read(code + "\n" + MAIN).messages == ()


def test_other_files_of_a_project_are_no_sources() -> None:
    files = {"src/app.cpp": MAIN.encode(), "project.properties": b"name=}{", "build.mk": b"}{"}
    assert read_project(files).messages == ()
    assert "there is no source" in read_project({"project.properties": b"name=x"}).messages[0]


def test_more_than_a_device_has_room_for_is_said() -> None:
    many = "".join(f'Particle.subscribe("s{n}", h);' for n in range(5))
    reading = read(in_setup(many, "void h(const char *e, const char *d) {}"))
    assert reading.image is not None
    assert len(reading.image.subscriptions) == 4
    assert "more than 4 subscriptions" in reading.messages[0]
    many = "".join(f'Particle.variable("v{n}", x);' for n in range(101))
    assert "101 variables" in read(in_setup(many, "int x;")).messages[0]
