"""Failed logins: how many an address and an account may have in a row, and what then.

The platform blocks an address for 30 minutes after 10 in a row (rest-api-core.md §2.4). An account
has a limit too, for guesses from many addresses; names that have no account are counted alike.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import structlog
from prometheus_client import Counter

from cyan.core.clock import Clock
from cyan.core.errors import CyanError
from cyan.core.metrics import REGISTRY
from cyan.rest.ratelimit import Windows, is_loopback, network_of

MAX_AT_A_TIME: Final = 8
"""Logins of one address that wait for their answer: nobody fills the queue of hashes alone."""

_TRUST_S: Final = 30 * 24 * 3600.0
"""How long an address at which an account logged in is kept apart from strangers' guesses."""

_BUSY_S: Final = 1.0

_attempts = Counter(
    "cyan_logins",
    "Logins and other proofs by password or one-time code, by outcome.",
    ("outcome",),
    registry=REGISTRY,
)

_log = structlog.get_logger(__name__)


class LockedOutError(CyanError):
    """Too many failed logins. Try again later."""

    def __init__(self, wait_s: float) -> None:
        minutes = int(wait_s / 60) + 1
        super().__init__(f"Too many failed logins. Try again in {minutes} minutes.")
        self.wait_s = wait_s


class BusyAddressError(CyanError):
    """Too many logins of your address are waiting. Try again in a moment."""

    wait_s = _BUSY_S


@dataclass(frozen=True, slots=True)
class LockoutRules:
    """How many failures in a row; 0: no limit."""

    by_address: int = 10
    by_account: int = 50
    block_s: float = 1800.0


class Attempt:
    """One try to prove who one is. When neither is called, nothing is counted."""

    __slots__ = ("_lockout", "account", "limit", "name", "network")

    def __init__(self, lockout: "Lockout", network: str | None, name: str, limit: int) -> None:
        self._lockout = lockout
        self.network = network
        """None for one that is not counted."""
        self.name = name
        self.account = _key(name)
        self.limit = limit
        """Failures in a row of this account, from wherever."""

    def failed(self) -> None:
        self._lockout.count_failure(self)

    def passed(self) -> None:
        self._lockout.count_success(self)


class Lockout:
    """Counts failures by address and by account. A success takes back the failures of its own
    account only: whoever has an account must not wash off guesses at others."""

    def __init__(
        self,
        rules: LockoutRules,
        clock: Clock,
        *,
        exempt_loopback: bool = False,
        on_block: Callable[[str], None] | None = None,
    ) -> None:
        """`on_block` is told what was blocked: `address:<network>`, or the account as it was
        named. It must not take longer for one that exists."""
        self._rules = rules
        self._on_block = on_block
        self._exempt_loopback = exempt_loopback
        self._by_network = Windows(clock, rules.block_s)
        self._by_account = Windows(clock, rules.block_s)
        self._by_both = Windows(clock, rules.block_s)
        self._trusted = Windows(clock, _TRUST_S)
        self._waiting: dict[str, int] = {}

    @contextmanager
    def attempt(self, host: str, account: str, limit: int | None = None) -> Iterator[Attempt]:
        """Enter before anything is looked up. `limit`: another one for this account.

        Raises LockedOutError, BusyAddressError.
        """
        account_limit = self._rules.by_account if limit is None else limit
        if self._exempt_loopback and is_loopback(host):
            yield Attempt(self, None, account, account_limit)
            return
        network = network_of(host)
        attempt = Attempt(self, network, account, account_limit)
        self._refuse_blocked(attempt)
        waiting = self._waiting.get(network, 0)
        if waiting >= MAX_AT_A_TIME:
            _attempts.labels("busy").inc()
            raise BusyAddressError
        self._waiting[network] = waiting + 1
        try:
            yield attempt
        finally:
            self._waiting[network] -= 1
            if not self._waiting[network]:
                del self._waiting[network]

    def count_failure(self, attempt: Attempt) -> None:
        _attempts.labels("failed").inc()
        if attempt.network is None:
            return
        self._by_both.add((attempt.network, attempt.account), extend=True)
        if self._by_account.add(attempt.account, extend=True) == attempt.limit:
            self._blocked(attempt.name)
        if self._by_network.add(attempt.network, extend=True) == self._rules.by_address:
            _log.warning("login.address_blocked", address=attempt.network)
            self._blocked(f"address:{attempt.network}")

    def count_success(self, attempt: Attempt) -> None:
        _attempts.labels("passed").inc()
        self._by_account.forget(attempt.account)
        if attempt.network is None:
            return
        both = (attempt.network, attempt.account)
        self._by_network.add(attempt.network, -self._by_both.count(both))
        self._by_both.forget(both)
        self._trusted.add(both, extend=True)

    def unblock(self, account: str) -> None:
        """Forget the failures of an account; the operator asked for it."""
        self._by_account.forget(_key(account))

    def _blocked(self, what: str) -> None:
        if self._on_block is not None:
            self._on_block(what)

    def _refuse_blocked(self, attempt: Attempt) -> None:
        wait_s = 0.0
        by_address = self._rules.by_address
        if 0 < by_address <= self._by_network.count(attempt.network):
            wait_s = self._by_network.ends_in_s(attempt.network)
        is_trusted = self._trusted.count((attempt.network, attempt.account)) > 0
        if not is_trusted and 0 < attempt.limit <= self._by_account.count(attempt.account):
            wait_s = max(wait_s, self._by_account.ends_in_s(attempt.account))
        if wait_s:
            _attempts.labels("blocked").inc()
            raise LockedOutError(wait_s)


def _key(account: str) -> bytes:
    """Names of strangers' invention can have any length."""
    return blake2b(account.strip().lower().encode("utf-8", "replace"), digest_size=16).digest()
