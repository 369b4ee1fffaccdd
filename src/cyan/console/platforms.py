"""The kinds of boards by the number in Hello (device-protocol.md §7.6), as people call them."""

from typing import Final

NAMES: Final = {
    0: "Core",
    3: "Simulated (gcc)",
    6: "Photon",
    8: "P1",
    10: "Electron",
    11: "ESP32",
    12: "Argon",
    13: "Boron",
    14: "Xenon",
    15: "E SoM X",
    22: "A SoM",
    23: "B SoM",
    24: "X SoM",
    25: "B5 SoM",
    26: "Tracker",
    28: "Tracker M",
    31: "Raspberry Pi",
    32: "P2 / Photon 2",
    35: "M SoM",
    37: "Electron 2",
    38: "Sulu",
    42: "Tachyon",
    43: "Linux",
    82: "Oak",
    88: "Duo",
    103: "Bluz",
}


def platform_name(platform_id: int | None) -> str:
    """Of a number that nobody knows, the number; empty for a device that has said nothing yet."""
    if platform_id is None:
        return ""
    return NAMES.get(platform_id, f"Platform {platform_id}")
