"""Key derivation against a published vector; captured sessions test the rest of it."""

import pytest

from cyan.wire.dtls.key_schedule import extended_master_secret, master_secret, prf

# The TLS 1.2 P_SHA256 test vector of the IETF TLS mailing list (2008), used by many TLS libraries.
SECRET = bytes.fromhex("9bbe436ba940f017b17652849a71db35")
SEED = bytes.fromhex("a0ba9f936cda311827a6f796ffd5198c")
OUTPUT = bytes.fromhex(
    "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a"
    "6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab"
    "4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701"
    "87347b66"
)


@pytest.mark.parametrize("length", [1, 31, 32, 33, 100])
def test_the_prf_gives_the_published_output_cut_to_any_length(length: int) -> None:
    assert prf(SECRET, b"test label", SEED, length) == OUTPUT[:length]


def test_the_two_master_secrets_differ_in_label_and_seed() -> None:
    classic = master_secret(SECRET, SEED, SECRET)
    extended = extended_master_secret(SECRET, SEED + SECRET)
    assert classic == prf(SECRET, b"master secret" + SEED + SECRET, b"", 48)
    assert extended == prf(SECRET, b"extended master secret" + SEED + SECRET, b"", 48)
    assert classic != extended
