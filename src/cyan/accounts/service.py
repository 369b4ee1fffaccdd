"""The parts of accounts, put together."""

from collections.abc import Sequence
from dataclasses import dataclass

from cyan.accounts.blocks import audit_of_blocks
from cyan.accounts.clients import Clients
from cyan.accounts.lockout import Lockout, LockoutRules
from cyan.accounts.logins import Logins
from cyan.accounts.ownaccount import OwnAccount
from cyan.accounts.passwordreset import PasswordResets
from cyan.accounts.passwords import Passwords
from cyan.accounts.people import People
from cyan.accounts.secondfactor import SecondFactors
from cyan.accounts.signup import SignUp
from cyan.accounts.tokens import Tokens
from cyan.core.bus import Bus
from cyan.core.clock import Clock
from cyan.core.config import Config
from cyan.core.db.engine import Database
from cyan.core.mail import Outbox
from cyan.core.ports import AccountUse
from cyan.core.secrets import Vault


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings say of accounts. `api_url` stands in mails, and `reset_page` in those with
    a code for a new password."""

    sign_up: str = "closed"
    lockout: LockoutRules = LockoutRules()
    exempt_loopback: bool = False
    api_url: str = "http://localhost:8080"
    reset_page: str | None = None

    @classmethod
    def of(cls, config: Config, api_url: str) -> "Policy":
        rules = LockoutRules(
            by_address=config.login_failures,
            by_account=config.login_failures_account,
            block_s=config.login_block_s,
        )
        page = f"{api_url}/console/reset" if config.console == "on" else None
        return cls(config.sign_up, rules, config.limit_loopback == "no", api_url, page)


@dataclass(frozen=True, slots=True)
class Accounts:
    """Everything that can be done with accounts."""

    people: People
    tokens: Tokens
    clients: Clients
    second_factors: SecondFactors
    logins: Logins
    sign_up: SignUp
    resets: PasswordResets
    own: OwnAccount
    outbox: Outbox


def make_accounts(
    *,
    db: Database,
    clock: Clock,
    bus: Bus,
    vault: Vault,
    passwords: Passwords,
    people: People,
    tokens: Tokens,
    outbox: Outbox,
    policy: Policy,
    uses: Sequence[AccountUse] = (),
) -> Accounts:
    """`uses`: what features have of accounts, asked when one is to be deleted."""
    second_factors = SecondFactors(db, clock, bus, vault)
    lockout = Lockout(
        policy.lockout,
        clock,
        exempt_loopback=policy.exempt_loopback,
        on_block=audit_of_blocks(db, clock),
    )
    return Accounts(
        people=people,
        tokens=tokens,
        clients=Clients(db, clock, bus),
        second_factors=second_factors,
        logins=Logins(people, second_factors, lockout),
        sign_up=SignUp(db, clock, passwords, policy.sign_up),
        resets=PasswordResets(db, clock, bus, passwords, outbox, policy.api_url, policy.reset_page),
        own=OwnAccount(db, clock, bus, passwords, uses),
        outbox=outbox,
    )
