"""The web servers that stand before Cyan, as `scripts/test-tools` unpacks them."""

import shutil
from pathlib import Path
from typing import Final

_UNPACKED: Final = Path(__file__).parents[2] / "build/web-servers/usr"


def found_web_server(name: str) -> str | None:
    """The program, that of the tests or that of this machine; None where there is neither."""
    places = (_UNPACKED / "sbin", _UNPACKED / "bin", "/usr/sbin", "/usr/bin", "/usr/local/bin")
    return shutil.which(name, path=":".join(map(str, places)))
