"""Mail: as files, by SMTP to a server of our own on loopback, and the outbox before both."""

import asyncio
import email
import email.policy
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import pytest
from structlog.testing import capture_logs

from cyan.core import mail as module
from cyan.core.config import Config
from cyan.core.mail import FolderMailer, MailRefusedError, Outbox, SmtpMailer, mailer_of
from cyan.core.ports import Mail
from tests.clock import HandClock
from tests.rest.certificates import trusting, write_certificate

MAIL = Mail("ada@example.com", "Grüße", "Your code:\n\n    0123\n", "reset")
SENDER = "Cyan <cyan@example.com>"


def read(content: bytes) -> EmailMessage:
    return email.message_from_bytes(content, policy=email.policy.default)


@dataclass(slots=True)
class SmtpServer:
    """Enough of RFC 5321 to take a mail; `offers` are its extensions."""

    offers: tuple[str, ...] = ()
    port: int = 0
    lines: list[str] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)
    refusals: int = 0
    """So many mails are put off first."""
    answers: dict[str, str] = field(default_factory=dict)
    """What it says to a verb in place of its usual answer."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(line: str) -> None:
            writer.write(line.encode() + b"\r\n")
            await writer.drain()

        await say("220 test")
        while line := (await reader.readline()).decode().strip():
            self.lines.append(line)
            verb = line.split()[0].upper()
            if verb == "EHLO":
                for word in ("test", *self.offers):
                    await say(f"250-{word}")
                await say("250 HELP")
            elif verb in self.answers:
                for answer in self.answers[verb].splitlines():
                    await say(answer)
            elif verb == "AUTH":
                await say("235 fine")
            elif verb == "MAIL" and self.refusals:
                self.refusals -= 1
                await say("451 later")
            elif verb == "DATA":
                await say("354 go on")
                content = await reader.readuntil(b"\r\n.\r\n")
                self.mails.append(content[:-3])
                await say("250 taken")
            else:
                await say("221 bye" if verb == "QUIT" else "250 fine")
                if verb == "QUIT":
                    break
        writer.close()


Start = Callable[..., Awaitable[SmtpServer]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    servers: list[asyncio.Server] = []

    async def listen(server: SmtpServer, tls: ssl.SSLContext | None = None) -> SmtpServer:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
        servers.append(listening)
        server.port = listening.sockets[0].getsockname()[1]
        return server

    yield listen
    for listening in servers:
        listening.close()
        await listening.wait_closed()


def smtp(
    server: SmtpServer,
    clock: HandClock,
    security: str,
    username: str = "",
    password: str = "",
    tls: ssl.SSLContext | None = None,
) -> SmtpMailer:
    return SmtpMailer(
        "127.0.0.1",
        server.port,
        SENDER,
        clock,
        security=security,
        username=username,
        password=password,
        tls=tls,
    )


async def test_without_a_mail_server_mails_are_files_for_the_owner_only(
    tmp_path: Path, clock: HandClock
) -> None:
    mailer = mailer_of(Config(data=tmp_path, mail_from=SENDER), clock)
    await mailer.send(MAIL)
    (file,) = (tmp_path / "mail").iterdir()
    assert file.suffix == ".eml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    message = read(file.read_bytes())
    assert (message["To"], message["From"], message["Subject"]) == (MAIL.to, SENDER, MAIL.subject)
    assert message.get_content() == MAIL.text
    assert message["Message-ID"].endswith("@example.com>")


async def test_so_many_files_are_kept(
    tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 3)
    mailer = FolderMailer(tmp_path / "mail", SENDER, clock)
    for number in range(5):
        await mailer.send(Mail("ada@example.com", str(number), "", "reset"))
    subjects = [
        read(path.read_bytes())["Subject"] for path in sorted((tmp_path / "mail").iterdir())
    ]
    assert subjects == ["2", "3", "4"]


async def test_a_mail_server_on_this_machine_takes_a_mail(start: Start, clock: HandClock) -> None:
    server = await start(SmtpServer())
    config = Config(smtp_host="127.0.0.1", smtp_port=server.port, smtp_security="none")
    await mailer_of(config, clock).send(MAIL)
    (content,) = server.mails
    assert read(content)["Subject"] == MAIL.subject
    assert read(content).get_content().split() == MAIL.text.split()
    assert "RCPT TO:<ada@example.com>" in server.lines


async def test_nothing_is_said_in_clear_to_a_server_without_starttls(
    start: Start, clock: HandClock
) -> None:
    server = await start(SmtpServer())
    with pytest.raises(aiosmtplib.SMTPException):
        await smtp(server, clock, "starttls", username="cyan", password="secret").send(MAIL)
    assert server.mails == []
    assert not any(line.startswith(("AUTH", "MAIL")) for line in server.lines)


async def test_the_login_of_the_mail_server_is_used_over_tls(
    start: Start, clock: HandClock, tmp_path: Path
) -> None:
    file = tmp_path / "mail.pem"
    write_certificate(file, file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server = await start(SmtpServer(offers=("AUTH PLAIN",)), context)
    mailer = smtp(server, clock, "tls", "cyan", "secret", trusting(file))
    await mailer.send(MAIL)
    assert any(line.startswith("AUTH PLAIN") for line in server.lines)
    assert len(server.mails) == 1


async def test_a_mail_server_that_nobody_vouches_for_gets_nothing(
    start: Start, clock: HandClock, tmp_path: Path
) -> None:
    file = tmp_path / "mail.pem"
    write_certificate(file, file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server = await start(SmtpServer(), context)
    with pytest.raises((aiosmtplib.SMTPException, ssl.SSLError)):
        await smtp(server, clock, "tls").send(MAIL)
    assert server.lines == []


async def test_a_mail_that_is_put_off_is_tried_again(
    start: Start, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_AFTER_S", (0.0, 0.0))
    server = await start(SmtpServer(refusals=2))
    outbox = Outbox(smtp(server, clock, "none"))
    outbox.post(MAIL)
    await outbox.drain()
    assert len(server.mails) == 1


async def test_a_mail_that_cannot_be_sent_is_given_up_and_the_next_one_goes(
    start: Start, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_AFTER_S", (0.0, 0.0))
    server = await start(SmtpServer(refusals=3))
    outbox = Outbox(smtp(server, clock, "none"))
    outbox.post(MAIL)
    outbox.post(Mail("ben@example.com", "next", "", "reset"))
    await outbox.drain()
    assert [read(content)["Subject"] for content in server.mails] == ["next"]


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
async def test_a_mail_that_is_refused_for_good_is_not_tried_again_and_the_log_says_why(
    start: Start, clock: HandClock, verb: str
) -> None:
    server = await start(SmtpServer(answers={verb: "550-No such\r\n550 mailbox"}))
    outbox = Outbox(smtp(server, clock, "none"))
    outbox.post(MAIL)
    with capture_logs() as logs:
        await outbox.drain()
    assert [(line["event"], line["kind"], line["again_in_s"]) for line in logs] == [
        ("mail.failed", "reset", None)
    ]
    assert logs[0]["reason"] == "the mail server refused it for good: 550 No such mailbox"
    assert sum(line.startswith(verb) for line in server.lines) == 1


async def test_a_wrong_login_at_the_mail_server_is_not_tried_again(
    start: Start, clock: HandClock, tmp_path: Path
) -> None:
    file = tmp_path / "mail.pem"
    write_certificate(file, file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    offers = SmtpServer(offers=("AUTH PLAIN",), answers={"AUTH": "535 who are you"})
    server = await start(offers, context)
    outbox = Outbox(smtp(server, clock, "tls", "cyan", "secret", trusting(file)))
    outbox.post(MAIL)
    with capture_logs() as logs:
        await outbox.drain()
    assert [line["reason"] for line in logs] == [
        "the mail server refused it for good: 535 who are you"
    ]


@pytest.mark.parametrize(
    ("verb", "answer"), [("RCPT", "450 greylisted"), ("MAIL", "421 shutting down")]
)
async def test_a_mail_that_is_put_off_each_time_is_given_up_after_three(
    start: Start, clock: HandClock, monkeypatch: pytest.MonkeyPatch, verb: str, answer: str
) -> None:
    monkeypatch.setattr(module, "RETRY_AFTER_S", (0.0, 0.0))
    server = await start(SmtpServer(answers={verb: answer}))
    outbox = Outbox(smtp(server, clock, "none"))
    outbox.post(MAIL)
    with capture_logs() as logs:
        await outbox.drain()
    assert [line["again_in_s"] for line in logs] == [0.0, 0.0, None]
    assert logs[0]["reason"] == f"the mail server refused it for now: {answer}"


async def test_what_a_mail_server_says_has_no_control_characters(
    start: Start, clock: HandClock
) -> None:
    server = await start(SmtpServer(answers={"RCPT": "550 \x1b[2Jyou"}))
    with pytest.raises(MailRefusedError) as refused:
        await smtp(server, clock, "none").send(MAIL)
    assert refused.value.message.isprintable()


async def test_what_is_too_much_for_the_outbox_is_left_out(
    tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    outbox = Outbox(FolderMailer(tmp_path / "mail", SENDER, clock))
    for _ in range(4):
        outbox.post(MAIL)
    await outbox.drain()
    assert len(list((tmp_path / "mail").iterdir())) == 2


async def test_the_outbox_works_while_it_runs(tmp_path: Path, clock: HandClock) -> None:
    sent = asyncio.Event()

    async def job() -> None:
        sent.set()

    outbox = Outbox(FolderMailer(tmp_path / "mail", SENDER, clock))
    running = asyncio.create_task(outbox.run())
    outbox.put(job)
    async with asyncio.timeout(10):
        await sent.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_the_password_of_the_mail_server_is_not_in_the_repr_of_the_settings() -> None:
    assert "hush" not in repr(Config(smtp_password="hush"))
