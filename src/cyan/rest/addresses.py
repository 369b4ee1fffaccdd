"""The address under which people find the API: printed, mailed and linked."""

from urllib.parse import urlsplit

from cyan.core.config import Config
from cyan.core.errors import ConfigError

LOOPBACK = "127.0.0.1"
EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104
"""Hosts to listen on that are none to connect to."""


def api_url(config: Config, http_port: int) -> str:
    """`public_url` if set, else scheme, host and port of the listener; without a slash at the end.

    Raises ConfigError for a `public_url` that is none.
    """
    if config.public_url:
        return _public(config.public_url)
    host = LOOPBACK if config.host in EVERYWHERE else config.host
    scheme = "https" if config.tls_certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{http_port}"


def _public(text: str) -> str:
    try:
        parts = urlsplit(text)
        _ = parts.port
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_good = False
    # Clients put their paths behind it as they are, so it has none of its own.
    if not is_good or parts.path not in ("", "/") or parts.query or parts.fragment or "@" in text:
        raise ConfigError(
            f"public_url is a scheme and a host, such as https://cloud.example.com, not {text!r}."
        )
    return text.rstrip("/")
