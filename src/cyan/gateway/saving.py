"""Storing a session: when it begins, and whenever its cold part changes."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from cyan.core.secrets import Vault
from cyan.gateway import store
from cyan.gateway.adoption import purpose
from cyan.gateway.commits import Commits
from cyan.gateway.datagrams import DatagramLink
from cyan.gateway.deviceids import UNKNOWN
from cyan.gateway.effects import Work
from cyan.gateway.link import Link
from cyan.gateway.session import FORMAT, Session, encode_cold

Then = Callable[[bool], None]


class Saving:
    """Seals sessions, and hands them to the writer. What cannot be taken is refused at once."""

    def __init__(self, vault: Vault, commits: Commits, holder: str) -> None:
        self._vault = vault
        self._commits = commits
        self._holder = holder

    def add(self, link: DatagramLink, then: Then) -> None:
        """Commit a new session."""
        session, records = link.session, link.records
        row = store.StoredSession(
            connection_id=session.connection_id,
            device_id=None,
            format=FORMAT,
            cold=self._seal(session),
            holder=self._holder,
            adoption=link.adoption,
            highest_received=records.highest_received,
            replay_window=records.replay_window.to_bytes(8, "big"),
            device_message_id=UNKNOWN,
            next_message_id=link.exchange.next_message_id,
            address=link.address,
            settled=False,
            heard_at_ms=link.established_at_ms,
            established_at_ms=link.established_at_ms,
        )
        self._commits.offer(lambda connection: store.add(connection, row), then)

    def save(self, link: Link, works: Sequence[Work], then: Then) -> None:
        """Commit the session's cold part, if it is one that lasts, and `works` together."""
        units = (self._save_cold(link), *works) if isinstance(link, DatagramLink) else works

        def work(connection: Connection) -> None:
            for unit in units:
                unit(connection)

        self._commits.offer(work, then)

    def _save_cold(self, link: DatagramLink) -> Work:
        session, cold = link.session, self._seal(link.session)
        device_id = session.device_id

        def work(connection: Connection) -> None:
            saved = store.save_cold(
                connection,
                session.connection_id,
                link.adoption,
                device_id=device_id,
                format_number=FORMAT,
                cold=cold,
            )
            if not saved:
                raise LookupError("the session has another holder, or is gone")

        return work

    def _seal(self, session: Session) -> bytes:
        return self._vault.seal(encode_cold(session), purpose(session.connection_id))
