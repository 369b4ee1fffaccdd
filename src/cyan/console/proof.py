"""The current password, asked for again before what a stolen session must not do."""

from cyan.accounts.oauth import host_of
from cyan.console.needs import Needs
from cyan.console.refusals import TOO_MANY
from cyan.console.visit import Visit

WRONG = "The current password is not right."


async def fault_of_password(needs: Needs, visit: Visit, password: str) -> str | None:
    """None when it is the person's password; else a sentence that says why not."""
    try:
        is_right = await needs.accounts.logins.is_password_of(
            visit.caller.user_id, password, host_of(visit)
        )
    except TOO_MANY as error:
        return error.message
    return None if is_right else WRONG
