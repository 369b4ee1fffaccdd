"""Claiming from the list of devices: by one id, or by many at once."""

import asyncio
import re
from typing import Final

from starlette.responses import Response

from cyan.console.devices import DEVICES
from cyan.console.needs import Needs
from cyan.console.pages import Page
from cyan.console.roll import PAGE_SIZE
from cyan.console.visit import Visit
from cyan.core.errors import CyanError
from cyan.devices.claiming import BelongsToSomeoneElseError, NotOnlineError
from cyan.devices.model import UnknownDeviceError
from cyan.devices.transfers import TooManyTransfersError
from cyan.plans.model import DeviceLimitError

MAX_AT_ONCE: Final = PAGE_SIZE
"""Devices of one form: as many as of any other action."""

MAX_TYPED_CHARACTERS: Final = 100
"""Of what is no id, in an answer."""

CLAIM_LIMIT: Final = ("POST", "/v1/devices")

_REFUSALS: Final = (
    UnknownDeviceError,
    NotOnlineError,
    DeviceLimitError,
    BelongsToSomeoneElseError,
)


class ClaimingRoom:
    """Both forms stay open with what stands in the way."""

    def __init__(self, needs: Needs) -> None:
        self._needs = needs

    async def claim(self, visit: Visit) -> Response:
        """By the id that a person typed."""
        fields = await visit.texts()
        typed = fields.get("device", "").strip()
        try:
            if fields.get("transfer"):
                await self._needs.transfers.request(visit.caller, typed)
                return visit.go(
                    f"{DEVICES}/transfers", "Its owner was asked. The answer will stand here."
                )
            claim = await self._needs.claiming.claim(visit.caller, typed)
        except (*_REFUSALS, TooManyTransfersError) as error:
            return visit.part(
                "devices-claim.html",
                typed=typed,
                error=_why_not(error),
                may_ask=isinstance(error, BelongsToSomeoneElseError),
            )
        note = "The device is yours." if claim.newly else "This device was yours already."
        return visit.go(f"{DEVICES}/{claim.device_id}", note)

    async def claim_many(self, visit: Visit) -> Response:
        """By a list of ids. Those that were not claimed stay in the form, each with its reason."""
        text = (await visit.texts()).get("devices", "")
        ids = list(dict.fromkeys(re.split(r"[\s,;]+", text.strip()))) if text.strip() else []
        if not 1 <= len(ids) <= MAX_AT_ONCE:
            fault = f"Write 1 to {MAX_AT_ONCE} ids, one in a line; these are {len(ids)}."
            return visit.part(
                "devices-claim-many.html", typed=text, error=fault, refused=[], most=MAX_AT_ONCE
            )
        outcomes = await asyncio.gather(*(self._claim_one(visit, each) for each in ids))
        refused = [
            (each[:MAX_TYPED_CHARACTERS], why)
            for each, why in zip(ids, outcomes, strict=True)
            if why is not None
        ]
        claimed = len(ids) - len(refused)
        said = f"{claimed} of {len(ids)} are yours now."
        if not refused:
            return visit.go(DEVICES, said)
        response = visit.part(
            "devices-claim-many.html",
            typed="\n".join(each for each, _ in refused),
            error=None,
            refused=refused,
            most=MAX_AT_ONCE,
        )
        return visit.told(response, said, "good" if claimed else "bad")

    async def _claim_one(self, visit: Visit, id_text: str) -> str | None:
        """None when the device is theirs, else why not."""
        try:
            await self._needs.claiming.claim(visit.caller, id_text)
        except _REFUSALS as error:
            return _why_not(error)
        return None


def _why_not(error: CyanError) -> str:
    if isinstance(error, UnknownDeviceError):
        return (
            "No device with this id has ever connected to this server. Check the id; it has 24"
            " digits from 0 to 9 and a to f."
        )
    if isinstance(error, BelongsToSomeoneElseError):
        return "That belongs to someone else. If it should be yours, ask for it."
    return error.message


def pages(needs: Needs) -> list[Page]:
    room = ClaimingRoom(needs)
    return [
        Page("POST", f"{DEVICES}/claim", room.claim, counts_as=CLAIM_LIMIT),
        Page("POST", f"{DEVICES}/claim-many", room.claim_many, counts_as=CLAIM_LIMIT),
    ]
