"""Accounts whole, as the server has them, with mail that lands in a list."""

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import pytest

from cyan.accounts.api import routes
from cyan.accounts.lockout import LockoutRules
from cyan.accounts.passwords import Passwords
from cyan.accounts.people import People
from cyan.accounts.service import Accounts, Policy, make_accounts
from cyan.accounts.tokens import Tokens
from cyan.core.bus import Bus
from cyan.core.db.engine import Database
from cyan.core.mail import Outbox
from cyan.core.ports import AccountUse, Mail
from cyan.core.secrets import Vault
from tests.clock import HandClock
from tests.conftest import Serve

Make = Callable[..., "Desk"]


@dataclass(slots=True)
class Mailbox:
    """A mailer that keeps what it is given."""

    mails: list[Mail] = field(default_factory=list)

    async def send(self, mail: Mail) -> None:
        self.mails.append(mail)


@dataclass(frozen=True, slots=True)
class Desk:
    """Accounts, an HTTP client of their routes, and the mail that went out."""

    accounts: Accounts
    client: httpx.AsyncClient
    mailbox: Mailbox

    async def login(self, **changes: str) -> httpx.Response:
        """What particle-cli posts, with other fields laid over it."""
        fields = {
            "grant_type": "password",
            "client_id": "particle-cli",
            "client_secret": "particle-cli",
            **changes,
        }
        return await self.client.post("/oauth/token", data=fields)

    async def mails(self) -> list[Mail]:
        """What has been sent, once all that waits is done."""
        await self.accounts.outbox.drain()
        return self.mailbox.mails


@pytest.fixture
def vault() -> Vault:
    return Vault(b"k" * 32)


@pytest.fixture
def make_desk(
    serve: Serve,
    db: Database,
    clock: HandClock,
    bus: Bus,
    vault: Vault,
    passwords: Passwords,
    people: People,
    tokens: Tokens,
) -> Make:
    """`make_desk(sign_up=…, lockout=…, uses=…)`; sign-up is open unless it is said."""

    def make(
        sign_up: str = "open",
        lockout: LockoutRules | None = None,
        uses: tuple[AccountUse, ...] = (),
        exempt_loopback: bool = False,
    ) -> Desk:
        mailbox = Mailbox()
        accounts = make_accounts(
            db=db,
            clock=clock,
            bus=bus,
            vault=vault,
            passwords=passwords,
            people=people,
            tokens=tokens,
            outbox=Outbox(mailbox),
            policy=Policy(sign_up, lockout or LockoutRules(), exempt_loopback, "https://cyan.test"),
            uses=uses,
        )
        return Desk(accounts, serve(routes(accounts)), mailbox)

    return make


@pytest.fixture
def desk(make_desk: Make) -> Desk:
    return make_desk()


@pytest.fixture
def client(desk: Desk) -> httpx.AsyncClient:
    return desk.client
