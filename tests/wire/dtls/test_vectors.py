"""The reader of the captured sessions reads all of them; other tests stand on it."""

import pytest

from tests.wire import vectors


@pytest.mark.parametrize("name", vectors.UDP_LOGS)
def test_every_coap_line_of_every_log_is_read(name: str) -> None:
    lines = vectors.coap_lines(name)
    assert lines
    hellos = [line for line in lines if line.options == ((11, b"h"),)]
    assert all(line.from_device and len(line.payload) == 32 for line in hellos)
    assert hellos


@pytest.mark.parametrize("name", vectors.WITH_MASTER_SECRET)
def test_a_log_with_keys_has_one_secret_and_one_client_key_a_handshake(name: str) -> None:
    assert [len(secret) for secret in vectors.master_secrets(name)] == [48] * len(
        vectors.client_keys(name)
    )
    assert {len(key) for key in vectors.client_keys(name)} == {91}


def test_option_values_that_are_no_text_are_read_from_their_hex() -> None:
    options = {
        option for line in vectors.coap_lines("udp-ota3-lossy.log") for option in line.options
    }
    assert {(2065, b"\x02\x00"), (2057, b"Nj"), (2049, b"'"), (2049, b"\x10")} <= options
    assert (15, b"\x01") in options
    assert (12, b"*") in options
