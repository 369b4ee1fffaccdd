"""`cyan user invite`, `delete`, `mfa-off` and `unlock`, over a data folder of their own."""

import re
import socket
import socketserver
import threading
from pathlib import Path

import pytest
from click.testing import Result

from cyan.cli.user import user
from cyan.core.db.engine import Database
from cyan.core.errors import CyanError
from tests import commands


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return commands.make_data(tmp_path)


def run(data: Path, *arguments: str, **environment: str) -> Result:
    return commands.run(user, data, *arguments, **environment)


def count(data: Path, query: str) -> int:
    db = Database(data / "cyan.db")
    try:
        return int(db.driver.execute(query).fetchone()[0])
    finally:
        db.close()


def test_an_invitation_is_printed_once_and_can_be_mailed(data: Path) -> None:
    result = run(data, "invite", "ben@example.com", "--mail", CYAN_SIGN_UP="invited")
    found = re.search(r"Code: ([0-9a-f]{40})$", result.stdout.strip())
    assert found is not None
    (mail,) = (data / "mail").iterdir()
    assert found[1] in mail.read_text()
    assert result.stderr == ""
    assert count(data, "SELECT count(*) FROM accounts_invitation") == 1


def invite_by(data: Path, mail_port: int) -> Result:
    """A letter to Ben, by the mail server at this port."""
    return run(
        data,
        "invite",
        "ben@example.com",
        "--mail",
        CYAN_SIGN_UP="invited",
        CYAN_SMTP_HOST="127.0.0.1",
        CYAN_SMTP_PORT=str(mail_port),
        CYAN_SMTP_SECURITY="none",
    )


def test_an_invitation_is_not_lost_when_the_mail_server_fails(data: Path) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # and does not listen
        result = invite_by(data, deaf.getsockname()[1])
    assert result.exit_code == 1
    assert re.search(r"Code: [0-9a-f]{40}$", result.stdout.strip())
    assert "The mail was not sent: " in result.stderr


class NoSuchMailbox(socketserver.StreamRequestHandler):
    """A mail server that knows nobody."""

    def handle(self) -> None:
        self.wfile.write(b"220 test\r\n")
        for line in self.rfile:
            verb = line.split()[0].upper()
            self.wfile.write(b"550 No such mailbox\r\n" if verb == b"RCPT" else b"250 fine\r\n")


def test_who_invites_a_mailbox_that_is_not_there_is_told_what_the_mail_server_said(
    data: Path,
) -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), NoSuchMailbox) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        result = invite_by(data, server.server_address[1])
        server.shutdown()
        thread.join()
    assert result.exit_code == 1
    assert "Code: " in result.stdout
    assert "the mail server refused it for good: 550 No such mailbox" in result.stderr


def test_an_invitation_to_a_server_that_takes_none_says_so(data: Path) -> None:
    result = run(data, "invite", "ben@example.com", CYAN_SIGN_UP="closed")
    assert "CYAN_SIGN_UP=invited" in result.stderr


def test_an_account_is_deleted(data: Path) -> None:
    assert "Deleted" in run(data, "delete", "Ada@example.com").stdout
    assert count(data, "SELECT count(*) FROM accounts_user") == 0


def test_a_second_factor_that_is_off_stays_off(data: Path) -> None:
    assert "as before" in run(data, "mfa-off", "ada@example.com").stdout


def test_unlocking_leaves_an_entry_for_the_running_server(data: Path) -> None:
    run(data, "unlock", "ada@example.com")
    entries = "SELECT count(*) FROM audit_entry WHERE action = 'user.unlocked'"
    assert count(data, entries) == 1


@pytest.mark.parametrize("command", ["delete", "mfa-off", "unlock"])
def test_an_account_that_does_not_exist_is_named_as_such(data: Path, command: str) -> None:
    with pytest.raises(CyanError, match="no account"):
        run(data, command, "nobody@example.com")
