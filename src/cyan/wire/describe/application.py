"""The application describe: functions and variables (device-protocol.md section 3.3.2)."""

from typing import Final

import msgspec

from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.messages.names import MAX_NAME

MAX_FUNCTIONS: Final = 256
MAX_VARIABLES: Final = 256
"""Device OS has room for 100 of each."""


class ApplicationDescribe(msgspec.Struct, frozen=True):
    """Function names in the order of their registration, and variable names with their types
    (`messages.BOOL`, `INT`, `STRING`, `DOUBLE`; other numbers are kept as they are)."""

    functions: tuple[str, ...] = ()
    variables: dict[str, int] = {}

    def to_json(self) -> dict[str, object]:
        """The JSON form as an object: `f` and `v`."""
        return {"f": list(self.functions), "v": self.variables}


def check_application(describe: ApplicationDescribe) -> ApplicationDescribe:
    """Returns what it is given, or raises MalformedError when it is over our bounds."""
    if len(describe.functions) > MAX_FUNCTIONS or len(describe.variables) > MAX_VARIABLES:
        raise MalformedError(
            f"describe of {len(describe.functions)} functions, {len(describe.variables)} variables"
        )
    for name in (*describe.functions, *describe.variables):
        if len(name.encode(errors="replace")) > MAX_NAME:
            raise MalformedError(f"describe with a name over {MAX_NAME} bytes")
    return describe


def encode_application(describe: ApplicationDescribe) -> bytes:
    """`{"f":[…],"v":{…}}` without spaces, as firmware writes it."""
    try:
        check_application(describe)
    except MalformedError as error:
        raise MisuseError(str(error)) from None
    return msgspec.json.encode(describe.to_json())
