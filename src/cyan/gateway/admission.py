"""Who is let in: a device by its id and its key, and how many at all."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from cyan.core.clock import Clock
from cyan.core.config import Config
from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId
from cyan.devices import keys, refusals
from cyan.gateway import metrics
from cyan.gateway.commits import Commits
from cyan.gateway.notes import Notes, Repeats
from cyan.wire.lightssl.handshake import DEVICE_KEY_BYTES, Claim

NO_KEY: Final = "no_key"
"""The device counts on a key that we know (very old firmware over TCP), and we know none."""

_log = structlog.get_logger(__name__)


class Admission:
    """Compares ids and keys, and notes who is refused."""

    def __init__(self, config: Config, clock: Clock, database: Database, commits: Commits) -> None:
        self._enrolment = config.enrolment
        self._clock = clock
        self._database = database
        self._notes = Notes(commits, clock.monotonic, clock.now_ms)
        self._repeats = Repeats(self._notes, clock.monotonic)
        self.tasks: set[asyncio.Task[None]] = set()
        """Keys that are being pinned."""

    def admit(
        self,
        device_id: DeviceId,
        public_key: bytes,
        admitted: Callable[[], None],
        refused: Callable[[str], None],
        failed: Callable[[], None],
    ) -> None:
        """The key is proved. One of the three is called: it is the device's (now), it is not, or
        the database could not tell."""
        try:
            is_own = keys.is_pinned(self._database, device_id, public_key)
        except Exception:
            _log.exception("device.admission_failed", claimed_device_id=device_id)
            failed()
            return
        if is_own:
            admitted()
            return
        pinning = self._pin(device_id, public_key, admitted, refused, failed)
        task = asyncio.get_running_loop().create_task(pinning)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _pin(
        self,
        device_id: DeviceId,
        public_key: bytes,
        admitted: Callable[[], None],
        refused: Callable[[str], None],
        failed: Callable[[], None],
    ) -> None:
        """A key that is not known to be this device's: pin it, or refuse it."""
        try:
            admission = await keys.admit(
                self._database, self._clock, device_id, public_key, self._enrolment
            )
        except Exception:
            _log.exception("device.admission_failed", claimed_device_id=device_id)
            failed()
            return
        if isinstance(admission, keys.Refused):
            refused(admission.reason)
        else:
            admitted()

    def find_stream_key(self, claim: Claim, ip_address: str) -> bytes | None:
        """The key to answer a claim over TCP with, which its Hello will prove; None: refused.

        What is known to be wrong is refused here already: the answer costs the signature.
        """
        device_id = DeviceId(claim.device_id.hex())
        known = keys.find_key(self._database, device_id)
        if claim.public_key is None:
            if known is not None and len(known) == DEVICE_KEY_BYTES:
                return known
            self.note_refusal(device_id, NO_KEY, None, refusals.TCP, ip_address)
            return None
        if known == claim.public_key:
            return known
        seen = keys.judge(self._database, device_id, claim.public_key, self._enrolment)
        if isinstance(seen, keys.Refused):
            self.note_refusal(device_id, seen.reason, claim.public_key, refusals.TCP, ip_address)
            return None
        return claim.public_key

    def note_refusal(
        self,
        device_id: DeviceId,
        reason: str,
        public_key: bytes | None,
        transport: str,
        ip_address: str,
    ) -> None:
        """For the operator: in a metric always, in the log and the database if it is news."""
        metrics.refused.labels(reason=reason).inc()
        fingerprint = None if public_key is None else keys.fingerprint(public_key)
        is_news = self._notes.add(
            device_id, reason, fingerprint=fingerprint, transport=transport, address=ip_address
        )
        if is_news:
            _log.warning(
                "device.refused",
                claimed_device_id=device_id,
                fingerprint=fingerprint,
                reason=reason,
                transport=transport,
                address=ip_address,
            )

    def note_handshake(self, device_id: DeviceId, transport: str, ip_address: str) -> None:
        """The device has a new session; worth a word if it has one again and again."""
        times = self._repeats.add(device_id, transport, ip_address)
        if times:
            _log.warning(
                "device.handshakes_again", device_id=device_id, times=times, address=ip_address
            )

    def flush(self, *, is_last: bool = False) -> None:
        """Write down who was refused since the last time, together. Called once a second."""
        self._notes.flush(is_last=is_last)
