"""Claim codes that devices present: used in the writer, told after the commit."""

from collections.abc import Callable

from sqlalchemy import Connection

from cyan.devices import claimcodes
from cyan.devices.claimcodes import ClaimCodes
from cyan.gateway.commits import Commits
from cyan.gateway.link import Link


class Claims:
    """What the gateway does with the codes of its links."""

    def __init__(self, commits: Commits, codes: ClaimCodes, now_ms: Callable[[], int]) -> None:
        self._commits = commits
        self._codes = codes
        self._now_ms = now_ms

    def claim(self, link: Link, code: str, then: Callable[[bool], None]) -> None:
        """The device presents a code; `then(ok)` after the commit of what comes of it, False when
        the database could not tell."""
        device_id = link.session.device_id
        assert device_id is not None
        at_ms = self._now_ms()
        outcomes: list[claimcodes.Outcome] = []

        def work(connection: Connection) -> None:
            # Run again when another unit of its group fails.
            outcomes[:] = [claimcodes.use(connection, code, device_id, at_ms)]

        def done(ok: bool) -> None:
            if ok:
                self._codes.on_used(device_id, outcomes[0])
            then(ok)

        self._commits.submit(work, done)
