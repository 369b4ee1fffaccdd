"""The second factor: one-time codes of an app (TOTP, RFC 6238), and the tokens around them.

The `mfa_token` of a login or an enrolment is sealed by the vault and says all that the next step
needs, so that nothing of a half-done login is kept here.
"""

import base64
import binascii
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final, TypeVar

import msgspec
import pyotp
from sqlalchemy import Connection

from cyan.accounts import proofstore, store
from cyan.accounts.model import (
    CHALLENGE_LIFE_S,
    ENROLMENT_LIFE_S,
    AlreadyEnabledError,
    EnrolmentError,
    TokensRevoked,
    User,
    WrongCodeError,
)
from cyan.accounts.people import require_account
from cyan.accounts.tokens import digest, revoke_in
from cyan.audit.store import record
from cyan.core.bus import Bus
from cyan.core.clock import Clock
from cyan.core.db.engine import Database
from cyan.core.ids import UserId
from cyan.core.secrets import SealBrokenError, Vault

STEP_S: Final = 30
"""One code's time (RFC 6238 §5.2)."""

DRIFT_STEPS: Final = 1
"""How far a phone's clock may be off, in codes before and after (RFC 6238 §6)."""

CODE_DIGITS: Final = 6

MAX_TOKEN_CHARACTERS: Final = 2000
"""Ours have some 300."""

ISSUER: Final = "Cyan"

_SECRET: Final = b"accounts.totp"
_ENROLMENT: Final = b"accounts.totp-enrolment"
_CHALLENGE: Final = b"accounts.totp-challenge"


class Enrolment(msgspec.Struct, frozen=True):
    """A second factor that waits for its first code."""

    user_id: str
    secret: str
    """Base32, as apps take it."""
    ends_at_ms: int


class Challenge(msgspec.Struct, frozen=True):
    """A login whose password was right, and which waits for its code."""

    user_id: str
    checked_hash: bytes
    """Digest of the password hash that was checked: a changed password ends the login."""
    client_id: str
    expires_in_s: int
    ends_at_ms: int


@dataclass(frozen=True, slots=True)
class Offer:
    """What a person needs to set up their app. `qr_url` holds the secret too."""

    mfa_token: str
    qr_url: str
    secret: str

    def __repr__(self) -> str:
        return "Offer(…)"


Sealed = TypeVar("Sealed", Enrolment, Challenge)


class SecondFactors:
    """Everyone's second factors."""

    def __init__(self, db: Database, clock: Clock, bus: Bus, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._bus = bus
        self._vault = vault

    def is_on(self, user_id: UserId) -> bool:
        return proofstore.has_totp(self._db, user_id)

    def offer(self, user: User) -> Offer:
        """A new secret; nothing changes until `enable`. Raises AlreadyEnabledError."""
        if self.is_on(user.id):
            raise AlreadyEnabledError
        secret = pyotp.random_base32()
        ends_at_ms = self._clock.now_ms() + ENROLMENT_LIFE_S * 1000
        token = self._seal(Enrolment(user.id, secret, ends_at_ms), _ENROLMENT)
        url = pyotp.TOTP(secret).provisioning_uri(name=user.username, issuer_name=ISSUER)
        return Offer(token, url, secret)

    async def enable(
        self, user_id: UserId, mfa_token: str, code: str, *, revoke_tokens: bool
    ) -> None:
        """Turn it on: from now on a login needs a code. `revoke_tokens` ends all tokens.

        Raises EnrolmentError, WrongCodeError, AlreadyEnabledError.
        """
        enrolment = self._open(mfa_token, _ENROLMENT, Enrolment)
        if enrolment is None or enrolment.user_id != user_id:
            raise EnrolmentError
        now_ms = self._clock.now_ms()
        step = _matching_step(enrolment.secret, code, now_ms, after=0)
        if step is None:
            raise WrongCodeError
        sealed = self._vault.seal(enrolment.secret.encode(), _SECRET + user_id.encode())

        def work(connection: Connection) -> tuple[str, ...]:
            require_account(connection, user_id)
            if proofstore.totp_of(connection, user_id) is not None:
                raise AlreadyEnabledError
            proofstore.add_totp(connection, user_id, sealed, step, now_ms)
            actor = f"user:{user_id}"
            record(connection, actor, "user.mfa_enabled", f"user:{user_id}", at_ms=now_ms)
            ended = store.of_user(connection, user_id) if revoke_tokens else []
            revoke_in(connection, ended, actor, now_ms)
            return tuple(token.id for token in ended)

        ended = await self._db.write(work)
        if ended:
            self._bus.publish(TokensRevoked(ended))

    async def disable(self, user_id: UserId) -> None:
        """Turn it off; the password was checked before. Nothing happens when it was off."""
        actor, at_ms = f"user:{user_id}", self._clock.now_ms()
        await self._db.write(lambda connection: disable_in(connection, user_id, actor, at_ms))

    async def uses(self, user_id: UserId, code: str) -> bool:
        """Whether this code is right; then it is used, and so are those before it.

        Raises SealBrokenError when the data folder's key is not the one of the stored secret.
        """
        now_ms = self._clock.now_ms()

        def work(connection: Connection) -> bool:
            found = proofstore.totp_of(connection, user_id)
            if found is None:
                return False
            secret = self._vault.open(found[0], _SECRET + user_id.encode()).decode()
            step = _matching_step(secret, code, now_ms, after=found[1])
            if step is None:
                return False
            proofstore.use_totp_step(connection, user_id, step)
            return True

        return await self._db.write(work)

    def challenge(
        self, user_id: UserId, checked_hash: str, client_id: str, expires_in_s: int
    ) -> str:
        """The mfa_token of a login."""
        ends_at_ms = self._clock.now_ms() + CHALLENGE_LIFE_S * 1000
        value = Challenge(user_id, digest(checked_hash), client_id, expires_in_s, ends_at_ms)
        return self._seal(value, _CHALLENGE)

    def read_challenge(self, mfa_token: str, client_id: str) -> Challenge | None:
        """The login that waits, if this client began it and it has not ended."""
        challenge = self._open(mfa_token, _CHALLENGE, Challenge)
        return challenge if challenge is not None and challenge.client_id == client_id else None

    def _seal(self, value: Enrolment | Challenge, purpose: bytes) -> str:
        sealed = self._vault.seal(msgspec.json.encode(value), purpose)
        return base64.urlsafe_b64encode(sealed).decode()

    def _open(self, token: str, purpose: bytes, kind: type[Sealed]) -> Sealed | None:
        if len(token) > MAX_TOKEN_CHARACTERS:
            return None
        try:
            sealed = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
            value = msgspec.json.decode(self._vault.open(sealed, purpose), type=kind)
        except (binascii.Error, UnicodeEncodeError, SealBrokenError):
            return None
        return value if value.ends_at_ms > self._clock.now_ms() else None


def disable_in(connection: Connection, user_id: UserId, actor: str, at_ms: int) -> bool:
    """Turn a second factor off inside a transaction; whether it was on."""
    was_on = proofstore.delete_totp(connection, user_id)
    if was_on:
        record(connection, actor, "user.mfa_disabled", f"user:{user_id}", at_ms=at_ms)
    return was_on


def _matching_step(secret: str, code: str, now_ms: int, *, after: int) -> int | None:
    """The time step of a code that is right now and later than `after`."""
    code = code.strip()
    if len(code) != CODE_DIGITS or not (code.isascii() and code.isdigit()):
        return None
    totp = pyotp.TOTP(secret)
    now_step = now_ms // 1000 // STEP_S
    for step in range(now_step - DRIFT_STEPS, now_step + DRIFT_STEPS + 1):
        if step > after and compare_digest(totp.generate_otp(step), code):
            return step
    return None
