"""Devices that were refused, in words for the operator: what it means, and what helps."""

from typing import Final

import msgspec

from cyan.core.db.engine import Database
from cyan.devices import keys
from cyan.devices.refusals import AGAIN_AND_AGAIN, Refusal, list_recent

SHOWN: Final = 50


class Reason(msgspec.Struct, frozen=True):
    """What a reason means, and what the operator does. `{id}` stands for the device's id."""

    meaning: str
    command: str | None
    advice: str


_REASONS: Final = {
    keys.UNKNOWN_DEVICE: Reason(
        "Nobody has registered it here.", "cyan device add {id}", "If it is yours, let it in:"
    ),
    keys.WRONG_KEY: Reason(
        "It has another key than the one that is pinned to it.",
        "cyan device key {id} --forget",
        "If its key was made anew, forget the old one; if not, someone else uses its id:",
    ),
    keys.KEY_OF_ANOTHER_DEVICE: Reason(
        "Its key belongs to another device: a copied image.",
        "particle keys doctor {id}",
        "Give the board a key of its own, by USB:",
    ),
    "no_key": Reason(
        "Its firmware is so old that it does not send its key, and none is known here.",
        "cyan device add {id} --key <file>",
        "Save its key by USB (particle keys save), then register its public half:",
    ),
    AGAIN_AND_AGAIN: Reason(
        "It was let in, and made one full handshake after the other.",
        None,
        "It crashes, its network drops what it sends, or two boards share its id and key.",
    ),
}
_OTHER: Final = Reason("It was refused.", None, "Look for its id in the server's log.")


class Told(msgspec.Struct, frozen=True):
    """A refusal with its reason in words."""

    refusal: Refusal
    reason: Reason

    @property
    def command(self) -> str | None:
        command = self.reason.command
        return None if command is None else command.replace("{id}", self.refusal.device_id)


def told(database: Database) -> list[Told]:
    """The latest refusals, newest first."""
    return [
        Told(refusal, _REASONS.get(refusal.reason, _OTHER))
        for refusal in list_recent(database, SHOWN)
    ]
