"""What a plan allows. The numbers are rows; these are the ones that a new server begins with."""

from typing import Final

import msgspec

from cyan.core.errors import ForbiddenError

DEVELOPER: Final = "developer"
"""The plan of every account that no other was given."""


class Plan(msgspec.Struct, frozen=True):
    """A named bundle of limits; None means that there is no limit."""

    word: str
    title: str
    max_developer_devices: int | None
    """Devices outside of any product that an account may own."""


BUILT_IN: Final = (Plan(word=DEVELOPER, title="Developer", max_developer_devices=100),)
"""The founding table (platform-semantics.md §2.1), as far as its rows are built here: the other
plans differ in what products and organizations may do. A stored plan of the same word wins."""


class DeviceLimitError(ForbiddenError):
    """Your plan does not allow more devices."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(
            f"The {plan.title} plan allows {plan.max_developer_devices} devices for an account, and"
            " you have that many. Release one that you do not need, or ask the operator of this"
            " server for a plan with more."
        )
