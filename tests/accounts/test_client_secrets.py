"""Whose an OAuth client is stays unknown to who does not have its secret."""

from cyan.accounts import store
from cyan.accounts.model import Client, ClientType
from cyan.accounts.tokens import digest
from cyan.core.db.engine import Database
from tests.accounts.conftest import Desk
from tests.cast import Cast


async def test_a_wrong_secret_finds_as_little_as_an_unknown_client(
    desk: Desk, cast: Cast, db: Database
) -> None:
    """What is not read takes no time by which it could be noticed."""
    made, secret = await desk.accounts.clients.create(
        cast.ada.user_id, "Lamp App", "installed", None, None
    )
    assert store.find_client(db, made.id, digest(secret)) == Client(
        made.id, cast.ada.user_id, "Lamp App", ClientType.INSTALLED, None, None
    )
    assert store.find_client(db, made.id, digest("0" * 40)) is None
    assert store.find_client(db, "lamp-app-0000", digest(secret)) is None


async def test_both_read_alike(desk: Desk, cast: Cast) -> None:
    made, _ = await desk.accounts.clients.create(
        cast.ada.user_id, "Lamp App", "installed", None, None
    )
    answers = [
        await desk.login(client_id=client_id, client_secret="0" * 40)
        for client_id in (made.id, "lamp-app-0000", "not an id")
    ]
    assert len({(answer.status_code, answer.text) for answer in answers}) == 1
