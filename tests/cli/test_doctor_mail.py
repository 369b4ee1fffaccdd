"""What the doctor says of a mail server: it goes there as for a mail, and sends none."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cyan.cli.doctoring import mailing
from cyan.cli.doctoring.finding import Finding
from cyan.cli.doctoring.installation import look_at
from cyan.core.clock import SystemClock
from cyan.core.config import Config
from tests.cli.doctor import doctor, found_by, installation
from tests.core.test_mail import SmtpServer
from tests.ports import free_port
from tests.rest.certificates import write_certificate
from tests.system.processes import migrated

LOGIN = {"smtp_username": "cloud", "smtp_password": "right"}


class SilentServer(SmtpServer):
    """Takes connections and says nothing."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()


class LeavingServer(SmtpServer):
    """Greets and goes."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        await reader.readline()
        writer.close()


@contextmanager
def listening(server: SmtpServer, tls: ssl.SSLContext | None = None) -> Iterator[SmtpServer]:
    """The mail server in a thread of its own: the doctor has a loop of its own."""
    ready, ending = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.serve(reader, writer)
        with suppress(OSError):  # TLS that the other side did not end in order
            await writer.wait_closed()

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with await asyncio.start_server(visit, "127.0.0.1", 0, ssl=tls) as door:
            server.port = door.sockets[0].getsockname()[1]
            ready.set()
            await ending.wait()
        visits = asyncio.all_tasks() - {asyncio.current_task()}
        if visits:
            _, open_still = await asyncio.wait(visits, timeout=30)
            assert not open_still, "the doctor has closed what it opened"
        await asyncio.sleep(0.1)  # a handshake that failed ends without a visit

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(30)
        yield server
    finally:
        loops[0].call_soon_threadsafe(ending.set)
        thread.join()


def found_of(data: Path, port: int, security: str = "none", **settings: str) -> Finding:
    chosen = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": security, **settings}
    place = look_at(Config(data=data, **chosen), SystemClock(), ())  # type: ignore[arg-type]
    return found_by(mailing.check_mail_server, place)["mail.server"]


def served_by_tls(folder: Path) -> tuple[Path, ssl.SSLContext]:
    file = folder / "mail.pem"
    write_certificate(file, file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return file, context


def test_a_mail_server_that_is_well_gets_no_mail(tmp_path: Path) -> None:
    with listening(SmtpServer()) as server:
        found = found_of(tmp_path, server.port, mail_from="Cyan <cyan@example.com>")
    assert found.level.value == "ok"
    verbs = [line.split()[0] for line in server.lines]
    assert verbs == ["EHLO", "MAIL", "RSET", "QUIT"]
    assert "FROM:<cyan@example.com>" in server.lines[1]
    assert server.mails == []


def test_without_a_mail_server_there_is_nothing_to_ask(tmp_path: Path) -> None:
    assert found_by(mailing.check_mail_server, installation(tmp_path)) == {}


@pytest.mark.parametrize(
    ("answers", "words", "step"),
    [
        ({"AUTH": "535 who are you"}, "535 who are you", "CYAN_SMTP_PASSWORD"),
        ({"MAIL": "553 not your address"}, "553 not your address", "mail_from"),
        ({"MAIL": "530 log in first"}, "530 log in first", "smtp_username"),
        ({"MAIL": "451 later"}, "451 later", "later"),
    ],
)
def test_what_a_mail_server_refuses_has_its_words_and_the_setting(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answers: dict[str, str],
    words: str,
    step: str,
) -> None:
    file, context = served_by_tls(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with listening(SmtpServer(offers=("AUTH PLAIN",), answers=answers), context) as server:
        found = found_of(tmp_path, server.port, "tls", **LOGIN)
    assert found.level.value == "problem"
    assert words in found.found
    assert step in str(found.next_step)


def test_a_certificate_that_nobody_vouches_for_names_what_helps(tmp_path: Path) -> None:
    _, context = served_by_tls(tmp_path)
    with listening(SmtpServer(), context) as server:
        found = found_of(tmp_path, server.port, "tls")
    assert found.level.value == "problem"
    assert "SSL_CERT_FILE" in str(found.next_step)


@pytest.mark.parametrize(
    ("security", "make"),
    [("starttls", SmtpServer), ("tls", SmtpServer), ("none", LeavingServer)],
)
def test_settings_that_do_not_fit_the_server_are_a_problem(
    tmp_path: Path, security: str, make: Callable[[], SmtpServer]
) -> None:
    with listening(make()) as server:
        found = found_of(tmp_path, server.port, security)
    assert found.level.value == "problem"
    assert "smtp_security" in str(found.next_step)


def test_a_mail_server_that_says_nothing_does_not_hold_up_the_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailing, "PATIENCE_S", 0.2)
    with listening(SilentServer()) as server:
        found = found_of(tmp_path, server.port)
    assert found.level.value == "warning"
    assert "did not get ready" in found.found


def test_the_command_tells_that_nobody_listens_there(tmp_path: Path) -> None:
    settings = {"CYAN_SMTP_HOST": "127.0.0.1", "CYAN_SMTP_PORT": str(free_port(socket.SOCK_STREAM))}
    said = doctor(migrated(tmp_path / "data"), "--no-self-test", settings=settings)
    assert said.problems == ["mail.server"]
    assert said.one("mail.server")["group"] == "mail"
