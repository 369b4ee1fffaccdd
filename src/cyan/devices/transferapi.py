"""REST: requests for somebody else's device, listed and answered. The paths are ours: the
platform's own are not public (rest-api-core.md §8.6)."""

from html import escape
from typing import Final, Literal

import msgspec
from starlette.responses import HTMLResponse, Response

from cyan.accounts.people import People
from cyan.core.clock import iso_ms
from cyan.core.ids import UserId
from cyan.devices.access import DeviceAccess
from cyan.devices.model import UnknownDeviceError
from cyan.devices.transfers import (
    ACCEPTED,
    RequesterAtLimitError,
    Transfer,
    TransferEndedError,
    Transfers,
    UnknownTransferError,
)
from cyan.rest.auth import Auth, Caller
from cyan.rest.call import Call
from cyan.rest.errors import ApiError, bad_request, described
from cyan.rest.registry import Reply, Route
from cyan.rest.responses import json_response

ROOT: Final = "/v1/device_transfers"

_PAGE_HEADERS: Final = {
    "cache-control": "no-store",
    # The address has the secret in it: it goes nowhere else, and nothing is loaded.
    "referrer-policy": "no-referrer",
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    ),
}


class TransferItem(msgspec.Struct, omit_defaults=True):
    """A request. `incoming` ones wait for the caller's answer; what the other side is called, and
    the device, is told to the owner only. `state` is open, accepted, refused, withdrawn or expired.
    """

    id: str
    device_id: str
    direction: Literal["incoming", "outgoing"]
    state: str
    created_at: str
    expires_at: str
    decided_at: str | None
    requested_by: str | msgspec.UnsetType = msgspec.UNSET
    device_name: str | msgspec.UnsetType | None = msgspec.UNSET


class TransferList(msgspec.Struct):
    transfers: list[TransferItem]


class Decision(msgspec.Struct):
    action: Literal["accept", "refuse"]


class DecisionQuery(msgspec.Struct):
    """`secret` is in the link of the letter."""

    secret: str = ""


class _Endpoints:
    def __init__(self, transfers: Transfers, people: People, access: DeviceAccess) -> None:
        self._transfers = transfers
        self._people = people
        self._access = access

    async def list(self, call: Call) -> Response:
        found = self._transfers.list_of(call.caller)
        return json_response(TransferList([self._render(call.caller, one) for one in found]))

    async def decide(self, call: Call) -> Response:
        action = (await call.body()).get("action")
        if action not in ("accept", "refuse"):
            raise bad_request('The action is "accept" or "refuse".')
        decide = self._transfers.accept if action == "accept" else self._transfers.refuse
        try:
            done = await decide(call.caller, call.path["transfer"])
        except (UnknownTransferError, TransferEndedError, RequesterAtLimitError) as error:
            raise _refusal(error) from error
        return json_response(self._render(call.caller, done))

    async def withdraw(self, call: Call) -> Response:
        try:
            done = await self._transfers.withdraw(call.caller, call.path["transfer"])
        except (UnknownTransferError, TransferEndedError) as error:
            raise _refusal(error) from error
        return json_response(self._render(call.caller, done))

    async def show_page(self, call: Call) -> Response:
        """Asks a person. Only the button decides: programs that scan mail open every link."""
        transfer = self._by_secret(call, call.query.get("secret", ""))
        return _page(self._question(transfer, call.query.get("secret", "")))

    async def decide_on_page(self, call: Call) -> Response:
        fields = await call.body()
        secret = str(fields.get("secret", ""))
        transfer = self._by_secret(call, secret)
        if fields.get("action") not in ("accept", "refuse"):
            raise bad_request('The action is "accept" or "refuse".')
        try:
            done = await self._transfers.decide_by_secret(
                transfer.id, secret, accepts=fields["action"] == "accept"
            )
        except (UnknownTransferError, TransferEndedError, RequesterAtLimitError) as error:
            return _page(f"<p>{escape(error.message)}</p>", _refusal(error).status)
        if done.state == ACCEPTED:
            return _page("<p>The device belongs to who asked for it now.</p>")
        return _page("<p>You keep the device.</p>")

    def _by_secret(self, call: Call, secret: str) -> Transfer:
        try:
            return self._transfers.get_by_secret(call.path["transfer"], secret)
        except UnknownTransferError as error:
            raise _refusal(error) from error

    def _question(self, transfer: Transfer, secret: str) -> str:
        if transfer.state != "open":
            return f"<p>This request is {escape(transfer.state)} already.</p>"
        who = escape(self._name_of(transfer.requester_id))
        return (
            f"<p><b>{who}</b> asks for your device {transfer.device_id}.</p>"
            "<p>If you accept, it is theirs at once, and you cannot use it any more.</p>"
            '<form method="post">'
            f'<input type="hidden" name="secret" value="{escape(secret)}">'
            '<button name="action" value="refuse">Keep the device</button> '
            '<button name="action" value="accept">Give the device away</button></form>'
        )

    def _render(self, caller: Caller, transfer: Transfer) -> TransferItem:
        is_incoming = transfer.owner_id == caller.user_id
        item = TransferItem(
            id=transfer.id,
            device_id=transfer.device_id,
            direction="incoming" if is_incoming else "outgoing",
            state=transfer.state,
            created_at=iso_ms(transfer.created_at_ms),
            expires_at=iso_ms(transfer.expires_at_ms),
            decided_at=None if transfer.decided_at_ms is None else iso_ms(transfer.decided_at_ms),
        )
        if is_incoming:
            item.requested_by = self._name_of(transfer.requester_id)
            try:
                item.device_name = self._access.get(caller, transfer.device_id).name
            except UnknownDeviceError:
                item.device_name = None
        return item

    def _name_of(self, user_id: UserId) -> str:
        found = self._people.find(user_id)
        return "somebody whose account is closed" if found is None else found.username


def _refusal(error: UnknownTransferError | TransferEndedError | RequesterAtLimitError) -> ApiError:
    if isinstance(error, UnknownTransferError):
        return described(404, "not_found", error.message)
    return described(409, "conflict", error.message)


def _page(body: str, status: int = 200) -> Response:
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Transfer of a device</title>'
        '<meta name="viewport" content="width=device-width">'
        "<style>body{font:1rem/1.5 sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem}"
        f"</style><h1>Transfer of a device</h1>{body}</html>"
    )
    return HTMLResponse(page, status, _PAGE_HEADERS)


def routes(transfers: Transfers, people: People, access: DeviceAccess) -> list[Route]:
    """Listing and answering transfer requests. A request is made by `POST /v1/devices`."""
    on = _Endpoints(transfers, people, access)
    one, page = ROOT + "/{transfer}", ROOT + "/{transfer}/decision"
    html = Reply(media_type="text/html")
    return [
        Route(
            "GET",
            ROOT,
            on.list,
            scope="devices:list",
            summary="List requests for one's devices and one's own requests",
            response=TransferList,
        ),
        Route(
            "PUT",
            one,
            on.decide,
            scope="devices:release",
            summary="Accept or refuse a request for one's device",
            request=Decision,
            response=TransferItem,
        ),
        Route(
            "DELETE",
            one,
            on.withdraw,
            scope="devices:claim",
            summary="Withdraw one's own request",
            response=TransferItem,
        ),
        Route(
            "GET",
            page,
            on.show_page,
            Auth.NONE,
            summary="The page behind the link in the owner's letter",
            query=DecisionQuery,
            response=html,
        ),
        Route(
            "POST",
            page,
            on.decide_on_page,
            Auth.NONE,
            summary="The answer that is given on that page",
            response=(html, Reply(status=409, media_type="text/html")),
        ),
    ]
