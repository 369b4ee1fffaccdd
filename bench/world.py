"""The data folder of a measured server: one owner, registered devices with pinned keys, a token."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection

from cyan.accounts.people import create_user
from cyan.accounts.tokens import issue_token
from cyan.core.clock import SystemClock
from cyan.core.db import migrate
from cyan.core.db.engine import Database
from cyan.core.ids import UserId, parse_device_id
from cyan.devices import keys
from cyan.gateway.keys import open_server_key, open_stream_key
from cyan.sim.identity import Identity
from cyan.sim.platforms import Transport

SEED = "bench"
OWNER = "bench@cyan.local"
PASSWORD = "bench bench bench"  # of a folder that is removed
ACTOR = "operator"


REGISTERED_AT_ONCE = 500
"""Devices of one transaction: a running server waits for it."""


@dataclass(frozen=True, slots=True)
class World:
    """What the generator knows of the server that it will load."""

    data: Path
    owner: UserId
    identities: list[Identity]
    server_key: ec.EllipticCurvePublicKey
    access_token: str

    @property
    def stream_key(self) -> rsa.RSAPublicKey:
        """The server's key for TCP."""
        return open_stream_key(self.data).public_key()

    def add(self, count: int, transport: Transport = Transport.UDP) -> None:
        """Register so many devices more, beside the running server if there is one."""
        known = len(self.identities)
        added = [Identity(SEED, known + i, transport) for i in range(count)]
        db = Database(self.data / "cyan.db")
        try:
            for start in range(0, count, REGISTERED_AT_ONCE):
                some = added[start : start + REGISTERED_AT_ONCE]
                db.write_blocking(partial(_register, identities=some, owner=self.owner))
        finally:
            db.close()
        self.identities.extend(added)


def make_world(data: Path, devices: int) -> World:
    """Fill an empty folder. All devices belong to one owner, who holds the token."""
    data.mkdir(mode=0o700, parents=True)
    migrate.upgrade(data / "cyan.db")
    db = Database(data / "cyan.db")
    try:
        owner = create_user(db, OWNER, PASSWORD)
        token = issue_token(db, owner, "bench")
    finally:
        db.close()
    world = World(data, owner, [], open_server_key(data).public_key(), token.access_token)
    world.add(devices)
    return world


def _register(connection: Connection, identities: list[Identity], owner: UserId) -> None:
    at_ms = SystemClock().now_ms()
    for identity in identities:
        device_id = parse_device_id(identity.device_id)
        key = identity.key if identity.transport is Transport.UDP else identity.rsa_key
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        keys.add(connection, device_id, actor=ACTOR, at_ms=at_ms, owner_id=owner)
        keys.pin(connection, device_id, public, actor=ACTOR, at_ms=at_ms)
