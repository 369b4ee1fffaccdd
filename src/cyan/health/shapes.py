"""The JSON that the routes of vitals give (rest-api-core.md §15)."""

import msgspec


class VitalsQuery(msgspec.Struct):
    """Stamps of ISO 8601; without a zone they are UTC."""

    start_date: str = ""
    end_date: str = ""


class Reading(msgspec.Struct):
    """`payload` has the values of the device below `device` and `service`."""

    updated_at: str
    deviceID: str  # noqa: N815 - as clients spell it
    payload: dict[str, object]


class ReadingReply(msgspec.Struct):
    diagnostics: Reading


class ReadingsReply(msgspec.Struct):
    diagnostics: list[Reading]


class SummaryQuery(msgspec.Struct):
    """Stamps of ISO 8601; without a zone they are UTC. At most `limit` samples, up to 1000."""

    start_date: str = ""
    end_date: str = ""
    limit: int = 30


class Sample(msgspec.Struct):
    """Means of a stretch that begins at `timestamp`: percent, but for the round trip in ms."""

    timestamp: str
    signalStrength: float | None  # noqa: N815 - as clients spell the names around it
    signalQuality: float | None  # noqa: N815
    roundTrip: float | None  # noqa: N815
    batteryCharge: float | None  # noqa: N815
    memoryUsed: float | None  # noqa: N815


class SummaryReply(msgspec.Struct):
    """`bucketSize` is the length of a sample's stretch in seconds, `memoryAvailable` all memory
    that the device has, in bytes."""

    deviceID: str  # noqa: N815
    memoryAvailable: float | None  # noqa: N815
    bucketSize: int  # noqa: N815
    startDate: str  # noqa: N815
    endDate: str  # noqa: N815
    hasBattery: bool  # noqa: N815
    samples: list[Sample]


class MetadataReply(msgspec.Struct):
    """For each value, in a tree like that of the payload: its name, unit and bounds."""

    diagnostics_metadata: dict[str, object]
