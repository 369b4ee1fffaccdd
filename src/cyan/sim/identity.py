"""Who the simulated devices are: ids, names and keys, all from a seed.

The same seed gives the same devices, and a larger count only adds to them.
"""

import hashlib
import math
from functools import cached_property
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cyan.sim.platforms import Transport
from cyan.sim.rsakeys import derive_key

ID_PREFIX: Final = "5eed"
"""Begins the id of every simulated device; ids of real boards begin otherwise."""

_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""FIPS 186-4 D.1.2.3."""

_ADJECTIVE_TEXT: Final = (
    "amber bold brave bright calm clever cosmic crisp dapper eager fancy fluffy gentle happy jolly"
    " keen lively lucky mellow merry mighty nimble patient perky plucky proud quick quiet silent"
    " silver sunny swift tidy tiny vivid witty"
)
_NOUN_TEXT: Final = (
    "badger beaver bison condor coyote crane dingo dolphin falcon ferret finch gecko gibbon heron"
    " ibis jackal koala lemur lynx marmot marten newt ocelot osprey otter panda pelican puffin"
    " quokka raven robin salmon stoat tapir toucan walrus weasel wombat zebra"
)
_ADJECTIVES: Final = _ADJECTIVE_TEXT.split()
_NOUNS: Final = _NOUN_TEXT.split()


class Identity:
    """The device number `index` of a seed: its 24-digit `device_id`, `name` and keys.

    It has a P-256 key for UDP and an RSA-1024 key for TCP; `transport` tells which one the cloud
    gets to know.
    """

    def __init__(self, seed: str, index: int, transport: Transport = Transport.UDP) -> None:
        self.index = index
        self.transport = transport
        self._seed = seed
        self.device_id = ID_PREFIX + _digest("id", seed, index)[:10].hex()
        self.name = _name(seed, index)
        self._scalar = int.from_bytes(_digest("key", seed, index), "big") % (_P256_ORDER - 1) + 1

    @cached_property
    def key(self) -> ec.EllipticCurvePrivateKey:
        """The private key for UDP; made when first asked for."""
        return ec.derive_private_key(self._scalar, ec.SECP256R1())

    @cached_property
    def rsa_key(self) -> rsa.RSAPrivateKey:
        """The private key for TCP; made when first asked for."""
        return derive_key(self._seed, self.index)

    def with_other_keys(self) -> "Identity":
        """The same device with keys that nobody knows it by."""
        other = Identity(f"{self._seed}/other keys", self.index, self.transport)
        other.device_id, other.name = self.device_id, self.name
        return other

    @property
    def public_key_pem(self) -> str:
        """The public key as the cloud gets to know it (SubjectPublicKeyInfo in PEM)."""
        public = (self.rsa_key if self.transport is Transport.TCP else self.key).public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def describe(self) -> dict[str, str]:
        """The device as the simulator's JSON lines show it."""
        return {
            "id": self.device_id,
            "name": self.name,
            "transport": self.transport.value,
            "public_key": self.public_key_pem,
        }


def make_identities(seed: str, count: int, transport: Transport = Transport.UDP) -> list[Identity]:
    """The first `count` devices of a seed."""
    return [Identity(seed, index, transport) for index in range(count)]


def _digest(purpose: str, seed: str, index: int) -> bytes:
    return hashlib.sha512(f"cyan.sim/{purpose}/{index}/{seed}".encode()).digest()


def _name(seed: str, index: int) -> str:
    """Walks through all pairs of words once, from a place and in steps that the seed decides."""
    pairs = len(_ADJECTIVES) * len(_NOUNS)
    digest = _digest("name", seed, 0)
    start = int.from_bytes(digest[:8], "big")
    step = int.from_bytes(digest[8:16], "big") % pairs
    while math.gcd(step, pairs) != 1:
        step += 1
    adjective, noun = divmod((start + step * index) % pairs, len(_NOUNS))
    round_ = index // pairs
    return f"{_ADJECTIVES[adjective]}_{_NOUNS[noun]}" + (f"_{round_ + 1}" if round_ else "")
