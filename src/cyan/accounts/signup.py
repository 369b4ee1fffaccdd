"""Sign-up: who may make an account over the API, and invitations to it.

Where sign-up is open, that a name is taken cannot be kept from anyone, since they could make the
account and see; where it needs an invitation, only who holds the one for that name learns it.
"""

from sqlalchemy import Connection

from cyan.accounts import proofstore, store
from cyan.accounts.model import (
    INVITATION_LIFE_S,
    InvitationError,
    Profile,
    SignUpClosedError,
    UsernameTakenError,
    check_new_password,
    parse_username,
)
from cyan.accounts.passwords import Passwords
from cyan.accounts.tokens import digest
from cyan.audit.store import OPERATOR, record
from cyan.core.clock import Clock, iso_ms
from cyan.core.db.engine import Database
from cyan.core.ids import UserId, new_object_id, new_token
from cyan.core.ports import Mail


class SignUp:
    """Makes accounts for those who ask. `policy`: `closed`, `invited` or `open`."""

    def __init__(self, db: Database, clock: Clock, passwords: Passwords, policy: str) -> None:
        self._db = db
        self._clock = clock
        self._passwords = passwords
        self._policy = policy

    async def create(
        self, username: str, password: str, profile: Profile, invitation: str | None
    ) -> UserId:
        """Make an account.

        Raises SignUpClosedError, InvitationError, MalformedUsernameError, PasswordLengthError,
        UsernameTakenError, TooManyLoginsError.
        """
        if self._policy == "closed":
            raise SignUpClosedError
        proof = digest(invitation) if invitation and self._policy == "invited" else None
        if self._policy == "invited":
            self._require(proof)
        name = parse_username(username)
        check_new_password(password)
        hashed = await self._passwords.hash(password)
        now_ms = self._clock.now_ms()
        user_id = UserId(new_object_id())

        def work(connection: Connection) -> None:
            # A code is for one name: who has it learns nothing of others.
            if proof is not None and proofstore.invitation(connection, proof, now_ms) != name:
                raise InvitationError
            if store.user_by_name(connection, name) is not None:
                raise UsernameTakenError
            store.add_user(connection, user_id, name, hashed, False, now_ms)
            if profile != Profile():
                store.set_profile(connection, user_id, profile)
            proofstore.delete_invitations(connection, name, now_ms)
            detail: dict[str, object] = {"username": name, "sign_up": self._policy}
            subject = f"user:{user_id}"
            record(connection, subject, "user.created", subject, detail, at_ms=now_ms)

        await self._db.write(work)
        return user_id

    def _require(self, proof: bytes | None) -> None:
        """So that no hash is made for a stranger."""
        now_ms = self._clock.now_ms()
        if proof is None or not proofstore.has_invitation(self._db, proof, now_ms):
            raise InvitationError


def invite(
    db: Database, clock: Clock, username: str, life_s: int = INVITATION_LIFE_S
) -> tuple[str, int]:
    """A code that lets this person sign up, in place of an earlier one, and when it ends (ms); for
    the command, waits.

    Raises MalformedUsernameError, UsernameTakenError.
    """
    name = parse_username(username)
    code, now_ms = new_token(), clock.now_ms()
    ends_at_ms = now_ms + life_s * 1000

    def work(connection: Connection) -> None:
        if store.user_by_name(connection, name) is not None:
            raise UsernameTakenError
        proofstore.delete_invitations(connection, name, now_ms)
        proofstore.add_invitation(connection, digest(code), name, now_ms, ends_at_ms)
        record(connection, OPERATOR, "user.invited", f"username:{name}"[:128], at_ms=now_ms)

    db.write_blocking(work)
    return code, ends_at_ms


def invitation_mail(username: str, code: str, ends_at_ms: int) -> Mail:
    """What the invited person is written."""
    text = (
        "You are invited to make an account.\n\n"
        f"Your code, good until {iso_ms(ends_at_ms)} and once:\n\n    {code}\n\n"
        f"Sign up with it as {username.strip().lower()}.\n"
    )
    return Mail(username.strip().lower(), "Your invitation", text, "invitation")
