"""Mail to people: into a folder, or by SMTP; sent apart, so that nobody waits for it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from pathlib import Path
from typing import Final

import aiosmtplib
import structlog

from cyan.core.clock import Clock
from cyan.core.config import Config
from cyan.core.errors import CyanError
from cyan.core.log import redact
from cyan.core.ports import Mail, Mailer
from cyan.core.secrets import write_private

FOLDER: Final = "mail"
"""In the data folder; a file for each mail."""

MAX_FILES: Final = 1000
"""Mails in the folder; the oldest give way."""

SMTP_TIMEOUT_S: Final = 60.0
"""For each answer of a mail server before it gets a mail. Some let who comes wait for half a
minute, to be rid of those in a hurry."""

TAKING_TIMEOUT_S: Final = 600.0
"""For each answer about a mail itself (RFC 5321 §4.5.3.2.6). A server may look at it for long
before it says that it has it; who gives up before hands it over again, and it comes twice."""

MAX_WAITING: Final = 200
"""Jobs that wait to be done; more are left out, with a line in the log."""

RETRY_AFTER_S: Final = (5.0, 60.0)
"""Waits before a mail is tried again, and then no more: codes that come an hour late are of no
use."""

WORKERS: Final = 4
"""Jobs at a time, so that one slow mail server does not hold up all mails."""

PERMANENT_CODES: Final = range(500, 600)
"""Of a mail server that says no for good: the same again would get the same answer (RFC 5321,
4.2.1). With 4xx it says no for now."""

Job = Callable[[], Awaitable[None]]

_log = structlog.get_logger(__name__)


class MailRefusedError(CyanError):
    """The mail server said no.

    `is_permanent` tells whether for good.
    """

    def __init__(self, code: int, answer: str) -> None:
        self.is_permanent = code in PERMANENT_CODES
        kind = "for good" if self.is_permanent else "for now"
        # The words are the peer's, and end in logs and on terminals.
        words = redact(" ".join(answer.split()))
        super().__init__(f"the mail server refused it {kind}: {code} {words}")


FAILURES: Final = (MailRefusedError, aiosmtplib.SMTPException, OSError, TimeoutError)
"""How sending can fail."""


class FolderMailer:
    """Writes mails as files that any mail program opens, for who has no mail server."""

    def __init__(self, folder: Path, sender: str, clock: Clock) -> None:
        self._folder = folder
        self._sender = sender
        self._clock = clock
        self._sent = 0

    async def send(self, mail: Mail) -> None:
        self._sent += 1
        await asyncio.to_thread(self._write, mail)

    def _write(self, mail: Mail) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        name = f"{self._clock.now_ms():013d}-{self._sent % 10_000:04d}.eml"
        write_private(self._folder / name, bytes(message_of(mail, self._sender, self._clock)))
        for path in sorted(self._folder.glob("*.eml"))[:-MAX_FILES]:
            path.unlink(missing_ok=True)


class SmtpMailer:
    """Hands mails to a mail server. `security`: `starttls`, `tls`, or `none` for one on this host.

    `send` raises FAILURES.
    """

    def __init__(
        self,
        host: str,
        port: int,
        sender: str,
        clock: Clock,
        *,
        security: str = "starttls",
        username: str = "",
        password: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._sender = sender
        self._clock = clock
        self._security = security
        self._username = username
        self._password = password
        self._tls = tls

    async def send(self, mail: Mail) -> None:
        message = message_of(mail, self._sender, self._clock)
        async with self._visit() as client:
            await client.send_message(message, recipients=[mail.to], timeout=TAKING_TIMEOUT_S)

    async def rehearse(self) -> None:
        """Do all that comes before a mail's recipient: connection, encryption, login, sender.

        Raises FAILURES.
        """
        async with self._visit() as client:
            await client.mail(parseaddr(self._sender)[1])
            await client.rset()

    @asynccontextmanager
    async def _visit(self) -> AsyncIterator[aiosmtplib.SMTP]:
        """A connection that is logged in."""
        client = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._security == "tls",
            start_tls=self._security == "starttls",
            tls_context=self._tls,
            timeout=SMTP_TIMEOUT_S,
        )
        transport: asyncio.BaseTransport | None = None
        try:
            async with client:
                transport = client.transport
                if self._username:
                    await client.login(self._username, self._password)
                yield client
        except aiosmtplib.SMTPRecipientsRefused as error:
            # One recipient, so one answer.
            raise _refused(error.recipients[0]) from error
        except aiosmtplib.SMTPResponseException as error:
            raise _refused(error) from error
        finally:
            client.close()  # which it leaves open when it is cancelled before the greeting
            if isinstance(transport, asyncio.Transport):
                transport.abort()  # all was said: the end of TLS need not be waited for


class Outbox:
    """Does jobs that end in a mail, apart from the requests that asked.

    So a request takes as long for a stranger as for somebody who gets a mail.
    """

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer
        self._jobs: asyncio.Queue[Job] = asyncio.Queue(MAX_WAITING)

    def put(self, job: Job) -> None:
        """Do it soon. Left out when too many wait."""
        try:
            self._jobs.put_nowait(job)
        except asyncio.QueueFull:
            _log.warning("mail.left_out", waiting=MAX_WAITING)

    def post(self, mail: Mail) -> None:
        """Send it soon."""
        self.put(lambda: self.send(mail))

    async def send(self, mail: Mail) -> None:
        """For jobs: send now, trying again after a failure; then it is logged and given up.

        What the mail server refuses for good is given up at once.
        """
        for wait_s in (*RETRY_AFTER_S, None):
            try:
                await self._mailer.send(mail)
            except FAILURES as error:
                if isinstance(error, MailRefusedError) and error.is_permanent:
                    wait_s = None
                _log.warning("mail.failed", kind=mail.kind, reason=str(error), again_in_s=wait_s)
                if wait_s is None:
                    return
                await asyncio.sleep(wait_s)
            else:
                _log.info("mail.sent", kind=mail.kind)
                return

    async def run(self) -> None:
        """Run for as long as the server does."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())

    async def drain(self) -> None:
        """Do what waits, and return."""
        while not self._jobs.empty():
            await self._do(self._jobs.get_nowait())

    async def _work(self) -> None:
        while True:
            await self._do(await self._jobs.get())

    async def _do(self, job: Job) -> None:
        try:
            await job()
        except Exception:
            _log.exception("mail.job_failed")


def _refused(error: aiosmtplib.SMTPResponseException) -> MailRefusedError:
    return MailRefusedError(error.code, error.message)


def message_of(mail: Mail, sender: str, clock: Clock) -> EmailMessage:
    """The mail as it goes out (RFC 5322)."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = formatdate(clock.now().timestamp())
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].strip(">") or None)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    return message


def mailer_of(config: Config, clock: Clock) -> Mailer:
    """By SMTP when the settings name a server, else into the data folder."""
    if not config.smtp_host:
        return FolderMailer(config.data / FOLDER, config.mail_from, clock)
    return SmtpMailer(
        config.smtp_host,
        config.smtp_port,
        config.mail_from,
        clock,
        security=config.smtp_security,
        username=config.smtp_username,
        password=config.smtp_password,
    )
