"""Who gets what at each route. `test_access.py` asks them all; a route without a row fails there.

The routes are those of the whole server; a new one needs its row here.
"""

from dataclasses import dataclass, field

from cyan.rest import unbuilt


@dataclass(frozen=True, slots=True)
class Expected:
    """A status, and what the JSON body has at least."""

    status: int
    body: dict[str, object] = field(default_factory=dict)


NO_TOKEN = Expected(
    400,
    {"error": "invalid_request", "error_description": "The access token was not found"},
)
EXPIRED = Expected(
    401,
    {"error": "invalid_token", "error_description": "The access token provided has expired."},
)
OWN_ONLY = Expected(200)
"""The route shows or changes what is the caller's own; a stranger has nothing to be kept from."""
DENIED = Expected(403, {"error": "Permission Denied"})
CLOSED = Expected(403, {"ok": False})
REFUSED = Expected(403, {"ok": False})
BAD_CODE = Expected(400, {"ok": False})
UNWELL = Expected(503, {"ok": False})
MISSING = Expected(404, {"ok": False})
"""What is asked for by name is looked for among the caller's own things only."""
UNKNOWN = Expected(404, {"ok": False, "error": "not_found"})
NO_TEXT = Expected(400, {"error": "bad_request"})
"""A query that is missing: what it finds is the caller's own (tests of the feature)."""
NOT_BUILT = Expected(501, {"ok": False, "error": "not_implemented"})


@dataclass(frozen=True, slots=True)
class Row:
    """What each of three gets who asks for Ada's things: Cleo is the stranger.

    `fields` is the JSON body that they send.
    """

    stranger: Expected
    nobody: Expected = NO_TOKEN
    expired: Expected = EXPIRED
    fields: dict[str, object] = field(default_factory=dict)


A_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7
Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==
-----END PUBLIC KEY-----
"""
"""Of P-256 (RFC 6979 §A.2.5)."""

BAD_LOGIN = Expected(400, {"error": "invalid_request"})

EDIT: dict[str, object] = {"ops": [{"op": "Set", "key": "LEVEL", "value": "hers"}]}

TABLE: dict[tuple[str, str], Row] = {
    ("POST", "/oauth/token"): Row(BAD_LOGIN, BAD_LOGIN, BAD_LOGIN),
    ("GET", "/v1/access_tokens"): Row(OWN_ONLY),
    ("GET", "/v1/products/{product}"): Row(NOT_BUILT),
    ("DELETE", "/v1/access_tokens"): Row(OWN_ONLY),
    ("GET", "/v1/access_tokens/current"): Row(OWN_ONLY),
    ("DELETE", "/v1/access_tokens/current"): Row(OWN_ONLY),
    # For Ada's handle a stranger gets the answer for one that does not exist; test_tokens.py shows
    # that nothing ends.
    ("DELETE", "/v1/access_tokens/{token}"): Row(Expected(200, {"ok": True})),
    ("GET", "/v1/user"): Row(OWN_ONLY),
    ("GET", "/v1/user/identify"): Row(OWN_ONLY),
    # Sign-up is closed unless a setting opens it.
    ("POST", "/v1/users"): Row(CLOSED, CLOSED, CLOSED),
    ("PUT", "/v1/user"): Row(OWN_ONLY, fields={"account_info": {}}),
    ("DELETE", "/v1/user"): Row(REFUSED, fields={"password": "not mine"}),
    # Everybody is told that a mail was sent, whoever's address it is.
    ("POST", "/v1/user/password-reset"): Row(
        OWN_ONLY, OWN_ONLY, OWN_ONLY, fields={"username": "ada@example.com"}
    ),
    ("PUT", "/v1/user/password-reset"): Row(
        BAD_CODE, BAD_CODE, BAD_CODE, fields={"token": "guessed", "password": "a good one"}
    ),
    ("GET", "/v1/user/mfa-enable"): Row(OWN_ONLY),
    ("POST", "/v1/user/mfa-enable"): Row(BAD_CODE, fields={"mfa_token": "x", "otp": "123456"}),
    ("PUT", "/v1/user/mfa-disable"): Row(REFUSED, fields={"current_password": "not mine"}),
    ("GET", "/v1/clients"): Row(OWN_ONLY),
    ("POST", "/v1/clients"): Row(OWN_ONLY, fields={"name": "lamp app", "type": "installed"}),
    ("PUT", "/v1/clients/{client}"): Row(MISSING, fields={"name": "mine"}),
    ("DELETE", "/v1/clients/{client}"): Row(MISSING),
    ("GET", "/v1/devices"): Row(OWN_ONLY),
    ("POST", "/v1/devices"): Row(
        Expected(403, {"ok": False, "errors": ["That belongs to someone else."]}),
        fields={"id": "{device}"},
    ),
    # A code is for a device that is in the caller's hand: there is nothing of Ada's in it.
    ("POST", "/v1/device_claims"): Row(OWN_ONLY),
    ("GET", "/v1/serial_numbers/{serial}"): Row(Expected(404, {"ok": False})),
    ("GET", "/v1/user/search"): Row(NO_TEXT),
    ("POST", "/v1/provisioning/{device}"): Row(DENIED, fields={"publicKey": A_KEY}),
    ("GET", "/v1/device_transfers"): Row(OWN_ONLY),
    ("PUT", "/v1/device_transfers/{transfer}"): Row(UNKNOWN, fields={"action": "accept"}),
    ("DELETE", "/v1/device_transfers/{transfer}"): Row(UNKNOWN),
    # Whoever has the secret of the owner's letter; nobody here has.
    ("GET", "/v1/device_transfers/{transfer}/decision"): Row(UNKNOWN, UNKNOWN, UNKNOWN),
    ("POST", "/v1/device_transfers/{transfer}/decision"): Row(UNKNOWN, UNKNOWN, UNKNOWN),
    ("GET", "/v1/devices/{device}"): Row(DENIED),
    ("PUT", "/v1/devices/{device}"): Row(DENIED, fields={"name": "mine"}),
    ("DELETE", "/v1/devices/{device}"): Row(DENIED),
    ("GET", "/v1/devices/{device}/firmware/updates"): Row(DENIED),
    ("GET", "/v1/devices/{device}/firmware/updates/{update}"): Row(DENIED),
    ("DELETE", "/v1/devices/{device}/firmware/updates/{update}"): Row(DENIED),
    ("PUT", "/v1/devices/{device}/ping"): Row(DENIED),
    ("POST", "/v1/diagnostics/{device}/update"): Row(DENIED),
    ("GET", "/v1/diagnostics/{device}"): Row(DENIED),
    ("GET", "/v1/diagnostics/{device}/last"): Row(DENIED),
    ("GET", "/v1/diagnostics/{device}/metadata"): Row(DENIED),
    ("GET", "/v1/diagnostics/{device}/summary"): Row(DENIED),
    ("GET", "/v1/devices/{device}/{variable}"): Row(DENIED),
    ("POST", "/v1/devices/{device}/{function}"): Row(DENIED),
    # Everybody publishes to themselves, and hears themselves.
    ("POST", "/v1/devices/events"): Row(OWN_ONLY, fields={"name": "temperature"}),
    ("GET", "/v1/devices/events"): Row(OWN_ONLY),
    ("GET", "/v1/devices/events/{prefix*}"): Row(OWN_ONLY),
    ("GET", "/v1/event_log"): Row(OWN_ONLY),
    ("GET", "/v1/events"): Row(Expected(400, {"error": "event prefix filter is required"})),
    ("GET", "/v1/events/{prefix*}"): Row(OWN_ONLY),
    ("GET", "/v1/devices/{device}/events"): Row(DENIED),
    ("GET", "/v1/devices/{device}/events/{prefix*}"): Row(DENIED),
    ("GET", "/v1/env"): Row(OWN_ONLY),
    ("PATCH", "/v1/env"): Row(OWN_ONLY, fields=EDIT),
    ("GET", "/v1/env/render"): Row(OWN_ONLY),
    ("GET", "/v1/env/rollout"): Row(OWN_ONLY),
    ("POST", "/v1/env/rollout"): Row(OWN_ONLY, fields={"when": "Connect"}),
    ("PUT", "/v1/env/{key}"): Row(Expected(400), fields={"value": "hers"}),
    ("DELETE", "/v1/env/{key}"): Row(Expected(400)),
    ("GET", "/v1/env/{device}"): Row(DENIED),
    ("PATCH", "/v1/env/{device}"): Row(DENIED, fields=EDIT),
    ("GET", "/v1/env/{device}/render"): Row(DENIED),
    ("GET", "/v1/env/{device}/rollout"): Row(DENIED),
    ("POST", "/v1/env/{device}/rollout"): Row(DENIED, fields={"when": "Connect"}),
    ("PUT", "/v1/env/{device}/{key}"): Row(DENIED, fields={"value": "hers"}),
    ("DELETE", "/v1/env/{device}/{key}"): Row(DENIED),
    ("GET", "/v1/ledgers"): Row(OWN_ONLY),
    ("POST", "/v1/ledgers"): Row(
        Expected(201), fields={"ledger": {"name": "hers", "scope": "Owner"}}
    ),
    ("GET", "/v1/ledgers/{ledger}"): Row(MISSING),
    ("PUT", "/v1/ledgers/{ledger}"): Row(MISSING, fields={"ledger": {"description": "hers"}}),
    ("DELETE", "/v1/ledgers/{ledger}"): Row(MISSING),
    ("GET", "/v1/ledgers/{ledger}/instances"): Row(MISSING),
    ("GET", "/v1/ledgers/{ledger}/instances/{scope}"): Row(MISSING),
    ("PUT", "/v1/ledgers/{ledger}/instances/{scope}"): Row(
        MISSING, fields={"instance": {"data": {"by": "her"}}}
    ),
    ("DELETE", "/v1/ledgers/{ledger}/instances/{scope}"): Row(MISSING),
    ("GET", "/v1/ledgers/{ledger}/instances/{scope}/versions"): Row(MISSING),
    ("GET", "/v1/ledgers/{ledger}/instances/{scope}/versions/{version}"): Row(MISSING),
    ("GET", "/v1/libraries"): Row(OWN_ONLY),
    ("POST", "/v1/libraries"): Row(Expected(400, {"ok": False})),
    ("POST", "/v1/libraries/{library}"): Row(Expected(400, {"ok": False})),
    ("GET", "/v1/libraries/{library}"): Row(MISSING),
    ("PATCH", "/v1/libraries/{library}"): Row(MISSING, fields={"visibility": "public"}),
    ("DELETE", "/v1/libraries/{library}"): Row(MISSING),
    ("GET", "/v1/libraries/{library}/versions"): Row(MISSING),
    # Whoever has the link may follow it: clients ask for archives without a token.
    ("GET", "/libs/{file}"): Row(MISSING, MISSING, MISSING),
    ("GET", "/libs/{key}/{file}"): Row(MISSING, MISSING, MISSING),
    # Device OS is no secret, and the CLI fetches its files without a token.
    ("GET", "/v1/device-os/versions"): Row(OWN_ONLY),
    ("GET", "/v1/device-os/versions/{version}"): Row(MISSING),
    ("GET", "/v1/firmware/device-os/{version}/{file}"): Row(MISSING, MISSING, MISSING),
    ("GET", "/v1/system_firmware/upgrade"): Row(NO_TEXT),
    ("POST", "/v1/binaries"): Row(NO_TEXT),
    ("GET", "/v1/binaries/{binary}"): Row(MISSING),
    ("DELETE", "/v1/binaries/{binary}"): Row(MISSING),
    # A list of build targets may be read without a token, but a bad one is refused (§1.2).
    ("GET", "/v1/build_targets"): Row(OWN_ONLY, nobody=OWN_ONLY),
    ("GET", "/v1/secrets"): Row(OWN_ONLY),
    ("POST", "/v1/secrets"): Row(Expected(201), fields={"name": "KEY", "value": "hers"}),
    ("GET", "/v1/secrets/{secret}"): Row(MISSING),
    ("PUT", "/v1/secrets/{secret}"): Row(Expected(400), fields={"value": "hers"}),
    ("DELETE", "/v1/secrets/{secret}"): Row(MISSING),
    # The server of these tests has no open ports, and says so to everybody.
    ("GET", "/health"): Row(UNWELL, UNWELL, UNWELL),
    ("GET", "/openapi.json"): Row(Expected(200), Expected(200), Expected(200)),
    # The tests ask from this machine.
    ("GET", "/metrics"): Row(Expected(200), nobody=Expected(200)),
}

PUBLIC_BUT_NOT_BUILT = {
    ("POST", "/v1/products/{product}/customers"),
}
"""rest-api-core.md §1.2: no token is asked for."""

TABLE |= {
    (route.method, route.path): Row(NOT_BUILT, NOT_BUILT, NOT_BUILT)
    if (route.method, route.path) in PUBLIC_BUT_NOT_BUILT
    else Row(NOT_BUILT)
    for route in unbuilt.routes()
}
