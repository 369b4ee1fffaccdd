"""Names of devices: made up when a device has none, changed by its owner, unique for the owner.

A claimed device always has a name, because people and the CLI address devices by it.
"""

import secrets
from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import Connection

from cyan.audit import store as audit
from cyan.core.errors import ConflictError
from cyan.core.ids import DeviceId, UserId
from cyan.devices import store
from cyan.devices.model import UnknownDeviceError

_ADJECTIVES: Final = (
    "amber", "brave", "breezy", "bright", "calm", "cheery", "clever", "copper", "cosmic", "crisp",
    "curious", "dapper", "dusty", "eager", "early", "fancy", "fuzzy", "gentle", "golden", "happy",
    "hazel", "humble", "icy", "jolly", "keen", "kind", "lively", "lucky", "lunar", "mellow",
    "merry", "mighty", "misty", "nimble", "noble", "patient", "polite", "proud", "quick", "quiet",
    "rapid", "rosy", "rustic", "shiny", "silent", "silver", "sleepy", "smart", "snowy", "solar",
    "spicy", "steady", "stormy", "sunny", "swift", "tidy", "tiny", "velvet", "vivid", "witty",
)  # fmt: skip
_ANIMALS: Final = (
    "alpaca", "badger", "bat", "beaver", "bison", "bobcat", "camel", "cat", "cobra", "condor",
    "cougar", "coyote", "crane", "cricket", "crow", "deer", "dingo", "dolphin", "duck", "eagle",
    "falcon", "ferret", "finch", "fox", "gecko", "gibbon", "goose", "hamster", "hare", "hawk",
    "hedgehog", "heron", "ibex", "jackal", "jaguar", "koala", "lemur", "leopard", "llama", "lynx",
    "magpie", "marmot", "mole", "moose", "newt", "ocelot", "octopus", "otter", "owl", "panda",
    "parrot", "pelican", "penguin", "puffin", "rabbit", "raven", "robin", "salmon", "seal",
    "squirrel", "stork", "tiger", "toad", "turtle", "walrus", "weasel", "wombat", "yak", "zebra",
)  # fmt: skip

_PLAIN_TRIES: Final = 8
"""Draws before a number is added: with 100 devices of 4,000 names the first nearly always fits."""


class NameTakenError(ConflictError):
    """Another device of yours has that name."""


def make_name(taken: Collection[str]) -> str:
    """A name like `swift_otter` that is not in `taken`."""
    for _ in range(_PLAIN_TRIES):
        name = f"{secrets.choice(_ADJECTIVES)}_{secrets.choice(_ANIMALS)}"
        if name not in taken:
            return name
    # 64 random bits are not taken.
    return f"{name}_{secrets.token_hex(8)}"


def name_for_owner(connection: Connection, owner_id: UserId, present: str | None) -> str:
    """The present name of a device if its new owner has no other of that name, else a made one."""
    rows = connection.execute(store.NAMES_OF_OWNER, {"owner_id": owner_id})
    taken = {row.name for row in rows}
    return present if present is not None and present not in taken else make_name(taken)


def rename(
    connection: Connection, device_id: DeviceId, owner_id: UserId, name: str, *, at_ms: int
) -> Mapping[str, object]:
    """Give the owner's device a checked name; returns what changed.

    Raises NameTakenError, or UnknownDeviceError when the device is not the owner's any more.
    """
    holder = connection.execute(store.ID_OF_NAME, {"owner_id": owner_id, "name": name}).first()
    if holder is not None and holder.id != device_id:
        raise NameTakenError
    done = connection.execute(
        store.RENAME,
        {"device_id": device_id, "for_owner_id": owner_id, "name": name, "at_ms": at_ms},
    )
    if done.rowcount != 1:
        raise UnknownDeviceError
    audit.record(
        connection,
        f"user:{owner_id}",
        "device.renamed",
        f"device:{device_id}",
        {"name": name},
        at_ms=at_ms,
    )
    return {"name": name}
