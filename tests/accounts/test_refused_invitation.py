"""`cyan user invite --mail` to a mailbox that the mail server does not have."""

import socketserver
import threading
from pathlib import Path

from cyan.cli.user import user
from tests import commands


class NoSuchMailbox(socketserver.StreamRequestHandler):
    """A mail server that knows nobody."""

    def handle(self) -> None:
        self.wfile.write(b"220 test\r\n")
        for line in self.rfile:
            verb = line.split()[0].upper()
            self.wfile.write(b"550 No such mailbox\r\n" if verb == b"RCPT" else b"250 fine\r\n")


def test_who_invites_a_mailbox_that_is_not_there_is_told_what_the_mail_server_said(
    tmp_path: Path,
) -> None:
    data = commands.make_data(tmp_path)
    with socketserver.TCPServer(("127.0.0.1", 0), NoSuchMailbox) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        result = commands.run(
            user,
            data,
            "invite",
            "ben@example.com",
            "--mail",
            CYAN_SIGN_UP="invited",
            CYAN_SMTP_HOST="127.0.0.1",
            CYAN_SMTP_PORT=str(server.server_address[1]),
            CYAN_SMTP_SECURITY="none",
        )
        server.shutdown()
        thread.join()
    assert result.exit_code == 1
    assert "Code: " in result.stdout
    assert "the mail server refused it for good: 550 No such mailbox" in result.stderr
