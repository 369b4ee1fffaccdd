"""`particle keys send --product_id`."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.compat.clients import ParticleCli

PHOTON_2 = "32"


@pytest.fixture
def key_file(cli: ParticleCli) -> Path:
    key = generate_private_key(SECP256R1()).public_key()
    file = cli.home / "device.pub.pem"
    file.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return file


def test_the_number_of_a_platform_is_taken(cli: ParticleCli, key_file: Path) -> None:
    device = "e00fce68" + "0" * 14 + "0a"
    said = cli.succeed("keys", "send", device, key_file.name, "--product_id", PHOTON_2)
    assert "submitting public key succeeded!" in said


def test_a_product_is_refused_and_the_person_told_why(cli: ParticleCli, key_file: Path) -> None:
    device = "e00fce68" + "0" * 14 + "0b"
    outcome = cli.run("keys", "send", device, key_file.name, "--product_id", "12345")
    assert outcome.code == 1
    assert "this server has no products yet" in " ".join(outcome.lines)
