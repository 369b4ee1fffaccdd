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


class MetadataReply(msgspec.Struct):
    """For each value, in a tree like that of the payload: its name, unit and bounds."""

    diagnostics_metadata: dict[str, object]
