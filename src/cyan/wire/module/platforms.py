"""Platforms by their id (device-protocol.md section 7.6)."""

from typing import Final

PLATFORM_NAMES: Final = {
    0: "core",
    3: "gcc",
    6: "photon",
    8: "p1",
    10: "electron",
    11: "esp32",
    12: "argon",
    13: "boron",
    14: "xenon",
    15: "esomx",
    22: "asom",
    23: "bsom",
    24: "xsom",
    25: "b5som",
    26: "tracker",
    28: "trackerm",
    31: "raspi",
    32: "p2",
    35: "msom",
    37: "electron2",
    38: "sulu",
    42: "tachyon",
    43: "linux",
    82: "oak",
    88: "duo",
    103: "bluz",
    60000: "newhal",
}


def platform_name(platform_id: int) -> str:
    """Its name, or `platform-N` for one that is not known."""
    return PLATFORM_NAMES.get(platform_id, f"platform-{platform_id}")
