"""HTTP Basic: a name and a secret in the Authorization header (RFC 7617)."""

import base64


def basic_of(authorization: str | None) -> tuple[str, str] | None:
    """The name and the secret, or None when the header is absent, another scheme, or malformed."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except ValueError:  # no Base64, not even ASCII, or no UTF-8 in it
        return None
    name, colon, secret = text.partition(":")
    return (name, secret) if colon else None
