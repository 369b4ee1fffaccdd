"""The address under which people find the API."""

import pytest

from cyan.core.config import Config
from cyan.core.errors import ConfigError
from cyan.rest.addresses import api_url


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://127.0.0.1:8080"),
        ("::1", "http://[::1]:8080"),
        ("cloud.example.com", "http://cloud.example.com:8080"),
    ],
)
def test_it_is_where_the_server_listens(host: str, shown: str) -> None:
    assert api_url(Config(host=host), 8080) == shown


def test_with_a_certificate_it_is_https() -> None:
    config = Config(host="cloud.example.com", tls_certificate="a.crt", tls_key="a.key")
    assert api_url(config, 443) == "https://cloud.example.com:443"


@pytest.mark.parametrize("end", ["", "/"])
def test_a_public_url_goes_before_all(end: str) -> None:
    config = Config(public_url=f"https://cloud.example.com{end}", tls_certificate="a.crt")
    assert api_url(config, 8080) == "https://cloud.example.com"


@pytest.mark.parametrize(
    "text",
    [
        "cloud.example.com",
        "ftp://cloud.example.com",
        "https://",
        "https://cloud.example.com/api",
        "https://cloud.example.com?x=1",
        "https://cloud.example.com#x",
        "https://ada:secret@cloud.example.com",
        "https://cloud.example.com:http",
        "https://[::1",
    ],
)
def test_what_is_no_address_is_named_with_its_setting(text: str) -> None:
    with pytest.raises(ConfigError, match="public_url is a scheme and a host, such as https://"):
        api_url(Config(public_url=text), 8080)
