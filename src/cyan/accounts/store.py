"""The SQL of accounts: users, what belongs to them, and their tokens."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    LargeBinary,
    Row,
    String,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from cyan.accounts.model import Client, ClientType, Profile, Token, User
from cyan.core.db.engine import Database
from cyan.core.db.schema import metadata
from cyan.core.ids import UserId

users = Table(
    "accounts_user",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("username", String(254), nullable=False, unique=True),
    Column("password_hash", String(255)),
    Column("is_operator", Boolean, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("password_changed_at_ms", BigInteger),
)

tokens = Table(
    "accounts_token",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("sha256", LargeBinary(32), nullable=False, unique=True),
    Column("user_id", String(24), ForeignKey("accounts_user.id"), nullable=False, index=True),
    Column("client_id", String(64), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger),
    Column("refresh_sha256", LargeBinary(32), unique=True),
    Column("refresh_expires_at_ms", BigInteger),
)

profiles = Table(
    "accounts_profile",
    metadata,
    Column("user_id", String(24), ForeignKey("accounts_user.id"), primary_key=True),
    Column("first_name", String(100), nullable=False),
    Column("last_name", String(100), nullable=False),
    Column("business_account", Boolean, nullable=False),
    Column("company_name", String(100), nullable=False),
)

totp = Table(
    "accounts_totp",
    metadata,
    Column("user_id", String(24), ForeignKey("accounts_user.id"), primary_key=True),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("enabled_at_ms", BigInteger, nullable=False),
    Column("last_step", BigInteger, nullable=False),
)

clients = Table(
    "accounts_client",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("owner_id", String(24), ForeignKey("accounts_user.id"), nullable=False, index=True),
    Column("name", String(64), nullable=False),
    Column("type", String(16), nullable=False),
    Column("secret_sha256", LargeBinary(32), nullable=False),
    Column("redirect_uri", Text),
    Column("scope", String(200)),
    Column("created_at_ms", BigInteger, nullable=False),
)

invitations = Table(
    "accounts_invitation",
    metadata,
    Column("sha256", LargeBinary(32), primary_key=True),
    Column("username", String(254), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
)

resets = Table(
    "accounts_reset",
    metadata,
    Column("user_id", String(24), ForeignKey("accounts_user.id"), primary_key=True),
    Column("sha256", LargeBinary(32), nullable=False, unique=True),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
)

_USER_COLUMNS = (
    users.c.id,
    users.c.username,
    users.c.is_operator,
    users.c.password_hash,
    users.c.created_at_ms,
)
_TOKEN_COLUMNS = (
    tokens.c.id,
    tokens.c.user_id,
    tokens.c.client_id,
    tokens.c.created_at_ms,
    tokens.c.expires_at_ms,
)

_USER_BY_NAME = select(*_USER_COLUMNS).where(users.c.username == bindparam("username"))
_USER_BY_ID = select(*_USER_COLUMNS).where(users.c.id == bindparam("user_id"))
_ALL_USERS = select(*_USER_COLUMNS).order_by(users.c.username)
_PASSWORD_HASH = select(users.c.password_hash).where(users.c.id == bindparam("user_id"))
_SET_PASSWORD = (
    update(users)
    .where(users.c.id == bindparam("of"))
    .values(password_hash=bindparam("hash"), password_changed_at_ms=bindparam("at_ms"))
)
_SET_USERNAME = (
    update(users).where(users.c.id == bindparam("of")).values(username=bindparam("name"))
)

_LIVING = (tokens.c.expires_at_ms.is_(None)) | (tokens.c.expires_at_ms > bindparam("now_ms"))
_LIVING_OF_USER = (
    select(*_TOKEN_COLUMNS)
    .where(tokens.c.user_id == bindparam("user_id"), _LIVING)
    .order_by(tokens.c.created_at_ms, tokens.c.id)
)
_COUNT_LIVING = (
    select(func.count())
    .select_from(tokens)
    .where(tokens.c.user_id == bindparam("user_id"), _LIVING)
)
_BY_SHA256 = select(*_TOKEN_COLUMNS).where(tokens.c.sha256 == bindparam("sha256"))
_BY_REFRESH = select(*_TOKEN_COLUMNS, tokens.c.refresh_expires_at_ms).where(
    tokens.c.refresh_sha256 == bindparam("sha256")
)
_OF_USER = select(*_TOKEN_COLUMNS).where(tokens.c.user_id == bindparam("user_id"))
_OF_CLIENT = select(*_TOKEN_COLUMNS).where(tokens.c.client_id == bindparam("client_id"))
_DELETE_TOKEN = delete(tokens).where(tokens.c.id == bindparam("token_id"))
_DELETE_ENDED = delete(tokens).where(
    tokens.c.user_id == bindparam("user_id"), tokens.c.expires_at_ms < bindparam("before_ms")
)

_PROFILE = select(profiles).where(profiles.c.user_id == bindparam("of"))
_DELETE_PROFILE = delete(profiles).where(profiles.c.user_id == bindparam("of"))
_CLIENT_COLUMNS = (
    clients.c.id,
    clients.c.owner_id,
    clients.c.name,
    clients.c.type,
    clients.c.redirect_uri,
    clients.c.scope,
)
_CLIENT_IN = select(*_CLIENT_COLUMNS).where(clients.c.id == bindparam("id"))
_CLIENT = _CLIENT_IN.where(clients.c.secret_sha256 == bindparam("secret_sha256"))
_CLIENTS_OF = (
    select(*_CLIENT_COLUMNS)
    .where(clients.c.owner_id == bindparam("of"))
    .order_by(clients.c.created_at_ms, clients.c.id)
)
_CHANGE_CLIENT = (
    update(clients)
    .where(clients.c.id == bindparam("of"))
    .values(name=bindparam("new_name"), scope=bindparam("new_scope"))
)
_DELETE_CLIENT = delete(clients).where(clients.c.id == bindparam("of"))

AUTHENTICATE = (
    "SELECT t.user_id, u.username, t.id, t.client_id, t.expires_at_ms, u.is_operator"
    " FROM accounts_token t JOIN accounts_user u ON u.id = t.user_id WHERE t.sha256 = ?"
)
"""The read of every request, hand-written: 6 µs on the loop (performance-floors.md §4.2)."""


def find_user(db: Database, username: str) -> tuple[User, str | None] | None:
    """The account and its password hash."""
    row = db.row(_USER_BY_NAME, {"username": username})
    return None if row is None else (_user(row), row.password_hash)


def find_user_by_id(db: Database, user_id: UserId) -> User | None:
    row = db.row(_USER_BY_ID, {"user_id": user_id})
    return None if row is None else _user(row)


def list_users(db: Database) -> list[User]:
    return [_user(row) for row in db.rows(_ALL_USERS)]


def user_by_name(connection: Connection, username: str) -> User | None:
    """As `find_user`, inside a transaction."""
    row = connection.execute(_USER_BY_NAME, {"username": username}).first()
    return None if row is None else _user(row)


def user_in(connection: Connection, user_id: UserId) -> User | None:
    """As `find_user_by_id`, inside a transaction."""
    row = connection.execute(_USER_BY_ID, {"user_id": user_id}).first()
    return None if row is None else _user(row)


def add_user(
    connection: Connection,
    user_id: UserId,
    username: str,
    password_hash: str | None,
    is_operator: bool,
    at_ms: int,
) -> None:
    connection.execute(
        insert(users),
        {
            "id": user_id,
            "username": username,
            "password_hash": password_hash,
            "is_operator": is_operator,
            "created_at_ms": at_ms,
            "password_changed_at_ms": at_ms,
        },
    )


def password_hash(connection: Connection, user_id: UserId) -> str | None:
    found: str | None = connection.execute(_PASSWORD_HASH, {"user_id": user_id}).scalar()
    return found


def find_password_hash(db: Database, user_id: UserId) -> str | None:
    row = db.row(_PASSWORD_HASH, {"user_id": user_id})
    return None if row is None else row.password_hash


def set_password(connection: Connection, user_id: UserId, hashed: str, at_ms: int) -> None:
    connection.execute(_SET_PASSWORD, {"of": user_id, "hash": hashed, "at_ms": at_ms})


def set_username(connection: Connection, user_id: UserId, username: str) -> None:
    connection.execute(_SET_USERNAME, {"of": user_id, "name": username})


def delete_user(connection: Connection, user_id: UserId) -> None:
    """The account and all that belongs to it here; its tokens must be gone before."""
    for table in (profiles, totp, resets):
        connection.execute(delete(table).where(table.c.user_id == user_id))
    connection.execute(delete(clients).where(clients.c.owner_id == user_id))
    connection.execute(delete(users).where(users.c.id == user_id))


def find_profile(db: Database, user_id: UserId) -> Profile:
    """The profile of a user; an empty one when nothing was ever said."""
    row = db.row(_PROFILE, {"of": user_id})
    if row is None:
        return Profile()
    return Profile(row.first_name, row.last_name, row.business_account, row.company_name)


def set_profile(connection: Connection, user_id: UserId, profile: Profile) -> None:
    connection.execute(_DELETE_PROFILE, {"of": user_id})
    values = {
        "user_id": user_id,
        "first_name": profile.first_name,
        "last_name": profile.last_name,
        "business_account": profile.business_account,
        "company_name": profile.company_name,
    }
    connection.execute(insert(profiles), values)


def find_client(db: Database, client_id: str, secret_sha256: bytes) -> Client | None:
    """The OAuth client of somebody's with this secret. A wrong secret and an unknown client take as
    long: what somebody called theirs is nobody's business."""
    row = db.row(_CLIENT, {"id": client_id, "secret_sha256": secret_sha256})
    return None if row is None else _client(row)


def client_in(connection: Connection, client_id: str) -> Client | None:
    """As `find_client`, inside a transaction."""
    row = connection.execute(_CLIENT_IN, {"id": client_id}).first()
    return None if row is None else _client(row)


def list_clients(db: Database, owner_id: UserId) -> list[Client]:
    """The OAuth clients of a user, oldest first."""
    return [_client(row) for row in db.rows(_CLIENTS_OF, {"of": owner_id})]


def clients_of(connection: Connection, owner_id: UserId) -> list[Client]:
    """As `list_clients`, inside a transaction."""
    return [_client(row) for row in connection.execute(_CLIENTS_OF, {"of": owner_id})]


def add_client(connection: Connection, client: Client, secret_sha256: bytes, at_ms: int) -> None:
    values = {
        "id": client.id,
        "owner_id": client.owner_id,
        "name": client.name,
        "type": client.type.value,
        "secret_sha256": secret_sha256,
        "redirect_uri": client.redirect_uri,
        "scope": client.scope,
        "created_at_ms": at_ms,
    }
    connection.execute(insert(clients), values)


def change_client(connection: Connection, client: Client) -> None:
    values = {"of": client.id, "new_name": client.name, "new_scope": client.scope}
    connection.execute(_CHANGE_CLIENT, values)


def delete_client(connection: Connection, client_id: str) -> None:
    connection.execute(_DELETE_CLIENT, {"of": client_id})


def of_client(connection: Connection, client_id: str) -> list[Token]:
    """All tokens that were made with an OAuth client, whoever's they are."""
    return [_token(row) for row in connection.execute(_OF_CLIENT, {"client_id": client_id})]


def add_token(
    connection: Connection,
    token: Token,
    sha256: bytes,
    refresh_sha256: bytes,
    refresh_expires_at_ms: int,
) -> None:
    connection.execute(
        insert(tokens),
        {
            "id": token.id,
            "sha256": sha256,
            "user_id": token.user_id,
            "client_id": token.client_id,
            "created_at_ms": token.created_at_ms,
            "expires_at_ms": token.expires_at_ms,
            "refresh_sha256": refresh_sha256,
            "refresh_expires_at_ms": refresh_expires_at_ms,
        },
    )


def list_living(db: Database, user_id: UserId, now_ms: int) -> list[Token]:
    """The tokens of a user that still work, oldest first."""
    return [_token(row) for row in db.rows(_LIVING_OF_USER, {"user_id": user_id, "now_ms": now_ms})]


def count_living(connection: Connection, user_id: UserId, now_ms: int) -> int:
    parameters = {"user_id": user_id, "now_ms": now_ms}
    return int(connection.execute(_COUNT_LIVING, parameters).scalar_one())


def by_sha256(connection: Connection, sha256: bytes) -> Token | None:
    row = connection.execute(_BY_SHA256, {"sha256": sha256}).first()
    return None if row is None else _token(row)


def by_refresh_sha256(connection: Connection, sha256: bytes) -> tuple[Token, int] | None:
    """The token that this refresh token renews, and until when it can."""
    row = connection.execute(_BY_REFRESH, {"sha256": sha256}).first()
    return None if row is None else (_token(row), row.refresh_expires_at_ms)


def of_user(connection: Connection, user_id: UserId) -> list[Token]:
    """All tokens of a user, ended ones too."""
    return [_token(row) for row in connection.execute(_OF_USER, {"user_id": user_id})]


def delete_token(connection: Connection, token_id: str) -> None:
    connection.execute(_DELETE_TOKEN, {"token_id": token_id})


def delete_ended(connection: Connection, user_id: UserId, before_ms: int) -> None:
    """Forget the tokens of a user that ended before the stamp."""
    connection.execute(_DELETE_ENDED, {"user_id": user_id, "before_ms": before_ms})


def _user(row: Row[*tuple[Any, ...]]) -> User:
    return User(
        id=UserId(row.id),
        username=row.username,
        is_operator=row.is_operator,
        has_password=row.password_hash is not None,
        created_at_ms=row.created_at_ms,
    )


def _token(row: Row[*tuple[Any, ...]]) -> Token:
    return Token(
        id=row.id,
        user_id=UserId(row.user_id),
        client_id=row.client_id,
        created_at_ms=row.created_at_ms,
        expires_at_ms=row.expires_at_ms,
    )


def _client(row: Row[*tuple[Any, ...]]) -> Client:
    return Client(
        id=row.id,
        owner_id=UserId(row.owner_id),
        name=row.name,
        type=ClientType(row.type),
        redirect_uri=row.redirect_uri,
        scope=row.scope,
    )
