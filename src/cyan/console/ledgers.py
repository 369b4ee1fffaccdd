"""Ledgers: named JSON objects, of the account or of each device, that devices and the cloud keep in
step."""

from http import HTTPStatus
from typing import Final

import msgspec
from starlette.responses import Response

from cyan.console.account import ACCOUNT
from cyan.console.needs import Needs
from cyan.console.pages import Page
from cyan.console.visit import Visit
from cyan.core.errors import CyanError
from cyan.devices.model import UnknownDeviceError
from cyan.ledgers.model import (
    Definition,
    Direction,
    DirectionFixedError,
    Instance,
    InvalidDataError,
    InvalidLedgerError,
    InvalidLedgerNameError,
    LedgerExistsError,
    Scope,
    TooManyLedgersError,
    TooMuchDataError,
    UnknownInstanceError,
    UpstreamNeedsDeviceScopeError,
    WrittenByDevicesError,
)

LEDGERS: Final = f"{ACCOUNT}/ledgers"
PAGE_SIZE: Final = 25

IN_CLOUD: Final = "cloud"
"""What the form says for no direction."""

_WRONG_DEFINITION: Final = (
    InvalidLedgerNameError,
    InvalidLedgerError,
    UpstreamNeedsDeviceScopeError,
    LedgerExistsError,
    TooManyLedgersError,
    DirectionFixedError,
)
_WRONG_DATA: Final = (
    UnknownInstanceError,
    WrittenByDevicesError,
    InvalidDataError,
    TooMuchDataError,
)
_MAX_PAGE: Final = 1_000_000

WAYS: Final = {
    IN_CLOUD: "stays in the cloud",
    Direction.DOWNSTREAM.value: "the cloud writes, devices read",
    Direction.UPSTREAM.value: "devices write, the cloud reads",
}


class Held(msgspec.Struct, frozen=True):
    """What a ledger holds for one device or the account, as it is shown."""

    value: str
    name: str | None
    """The device's; None for the account and for a device that is not theirs any more."""
    version: int
    size_bytes: int
    text: str
    at_ms: int
    """When it was written, or of a former state when it was replaced."""


class LedgersRoom:
    """The list, and one ledger. Every endpoint asks the access door first."""

    def __init__(self, needs: Needs) -> None:
        self._needs = needs

    async def list(self, visit: Visit) -> Response:
        return self._list(visit)

    async def create(self, visit: Visit) -> Response:
        fields = await visit.texts()
        way = fields.get("way", IN_CLOUD)
        try:
            made = await self._needs.ledgers.create(
                visit.caller,
                fields.get("name", "").strip(),
                fields.get("description", ""),
                fields.get("scope", ""),
                None if way == IN_CLOUD else way,
            )
        except _WRONG_DEFINITION as error:
            return self._list(visit, _sentence(error), fields)
        return visit.go(f"{LEDGERS}/{made.name}", "The ledger is made.")

    async def show(self, visit: Visit) -> Response:
        return self._one(visit, self._ledger(visit))

    async def describe(self, visit: Visit) -> Response:
        ledger, fields = self._ledger(visit), await visit.texts()
        try:
            await self._needs.ledgers.update(
                visit.caller, ledger, fields.get("description", ""), None
            )
        except _WRONG_DEFINITION as error:
            return self._one(visit, ledger, {"description": _sentence(error)}, fields)
        return visit.go(f"{LEDGERS}/{ledger.name}", "Saved.")

    async def archive(self, visit: Visit) -> Response:
        ledger = self._ledger(visit)
        await self._needs.ledgers.archive(visit.caller, ledger)
        return visit.go(LEDGERS, f"{ledger.name} is archived.")

    async def put(self, visit: Visit) -> Response:
        """What is wrong with the data is said in the form, which keeps it."""
        ledger, fields = self._ledger(visit), await visit.texts()
        merge = "merge" in fields
        try:
            value = self._value(visit, ledger, fields.get("value", ""))
            data = msgspec.json.decode(fields.get("data", ""))
            await self._needs.ledger_instances.put(visit.caller, ledger, value, data, merge=merge)
        except UnknownDeviceError:
            fault = {"value": "You have no device with this id or name."}
            return self._one(visit, ledger, fault, fields)
        except msgspec.DecodeError as error:
            return self._one(visit, ledger, {"data": f"This is no JSON: {error}."}, fields)
        except InvalidDataError:
            fault = {"data": 'Write one JSON object, like {"led": "on"}, nested 15 deep at most.'}
            return self._one(visit, ledger, fault, fields)
        except _WRONG_DATA as error:
            return self._one(visit, ledger, {"data": error.message}, fields)
        return visit.go(f"{LEDGERS}/{ledger.name}", "Written.")

    async def delete(self, visit: Visit) -> Response:
        ledger, value = self._ledger(visit), (await visit.texts()).get("value", "")
        await self._needs.ledger_instances.delete(visit.caller, ledger, value)
        return visit.go(f"{LEDGERS}/{ledger.name}", "Deleted.")

    def _ledger(self, visit: Visit) -> Definition:
        """Raises UnknownLedgerError."""
        return self._needs.ledger_access.get(visit.caller, visit.path["ledger"])

    def _value(self, visit: Visit, ledger: Definition, typed: str) -> str:
        """The scope value that a person means. Raises UnknownDeviceError."""
        if ledger.scope is Scope.OWNER:
            return visit.caller.user_id
        return self._needs.access.get(visit.caller, typed.strip()).id

    def _list(
        self, visit: Visit, error: str | None = None, fields: dict[str, str] | None = None
    ) -> Response:
        return visit.page(
            "ledgers.html",
            HTTPStatus.OK if error is None else HTTPStatus.UNPROCESSABLE_ENTITY,
            ledgers=self._needs.ledger_access.list(visit.caller, archived=False),
            ways=WAYS,
            error=error,
            fields=fields or {},
        )

    def _one(
        self,
        visit: Visit,
        ledger: Definition,
        errors: dict[str, str] | None = None,
        fields: dict[str, str] | None = None,
    ) -> Response:
        count, total_bytes = self._needs.ledgers.totals(ledger)
        page = _page(visit.query.get("page", ""))
        listed = self._needs.ledger_instances.list_page(ledger, (page - 1) * PAGE_SIZE, PAGE_SIZE)
        chosen = visit.query.get("of", "")
        return visit.page(
            "ledger.html",
            HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK,
            ledger=ledger,
            way=WAYS[IN_CLOUD if ledger.direction is None else ledger.direction.value],
            is_written_here=ledger.direction is not Direction.UPSTREAM,
            is_of_devices=ledger.scope is Scope.DEVICE,
            held=[self._held(visit, ledger, each) for each in listed],
            count=count,
            total_bytes=total_bytes,
            page=page,
            has_next=page * PAGE_SIZE < count,
            chosen=self._chosen(visit, ledger, chosen) if chosen else None,
            before=[
                self._held(visit, ledger, each)
                for each in self._needs.ledger_instances.list_versions(ledger, chosen, None, None)
            ]
            if chosen
            else [],
            errors=errors or {},
            fields=fields or {},
        )

    def _chosen(self, visit: Visit, ledger: Definition, value: str) -> Held | None:
        try:
            found = self._needs.ledger_instances.get(ledger, value)
        except UnknownInstanceError:
            return None
        return self._held(visit, ledger, found)

    def _held(self, visit: Visit, ledger: Definition, instance: Instance) -> Held:
        name = None
        if ledger.scope is Scope.DEVICE:
            try:
                name = self._needs.access.get(visit.caller, instance.scope_value).name
            except UnknownDeviceError:
                name = None  # it was theirs when it wrote this
        replaced_at_ms = instance.replaced_at_ms
        return Held(
            value=instance.scope_value,
            name=name,
            version=instance.version,
            size_bytes=instance.size_bytes,
            text=msgspec.json.format(instance.data, indent=2),
            at_ms=instance.updated_at_ms if replaced_at_ms is None else replaced_at_ms,
        )


def _sentence(error: CyanError) -> str:
    if type(error) is InvalidLedgerError and error.message.startswith("Send {"):
        return "Choose what it is of and which way it goes."  # the form offers nothing else
    return error.message


def _page(text: str) -> int:
    is_page = text.isascii() and text.isdecimal() and len(text) < 8
    return min(max(int(text), 1), _MAX_PAGE) if is_page else 1


def pages(needs: Needs) -> list[Page]:
    room, one = LedgersRoom(needs), f"{LEDGERS}/{{ledger}}"
    return [
        Page("GET", LEDGERS, room.list),
        Page("POST", LEDGERS, room.create),
        Page("GET", one, room.show),
        Page("POST", one, room.put),
        Page("POST", f"{one}/description", room.describe),
        Page("POST", f"{one}/archive", room.archive),
        Page("POST", f"{one}/delete", room.delete),
    ]
