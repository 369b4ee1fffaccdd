"""Secrets of the account: set, listed without their values, deleted. Nobody reads one back."""

from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from cyan.console.account import ACCOUNT
from cyan.console.needs import Needs
from cyan.console.pages import Page
from cyan.console.visit import Visit
from cyan.secrets.model import (
    MAX_VALUE_BYTES,
    InvalidSecretNameError,
    InvalidSecretValueError,
    TooManySecretsError,
)

SECRETS: Final = f"{ACCOUNT}/secrets"


class SecretsRoom:
    """One page: what there is, and a form."""

    def __init__(self, needs: Needs) -> None:
        self._secrets = needs.secrets

    async def show(self, visit: Visit) -> Response:
        return self._page(visit, name=visit.query.get("change", ""))

    async def set(self, visit: Visit) -> Response:
        """What is wrong is said in the form. The value is not sent back to the browser."""
        fields = await visit.texts()
        name = fields.get("name", "").strip()
        try:
            await self._secrets.put(visit.caller, name, fields.get("value", ""))
        except (InvalidSecretNameError, TooManySecretsError) as error:
            return self._page(visit, {"name": error.message}, name)
        except InvalidSecretValueError as error:
            return self._page(visit, {"value": error.message}, name)
        return visit.go(SECRETS, f"{name} is kept.")

    async def delete(self, visit: Visit) -> Response:
        name = (await visit.texts()).get("name", "")
        await self._secrets.delete(visit.caller, name)
        return visit.go(SECRETS, f"{name} is deleted.")

    def _page(self, visit: Visit, errors: dict[str, str] | None = None, name: str = "") -> Response:
        return visit.page(
            "secrets.html",
            HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK,
            secrets=self._secrets.list(visit.caller),
            most_bytes=MAX_VALUE_BYTES,
            errors=errors or {},
            name=name,
        )


def pages(needs: Needs) -> list[Page]:
    room = SecretsRoom(needs)
    return [
        Page("GET", SECRETS, room.show),
        Page("POST", SECRETS, room.set),
        Page("POST", f"{SECRETS}/delete", room.delete),
    ]
