"""Mail: whether the mail server of the settings would take one."""

import asyncio
import ssl
from collections.abc import Iterator
from typing import Final

import aiosmtplib

from cyan.cli.doctoring.finding import Finding, ok, problem, warning
from cyan.cli.doctoring.installation import Installation
from cyan.core.mail import FAILURES, MailRefusedError, SmtpMailer, mailer_of

PATIENCE_S: Final = 20.0
"""A person waits for the doctor. The server itself waits longer (cyan.core.mail)."""

_NAME: Final = "mail.server"

_NOT_YET: Final = 530
"""To any sender: first the login, or encryption (RFC 4954 §6, RFC 3207 §4)."""


def check_mail_server(installation: Installation) -> Iterator[Finding]:
    """It is connected to, logged in to and told the sender, as for a mail; none is sent."""
    config = installation.config
    mailer = mailer_of(config, installation.clock)
    if not isinstance(mailer, SmtpMailer):
        return
    server = f"{config.smtp_host} port {config.smtp_port} ({config.smtp_security})"
    try:
        asyncio.run(_rehearse(mailer))
    except _TooSlowError:
        yield warning(
            _NAME,
            f"the mail server {server} did not get ready for a mail within {PATIENCE_S:.0f} s.",
            'See whether it answers at all, and whether smtp_security fits the port: "tls" for '
            '465, "starttls" for 587.',
        )
    except FAILURES as error:
        found = f"the mail server {server} takes no mail from here: {str(error).rstrip('.')}."
        yield problem(_NAME, found, _next_step(error))
    else:
        yield ok(_NAME, f"{server} takes mails of {config.mail_from}; none was sent")


class _TooSlowError(Exception):
    """It took longer than PATIENCE_S."""


async def _rehearse(mailer: SmtpMailer) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S) as patience:
            await mailer.rehearse()
    except TimeoutError as error:
        if patience.expired():
            raise _TooSlowError from error
        raise


def _next_step(error: Exception) -> str:
    if isinstance(error, MailRefusedError):
        if not error.is_permanent:
            return "It may take mails later: ask again, or ask who runs it."
        refused = error.__cause__
        if isinstance(refused, aiosmtplib.SMTPAuthenticationError):
            return "Set smtp_username and CYAN_SMTP_PASSWORD to a login of that server."
        if isinstance(refused, aiosmtplib.SMTPSenderRefused) and refused.code != _NOT_YET:
            return "Set mail_from to an address that this login may send as."
        return "Look at smtp_security, smtp_username and CYAN_SMTP_PASSWORD, or ask who runs it."
    if isinstance(error.__cause__, ssl.SSLCertVerificationError):
        return (
            "Set smtp_host to the name in its certificate; for an authority of your own, set "
            "SSL_CERT_FILE in the environment of the server, and of this command."
        )
    return (
        'Look at smtp_host, smtp_port and smtp_security: "tls" for port 465, "starttls" for '
        "587. docs/howto/accounts.md has more."
    )
