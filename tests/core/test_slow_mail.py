"""A mail server that looks at a mail for long gets it once."""

import asyncio

import pytest

from cyan.core import mail as module
from tests.clock import HandClock
from tests.core.test_mail import MAIL, SmtpServer, smtp

PATIENCE_S = 0.2


class ThoroughServer(SmtpServer):
    """Takes three times as long for a mail as anybody waits for its other answers."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = writer.write

        def write(data: bytes) -> None:
            if data.startswith(b"250 taken"):
                asyncio.get_running_loop().call_later(3 * PATIENCE_S, said, data)
            else:
                said(data)

        writer.write = write  # type: ignore[method-assign,assignment]
        await super().serve(reader, writer)


async def test_a_mail_that_is_looked_at_for_long_is_handed_over_once(
    clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SMTP_TIMEOUT_S", PATIENCE_S)
    server = ThoroughServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listening:
        server.port = listening.sockets[0].getsockname()[1]
        await smtp(server, clock, "none").send(MAIL)
    assert len(server.mails) == 1
    assert server.lines[-1] == "QUIT"
