"""Device OS releases by the number of their system module (Device OS system-versions.md).

Since 4.1 the number reads as the version: 6200 is 6.2.0. Before, numbers were given out one by one,
to candidates too; the releases among them are listed here.
"""

from functools import lru_cache
from typing import Final

_RELEASES: Final = {
    1: "0.4.1", 2: "0.4.2", 3: "0.4.3",
    5: "0.4.4", 6: "0.4.5", 7: "0.4.6", 8: "0.4.7", 11: "0.4.9",
    13: "0.5.0", 15: "0.5.1", 17: "0.5.2", 21: "0.5.3", 22: "0.5.4", 23: "0.5.5",
    102: "0.6.0", 105: "0.6.1", 108: "0.6.2", 109: "0.6.3", 110: "0.6.4",
    207: "0.7.0", 403: "0.9.0",
    1000: "1.0.0", 1002: "1.0.1", 1102: "1.1.0", 1213: "1.2.1", 1321: "1.3.1",
    1401: "1.4.0", 1403: "1.4.1", 1404: "1.4.2", 1405: "1.4.3", 1406: "1.4.4",
    1502: "1.5.0", 1511: "1.5.1", 1512: "1.5.2",
    2008: "2.0.0", 2011: "2.0.1", 2101: "2.1.0", 2202: "2.2.0", 2301: "2.3.0", 2302: "2.3.1",
    3005: "3.0.0", 3103: "3.1.0", 3201: "3.2.0", 3301: "3.3.0", 3302: "3.3.1",
    4003: "4.0.0", 4005: "4.0.1", 4006: "4.0.2",
    5002: "5.0.0", 5003: "5.0.1", 5004: "5.1.0", 5410: "5.4.1", 5501: "5.5.0", 5901: "5.9.0",
}  # fmt: skip
"""Those whose number does not read as the version."""

_NUMBERS: Final = {release: number for number, release in _RELEASES.items()}

_BEFORE_1_0: Final = ("0.4.0", "0.6.0", "0.7.0", "0.8.0", "0.9.0")
"""By the hundreds; 0.5 began at 12."""

_FIRST_OF_0_5: Final = 12
_REGULAR: Final = 4100
"""From here on the digits are the version."""


@lru_cache(1024)
def release_of(system_version: int) -> str:
    """The release, like 6.2.0. An older candidate reads as the first release of its line."""
    known = _RELEASES.get(system_version)
    if known is not None:
        return known
    if system_version < 1000:
        is_0_5 = _FIRST_OF_0_5 <= system_version < 100
        return "0.5.0" if is_0_5 else _BEFORE_1_0[min(system_version // 100, 4)]
    major, rest = divmod(system_version, 1000)
    minor, patch = divmod(rest, 100)
    return f"{major}.{minor}.{patch if system_version >= _REGULAR else 0}"


def system_version_of(release: str) -> int | None:
    """The number of a release's system module; None where it cannot be told."""
    known = _NUMBERS.get(release)
    if known is not None:
        return known
    parts = release.split(".")
    if len(parts) != 3 or not all(each.isdecimal() and len(each) < 4 for each in parts):
        return None
    major, minor, patch = map(int, parts)
    number = major * 1000 + minor * 100 + patch
    return number if number >= _REGULAR and release_of(number) == release else None
