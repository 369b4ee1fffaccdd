"""What conversations ask about their device, answered from its link and from the database."""

import os

import msgspec

from cyan.core.db.engine import Database
from cyan.devices import description
from cyan.firmware.records import has_pending
from cyan.gateway.link import Link
from cyan.health.model import Link as LinkVitals


class LinkAbout:
    """Implements `conversation.about.About` for the device of one link, for one message."""

    __slots__ = ("_database", "_device_id", "_link")

    def __init__(self, database: Database, link: Link) -> None:
        assert link.session.device_id is not None
        self._database = database
        self._link = link
        self._device_id = link.session.device_id

    def now_ms(self) -> int:
        return self._link.host.now_ms()

    def name(self) -> str | None:
        return description.find_name(self._database, self._device_id)

    def ip_address(self) -> str:
        return self._link.ip_address

    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)

    def application_hash(self) -> str | None:
        return description.find_application_hash(self._database, self._device_id)

    def system_describe(self) -> str | None:
        found = description.find_system(self._database, self._device_id)
        return None if found is None else msgspec.json.encode(found).decode()

    def has_pending_update(self) -> bool:
        return has_pending(self._database, self._device_id)

    def link(self, round_trip_ms: int | None = None) -> LinkVitals:
        link = self._link
        return LinkVitals(
            uptime_s=(self.now_ms() - link.last_handshake_ms) // 1000,
            published=link.published,
            round_trip_ms=round_trip_ms,
        )
