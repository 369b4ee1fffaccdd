"""What the simulator is told, and its command line."""

import argparse
from pathlib import Path
from typing import Final

import msgspec

from cyan.sim.behaviour import DEFAULT_EVENT_INTERVAL_S, DEFAULT_SUBSCRIPTION
from cyan.sim.platforms import PLATFORMS

DEFAULT_COUNT: Final = 3
DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 5684
"""Where firmware looks for its server (device-protocol.md §1.1)."""
DEFAULT_PLATFORM: Final = "argon"
DEFAULT_CONNECT_RATE: Final = 200.0
"""New connections a second at the start; a server makes about a thousand handshakes a second."""

MAX_COUNT: Final = 200_000
MAX_EVENT_BYTES: Final = 1024


class OptionsError(ValueError):
    """An option has a value that makes no sense; the text names it."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the simulator.

    `seed` None takes the one in the state folder, or a fresh one. `server_key` is a padded server
    key file or a SubjectPublicKeyInfo in DER; a padded one tells `server` and `port` where these
    are None. `rate` is events a second of all devices together:
    None is one in 5 s for each device, 0 is none. `duration_s` None is until stopped.
    """

    count: int = DEFAULT_COUNT
    seed: str | None = None
    server: str | None = None
    port: int | None = None
    server_key: Path | None = None
    platform: str = DEFAULT_PLATFORM
    state: Path | None = None
    rate: float | None = None
    event_size: int = 0
    subscribe: tuple[str, ...] = (DEFAULT_SUBSCRIPTION,)
    connect_rate: float = DEFAULT_CONNECT_RATE
    duration_s: float | None = None
    journal: Path | None = None
    json: bool = False
    print_keys: bool = False
    stop_with_stdin: bool = False

    @property
    def event_interval_s(self) -> float | None:
        """Seconds between two events of one device, None for no events."""
        if self.rate is None:
            return DEFAULT_EVENT_INTERVAL_S
        return self.count / self.rate if self.rate else None

    def check(self) -> None:
        """Raises OptionsError when a value makes no sense."""
        if not 1 <= self.count <= MAX_COUNT:
            raise OptionsError(f"--count is 1 to {MAX_COUNT}")
        if self.platform not in PLATFORMS:
            raise OptionsError(f"--platform is one of {', '.join(PLATFORMS)}")
        if not 0 <= self.event_size <= MAX_EVENT_BYTES:
            raise OptionsError(f"--event-size is 0 to {MAX_EVENT_BYTES}")
        if self.rate is not None and self.rate < 0:
            raise OptionsError("--rate is not negative")
        if self.connect_rate <= 0:
            raise OptionsError("--connect-rate is above 0")
        if self.port is not None and not 1 <= self.port <= 0xFFFF:
            raise OptionsError("--port is 1 to 65535")
        if self.server_key is None and not self.print_keys:
            raise OptionsError("--server-key is needed: the file with the server's public key")


def parse(arguments: list[str]) -> Options:
    """Reads a command line; ends the program with a usage message when it is wrong."""
    parser = argparse.ArgumentParser(prog="cyan sim", description="Simulates a fleet of devices.")
    add = parser.add_argument
    add("--count", type=int, default=DEFAULT_COUNT, help="how many devices (%(default)s)")
    add("--seed", help="decides ids, names, keys: same seed, same devices")
    add("--server", metavar="HOST", help=f"address (that of the key file, else {DEFAULT_HOST})")
    add("--port", type=int, help=f"UDP port (that of the key file, else {DEFAULT_PORT})")
    add("--server-key", type=Path, metavar="FILE", help="public key: key file or DER")
    add("--platform", default=DEFAULT_PLATFORM, choices=sorted(PLATFORMS))
    add("--state", type=Path, metavar="DIR", help="keeps seed and sessions over restarts")
    add("--rate", type=float, help="events a second of all devices together")
    add("--event-size", type=int, default=0, metavar="BYTES", help="pads events to this size")
    add("--subscribe", action="append", metavar="PREFIX", help="instead of fleet/; repeatable")
    add("--connect-rate", type=float, default=DEFAULT_CONNECT_RATE, help="connections a second")
    add("--duration", type=float, dest="duration_s", metavar="S", help="stops after this time")
    add("--journal", type=Path, metavar="FILE", help="records every acknowledged event")
    add("--json", action="store_true", help="one JSON line for each thing that happens")
    add("--print-keys", action="store_true", help="prints the devices and their keys, then ends")
    add("--stop-with-stdin", action="store_true", help="stops when standard input is closed")
    values = vars(parser.parse_args(arguments))
    subscribe = values.pop("subscribe")
    if subscribe is not None:
        values["subscribe"] = tuple(subscribe)
    options = Options(**values)
    try:
        options.check()
    except OptionsError as error:
        parser.error(str(error))
    return options
