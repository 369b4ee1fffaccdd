"""The same seed gives the same devices."""

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from cyan.sim.identity import ID_PREFIX, make_identities


def test_a_larger_count_only_adds_devices() -> None:
    few = [identity.describe() for identity in make_identities("seed", 3)]
    many = [identity.describe() for identity in make_identities("seed", 5)]
    assert many[:3] == few


def test_ids_and_names_are_all_different() -> None:
    identities = make_identities("seed", 5000)
    assert len({identity.device_id for identity in identities}) == 5000
    assert len({identity.name for identity in identities}) == 5000


def test_ids_are_24_hex_digits_with_the_prefix() -> None:
    for identity in make_identities("seed", 20):
        assert len(bytes.fromhex(identity.device_id)) == 12
        assert identity.device_id.startswith(ID_PREFIX)


def test_names_are_lower_case_words() -> None:
    assert all(
        identity.name.replace("_", "").isalnum() and identity.name == identity.name.lower()
        for identity in make_identities("seed", 2000)
    )


def test_the_public_key_is_that_of_the_private_key() -> None:
    (identity,) = make_identities("seed", 1)
    assert load_pem_public_key(identity.public_key_pem.encode()) == identity.key.public_key()


def test_another_seed_gives_other_devices() -> None:
    one, two = (make_identities(seed, 1)[0] for seed in ("one", "two"))
    assert one.device_id != two.device_id
    assert one.public_key_pem != two.public_key_pem
