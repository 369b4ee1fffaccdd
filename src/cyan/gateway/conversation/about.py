"""What a conversation can ask about its device, and a system event that is to be dealt with."""

from typing import Protocol

import msgspec

from cyan.core.ids import DeviceId
from cyan.gateway.effects import LogEvent
from cyan.gateway.session import Session
from cyan.health.model import Link as LinkVitals


class About(Protocol):
    """What the server knows of the device at the other end. Every answer comes at once."""

    def now_ms(self) -> int: ...

    def name(self) -> str | None:
        """What its owner calls it."""
        ...

    def ip_address(self) -> str:
        """Where it speaks from, as seen here."""
        ...

    def random_bytes(self, count: int) -> bytes:
        """Fit for keys."""
        ...

    def application_hash(self) -> str | None:
        """SHA-256 of the application that it described last, in hex."""
        ...

    def system_describe(self) -> str | None:
        """Its last system describe, as JSON."""
        ...

    def has_pending_update(self) -> bool:
        """Whether firmware waits for the device."""
        ...

    def link(self, round_trip_ms: int | None = None) -> LinkVitals:
        """What its vitals say of the connection."""
        ...


class SystemEvent(msgspec.Struct, frozen=True):
    """An event of a device with a reserved name."""

    session: Session
    device_id: DeviceId
    name: str
    data: bytes
    log: LogEvent
    """Puts it into the log, for the streams of people, and acknowledges it after that."""
    about: About
