"""The console's cookies, and the tokens of its forms."""

import pytest
from starlette.requests import Request

from cyan.console.cookies import MAX_NOTE_CHARACTERS, Jar
from cyan.console.visit import safe_next

SECRET = "0123456789abcdef0123456789abcdef01234567"


def jar(cookie: str = "", scheme: str = "http", host: str = "cyan.test") -> Jar:
    headers = [(b"host", host.encode())] + ([(b"cookie", cookie.encode())] if cookie else [])
    return Jar(
        Request(
            {
                "type": "http",
                "method": "GET",
                "scheme": scheme,
                "server": ("cyan.test", 443),
                "path": "/console",
                "query_string": b"",
                "headers": headers,
            }
        )
    )


def lines(one: Jar) -> list[str]:
    return [value.decode() for _, value in one.headers()]


def test_a_session_is_not_for_scripts_nor_for_other_sites() -> None:
    made = jar()
    made.begin(SECRET)
    (line,) = lines(made)
    assert line.startswith(f"cyan-session={SECRET};")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(line.split("; "))
    assert "Secure" not in line
    assert "Domain" not in line


def test_over_https_it_is_sent_over_https_only_and_no_neighbour_can_set_it() -> None:
    made = jar(scheme="https")
    made.begin(SECRET)
    (line,) = lines(made)
    assert line.startswith(f"__Host-cyan-session={SECRET};")
    assert "Secure" in line.split("; ")
    assert jar(f"cyan-session={SECRET}", "https").secret is None
    assert jar(f"__Host-cyan-session={SECRET}", "https").secret == SECRET


def test_two_servers_on_one_machine_have_cookies_of_their_own() -> None:
    here = jar(host="127.0.0.1:8080")
    here.begin(SECRET)
    (line,) = lines(here)
    sent = line.partition(";")[0]
    assert sent == f"cyan-session-8080={SECRET}"
    assert jar(sent, host="127.0.0.1:8080").secret == SECRET
    assert jar(sent, host="127.0.0.1:8180").secret is None
    assert jar(sent, host="[::1]:8080").secret == SECRET
    assert jar(f"__Host-{sent}", "https", "cyan.test:8080").secret == SECRET
    here.leave_note("Only here.")
    note = lines(here)[1].partition(";")[0]
    assert jar(note, host="127.0.0.1:8180").take_note() is None


def test_who_signed_in_when_names_had_no_port_stays_so_until_signing_out() -> None:
    old = jar(f"cyan-session={SECRET}", host="127.0.0.1:8080")
    assert old.secret == SECRET
    old.end()
    ended = [line.partition(";")[0] for line in lines(old)]
    assert ended == ['cyan-session-8080=""', 'cyan-session=""']
    # The server beside it has its own again: what it is not asked for it leaves alone.
    both = jar(f"cyan-session={'f' * 40}; cyan-session-8080={SECRET}", host="127.0.0.1:8080")
    assert both.secret == SECRET
    both.end()
    assert [line.partition(";")[0] for line in lines(both)] == ['cyan-session-8080=""']


@pytest.mark.parametrize("value", ["", "x" * 40, SECRET[:-1], SECRET + "0", SECRET.upper()])
def test_what_does_not_look_like_a_secret_is_none(value: str) -> None:
    assert jar(f"cyan-session={value}").secret is None


def test_the_token_of_a_form_belongs_to_one_session() -> None:
    mine, other = jar(f"cyan-session={SECRET}"), jar(f"cyan-session={'f' * 40}")
    assert mine.is_csrf_token(mine.csrf_token)
    assert not mine.is_csrf_token(other.csrf_token)
    assert not mine.is_csrf_token("")
    assert SECRET not in mine.csrf_token


def test_who_is_not_signed_in_has_a_token_by_a_cookie_of_its_own() -> None:
    first = jar()
    assert not first.is_csrf_token("0" * 64)
    token = first.csrf_token
    (line,) = lines(first)
    again = jar(line.partition(";")[0])
    assert again.is_csrf_token(token)
    assert again.headers() == []
    assert not jar().is_csrf_token(token)


def test_a_note_is_shown_once() -> None:
    leaving = jar()
    leaving.leave_note("Gespeichert: ä, 灯, <b>")
    reading = jar(lines(leaving)[0].partition(";")[0])
    assert reading.take_note() == "Gespeichert: ä, 灯, <b>"
    assert "Max-Age=0" in lines(reading)[0]
    assert jar().take_note() is None


@pytest.mark.parametrize("value", ["*", "____", "////", "A" * 5000])
def test_a_note_that_was_made_up_does_no_harm(value: str) -> None:
    note = jar(f"cyan-note={value}").take_note()
    assert note is None or len(note) <= MAX_NOTE_CHARACTERS


def test_a_theme_is_light_or_dark() -> None:
    assert jar("cyan-theme=dark").theme == "dark"
    assert jar("cyan-theme=%3Cscript%3E").theme == ""
    assert jar().theme == ""


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.example",
        "//evil.example",
        "/console\\evil",
        "/console/\\evil.example",
        "/consolement",
        "/v1/user",
        "javascript:alert(1)",
        "/console/\nset-cookie: a=b",
        "",
        None,
    ],
)
def test_after_signing_in_nobody_is_led_elsewhere(text: str | None) -> None:
    assert safe_next(text) == "/console"


def test_after_signing_in_one_is_led_on_within_the_console() -> None:
    assert safe_next("/console/devices?q=a&sort=-name") == "/console/devices?q=a&sort=-name"
    assert safe_next("/console/devices/مصباح").isascii()
