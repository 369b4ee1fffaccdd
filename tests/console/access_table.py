"""Whom each page of the console is for. `test_access.py` asks them all; a page without a row fails.

The pages are those of the whole console; a new one needs its row here.
"""

from typing import Final

ANYONE: Final = frozenset(
    {
        ("GET", "/console/static/{file*}"),
        ("GET", "/console/sign-in"),
        ("POST", "/console/sign-in"),
        ("POST", "/console/sign-in/code"),
        ("POST", "/console/sign-out"),
        ("GET", "/console/sign-up"),
        ("POST", "/console/sign-up"),
        ("GET", "/console/forgotten"),
        ("POST", "/console/forgotten"),
        ("GET", "/console/reset"),
        ("POST", "/console/reset"),
    }
)

OWN_ONLY: Final = frozenset(
    {
        ("GET", "/console"),
        ("GET", "/console/welcome"),
        ("GET", "/console/welcome/{file}"),
        ("GET", "/console/account"),
        ("POST", "/console/account/profile"),
        ("POST", "/console/account/username"),
        ("POST", "/console/account/delete"),
        ("GET", "/console/account/security"),
        ("POST", "/console/account/security/password"),
        ("POST", "/console/account/security/sessions"),
        ("POST", "/console/account/security/sessions/{session}"),
        ("GET", "/console/account/security/second-factor"),
        ("POST", "/console/account/security/second-factor"),
        ("POST", "/console/account/security/second-factor/off"),
        ("GET", "/console/account/apps"),
        ("POST", "/console/account/apps/tokens"),
        ("POST", "/console/account/apps/tokens/{token}"),
        ("POST", "/console/account/apps/clients"),
        ("POST", "/console/account/apps/clients/{client}"),
        ("POST", "/console/account/apps/clients/{client}/delete"),
        ("GET", "/console/account/environment"),
        ("POST", "/console/account/environment"),
        ("POST", "/console/account/environment/remove"),
        ("POST", "/console/account/environment/rollout"),
        ("GET", "/console/account/ledgers"),
        ("POST", "/console/account/ledgers"),
        ("GET", "/console/account/ledgers/{ledger}"),
        ("POST", "/console/account/ledgers/{ledger}"),
        ("POST", "/console/account/ledgers/{ledger}/description"),
        ("POST", "/console/account/ledgers/{ledger}/archive"),
        ("POST", "/console/account/ledgers/{ledger}/delete"),
        ("GET", "/console/account/secrets"),
        ("POST", "/console/account/secrets"),
        ("POST", "/console/account/secrets/delete"),
        ("GET", "/console/account/history"),
        ("GET", "/console/devices"),
        ("GET", "/console/devices/live"),
        ("POST", "/console/devices/act"),
        ("POST", "/console/devices/claim-many"),
        ("GET", "/console/devices/transfers"),
        ("POST", "/console/devices/transfers/{transfer}/accept"),
        ("POST", "/console/devices/transfers/{transfer}/refuse"),
        ("POST", "/console/devices/transfers/{transfer}/withdraw"),
        ("GET", "/console/events"),
        ("GET", "/console/events/live"),
        ("GET", "/console/events/history"),
        ("POST", "/console/events/publish"),
    }
)
"""Shows or changes what is the person's own; a stranger has nothing to be kept from."""

OPERATOR: Final = frozenset({("GET", "/console/server"), ("GET", "/console/server/live")})
"""For others they do not exist."""

OF_A_DEVICE: Final = "/console/devices/{device}"
"""Pages below this path: not found for a stranger, whether the device exists or not."""

CLAIM: Final = ("POST", "/console/devices/claim")
"""A stranger is told that the device is somebody's: `test_devices.py` shows it."""
