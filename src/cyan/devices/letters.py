"""What people are written about transfer requests."""

from typing import Protocol

from cyan.accounts.people import People
from cyan.core.ids import UserId
from cyan.devices.transfers import ACCEPTED, LIFE_MS, Transfer

_DAYS = LIFE_MS // (24 * 3600 * 1000)


class Post(Protocol):
    """Sends a letter; never waits and never fails."""

    def __call__(self, to: str, subject: str, text: str) -> None: ...


class TransferLetters:
    """Writes to the owner when somebody asks, and to who asked when the owner has answered."""

    def __init__(self, people: People, post: Post, api_url: str) -> None:
        self._people = people
        self._post = post
        self._api_url = api_url.rstrip("/")

    def transfer_requested(self, transfer: Transfer, secret: str) -> None:
        who = self._name_of(transfer.requester_id)
        page = f"{self._api_url}/v1/device_transfers/{transfer.id}/decision?secret={secret}"
        self._send(
            transfer.owner_id,
            f"{who} asks for your device {transfer.device_id}",
            f"{who} asks you to give them your device {transfer.device_id}.\n\n"
            f"To accept or to refuse, open this within {_DAYS} days:\n\n{page}\n\n"
            "If you do nothing, the device stays yours.\n",
        )

    def transfer_decided(self, transfer: Transfer) -> None:
        if transfer.state == ACCEPTED:
            answer = "was accepted. The device is yours now."
        else:
            answer = "was refused. The device stays with its owner."
        self._send(
            transfer.requester_id,
            f"Your request for device {transfer.device_id} was {transfer.state}",
            f"Your request {transfer.id} for device {transfer.device_id} {answer}\n",
        )

    def _send(self, user_id: UserId, subject: str, text: str) -> None:
        found = self._people.find(user_id)
        if found is not None:
            self._post(found.username, subject, text)

    def _name_of(self, user_id: UserId) -> str:
        found = self._people.find(user_id)
        return "Somebody" if found is None else found.username
