"""RSA keys of simulated TCP devices."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from cyan.sim.identity import make_identities
from cyan.sim.platforms import Transport
from cyan.sim.rsakeys import derive_key


def numbers(seed: str, index: int) -> rsa.RSAPrivateNumbers:
    return derive_key(seed, index).private_numbers()


def test_the_same_seed_gives_the_same_key() -> None:
    assert numbers("seed", 5) == numbers("seed", 5)
    assert numbers("seed", 5) != numbers("other", 5)


def test_all_devices_have_different_keys() -> None:
    moduli = {numbers("seed", index).public_numbers.n for index in range(200)}
    assert len(moduli) == 200


@pytest.mark.parametrize("index", [0, 1, 2, 3, 9, 10, 199])
def test_a_key_is_what_firmware_has(index: int) -> None:
    key = derive_key("seed", index)
    assert key.key_size == 1024
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    # device-protocol.md §1.3.1.
    assert len(spki) == 162
    assert spki.startswith(
        bytes.fromhex("30819f300d06092a864886f70d010101050003818d00308189028181")
    )
    assert spki.endswith(bytes.fromhex("0203010001"))


def test_a_key_passes_the_checks_of_openssl() -> None:
    # Without `unsafe_skip_rsa_key_validation` it tests that the primes are primes.
    for index in range(3):
        numbers("seed", index).private_key()


def test_a_tcp_device_shows_its_rsa_key() -> None:
    (identity,) = make_identities("seed", 1, Transport.TCP)
    shown = identity.describe()
    assert shown["transport"] == "tcp"
    assert load_pem_public_key(shown["public_key"].encode()) == identity.rsa_key.public_key()
