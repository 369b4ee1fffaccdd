"""Requests for devices: those that wait for the person's answer, and those that they made."""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from starlette.responses import Response

from cyan.console.devices import DEVICES
from cyan.console.needs import Needs
from cyan.console.pages import Page
from cyan.console.visit import Visit
from cyan.core.ids import DeviceId
from cyan.devices.model import UnknownDeviceError
from cyan.devices.transfers import (
    OPEN,
    RequesterAtLimitError,
    Transfer,
    TransferEndedError,
    UnknownTransferError,
)
from cyan.rest.auth import Caller

TRANSFERS: Final = f"{DEVICES}/transfers"

_REFUSALS: Final = (UnknownTransferError, TransferEndedError, RequesterAtLimitError)
"""What a click may meet because others were faster."""


class Request(msgspec.Struct, frozen=True):
    """A request as it is shown. What the other side is called, and the device, is told to the owner
    only."""

    id: str
    device_id: DeviceId
    is_incoming: bool
    is_open: bool
    state: str
    device_name: str | None
    who: str
    created_at_ms: int
    expires_at_ms: int
    decided_at_ms: int | None


class TransfersRoom:
    """Lists and answers."""

    def __init__(self, needs: Needs) -> None:
        self._needs = needs

    async def show(self, visit: Visit) -> Response:
        shown = [self._request(visit, one) for one in self._needs.transfers.list_of(visit.caller)]
        return visit.page(
            "transfers.html",
            incoming=[one for one in shown if one.is_incoming],
            outgoing=[one for one in shown if not one.is_incoming],
        )

    async def accept(self, visit: Visit) -> Response:
        transfers = self._needs.transfers
        return await _answer(visit, transfers.accept, "The device is theirs now.")

    async def refuse(self, visit: Visit) -> Response:
        return await _answer(visit, self._needs.transfers.refuse, "You keep the device.")

    async def withdraw(self, visit: Visit) -> Response:
        return await _answer(visit, self._needs.transfers.withdraw, "You do not ask any more.")

    def _request(self, visit: Visit, transfer: Transfer) -> Request:
        is_incoming = transfer.owner_id == visit.caller.user_id
        name, who = None, ""
        if is_incoming:
            person = self._needs.accounts.people.find(transfer.requester_id)
            who = "somebody whose account is closed" if person is None else person.username
            try:
                name = self._needs.access.get(visit.caller, transfer.device_id).name
            except UnknownDeviceError:
                name = None  # it went elsewhere
        return Request(
            id=transfer.id,
            device_id=transfer.device_id,
            is_incoming=is_incoming,
            is_open=transfer.state == OPEN,
            state=transfer.state,
            device_name=name,
            who=who,
            created_at_ms=transfer.created_at_ms,
            expires_at_ms=transfer.expires_at_ms,
            decided_at_ms=transfer.decided_at_ms,
        )


async def _answer(
    visit: Visit, decide: Callable[[Caller, str], Awaitable[Transfer]], said: str
) -> Response:
    try:
        await decide(visit.caller, visit.path["transfer"])
    except _REFUSALS as error:
        return visit.go(TRANSFERS, error.message)
    return visit.go(TRANSFERS, said)


def pages(needs: Needs) -> list[Page]:
    room = TransfersRoom(needs)
    one = f"{TRANSFERS}/{{transfer}}"
    return [
        Page("GET", TRANSFERS, room.show),
        Page("POST", f"{one}/accept", room.accept),
        Page("POST", f"{one}/refuse", room.refuse),
        Page("POST", f"{one}/withdraw", room.withdraw),
    ]
