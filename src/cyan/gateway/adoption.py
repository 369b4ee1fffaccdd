"""Taking over stored sessions at start, so that devices do not notice the restart."""

from collections.abc import Iterable, Iterator
from typing import Final

import structlog

from cyan.core.secrets import SealBrokenError, Vault
from cyan.gateway import metrics
from cyan.gateway.datagrams import DatagramLink
from cyan.gateway.deviceids import DeviceIds, last_known
from cyan.gateway.host import Host
from cyan.gateway.session import COUNTER_BITS, MAX_ADOPTION, UnreadableSessionError, decode_cold
from cyan.gateway.store import StoredSession
from cyan.wire.dtls.record import ServerRecords
from cyan.wire.exchange import REMEMBER_S, Exchange

REMEMBER_MS: Final = int(REMEMBER_S * 1000)
"""How far back the log is read for message ids that were acknowledged before the restart."""

SEAL_PURPOSE: Final = b"gateway.session:"

LONG_OUTAGE_S: Final = 25.0
"""A device sends a message four times, the last 28 s after the first at the earliest
(session-behaviour.md). After a shorter outage everything comes again by itself and is answered
with the truth; after a longer one a message may never come again, which costs the session.
The length of an outage is known to within one renewal of the lease, and never too small."""

_log = structlog.get_logger(__name__)


def purpose(connection_id: bytes) -> bytes:
    """What a session's cold part is sealed for: this session and no other."""
    return SEAL_PURPOSE + connection_id


def restore_links(
    rows: Iterable[StoredSession],
    logged: dict[bytes, list[int]],
    *,
    vault: Vault,
    host: Host,
    now_s: float,
    now_ms: int,
    outage_s: float,
) -> Iterator[DatagramLink]:
    """A link for each stored session. `logged` are message ids in the log, by connection id.

    After an outage of LONG_OUTAGE_S or more the links answer what their devices sent meanwhile.

    A session that cannot be read, or whose adoption numbers are used up, is left out: its device
    makes a full handshake when it has given it up.
    """
    for row in rows:
        if row.adoption > MAX_ADOPTION:
            _log.warning("session.worn_out", device_id=row.device_id)
            continue
        try:
            cold = vault.open(row.cold, purpose(row.connection_id))
            session = decode_cold(row.connection_id, row.format, cold)
        except (SealBrokenError, UnreadableSessionError) as error:
            _log.error("session.unreadable", device_id=row.device_id, error=error.message)
            continue
        session.settled = bool(row.settled)
        assert session.keys is not None
        records = ServerRecords(
            session.keys,
            row.connection_id,
            send_sequence=row.adoption << COUNTER_BITS,
            highest_received=row.highest_received,
            replay_window=int.from_bytes(row.replay_window, "big"),
            has_connection_id=session.has_connection_id,
        )
        answered = logged.get(row.connection_id, ())
        exchange = Exchange(
            next_message_id=row.next_message_id,
            holder=row.adoption,
            answered=answered,
        )
        metrics.sessions_adopted.inc()
        yield DatagramLink(
            host,
            session,
            records,
            exchange,
            row.address,
            adoption=row.adoption,
            established_at_ms=row.established_at_ms,
            heard_s=now_s - (now_ms - row.heard_at_ms) / 1000,
            ids=DeviceIds(
                last_known(row.device_message_id, answered),
                may_have_missed=outage_s >= LONG_OUTAGE_S,
            ),
        )
