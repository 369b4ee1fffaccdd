"""What the simulator is told, and its command line."""

import argparse
from pathlib import Path
from typing import Final

import msgspec

from cyan.sim.behaviour import (
    DEFAULT_EVENT_INTERVAL_S,
    DEFAULT_SUBSCRIPTION,
    Behaviour,
    built_in,
)
from cyan.sim.behaviourfile import read_behaviour
from cyan.sim.boards import Share, UnknownBoardError, find_board, parse_share
from cyan.sim.faults import KINDS, Faults, combine_faults, parse_fault, read_faults
from cyan.sim.generations import GENERATIONS
from cyan.sim.platforms import PLATFORMS, Transport
from cyan.sim.servers import DEFAULT_HOST, DEFAULT_PORTS
from cyan.wire.messages import MAX_NAME

DEFAULT_COUNT: Final = 3
DEFAULT_PLATFORM: Final = "argon"
DEFAULT_CONNECT_RATE: Final = 200.0
"""New connections a second at the start; a server makes about a thousand handshakes a second."""

MAX_COUNT: Final = 200_000
MAX_EVENT_BYTES: Final = 1024
CLAIM_CODE_BYTES: Final = 63
"""What a device has room for (device-protocol.md §1.2)."""
_MAX_PORT: Final = 0xFFFF


class OptionsError(ValueError):
    """An option has a value that makes no sense; the text names it."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the simulator.

    `mix` says `platform:generation:count` for each kind of device, in place of `count` devices of
    one `platform` and `firmware`, None being the newest. `seed` None takes the one in the state
    folder, or a fresh one. With `factory_reset` devices forget the firmware that is kept there.
    `server_key` are padded server key files or SubjectPublicKeyInfos in DER, one for each transport
    that is used; padded ones tell `server` and the ports where these are None. `rate` is events a
    second of all devices together: None is one in 5 s for each device, 0 is none. `claim_code` are
    for as many devices, the first ones. `duration_s` None is until stopped.
    """

    count: int = DEFAULT_COUNT
    platform: str = DEFAULT_PLATFORM
    firmware: str | None = None
    mix: tuple[str, ...] = ()
    seed: str | None = None
    server: str | None = None
    port: int | None = None
    tcp_port: int | None = None
    server_key: tuple[Path, ...] = ()
    state: Path | None = None
    factory_reset: bool = False
    behaviour: Path | None = None
    rate: float | None = None
    event_size: int | None = None
    subscribe: tuple[str, ...] = ()
    faults: Path | None = None
    fault: tuple[str, ...] = ()
    claim_code: tuple[str, ...] = ()
    connect_rate: float = DEFAULT_CONNECT_RATE
    duration_s: float | None = None
    journal: Path | None = None
    json: bool = False
    print_keys: bool = False
    stop_with_stdin: bool = False

    @property
    def shares(self) -> tuple[Share, ...]:
        """How many devices of which board, in their order. Raises UnknownBoardError."""
        if self.mix:
            return tuple(parse_share(one) for one in self.mix)
        return (Share(find_board(self.platform, self.firmware), self.count),)

    @property
    def event_interval_s(self) -> float | None:
        """Seconds between two events of one device, None for no events."""
        if self.rate is None:
            return DEFAULT_EVENT_INTERVAL_S
        return sum(share.count for share in self.shares) / self.rate if self.rate else None

    def read_behaviour(self) -> Behaviour:
        """What devices do. Raises TableError."""
        if self.behaviour is not None:
            return read_behaviour(self.behaviour)
        return built_in(
            event_interval_s=self.event_interval_s,
            event_bytes=self.event_size or 0,
            subscriptions=self.subscribe or (DEFAULT_SUBSCRIPTION,),
        )

    def read_faults(self) -> Faults:
        """What happens to devices: the faults of the file and the single ones. Raises
        TableError."""
        listed = [] if self.faults is None else read_faults(self.faults)
        return combine_faults([*listed, *map(parse_fault, self.fault)])

    def check(self) -> None:
        """Raises OptionsError or UnknownBoardError when a value makes no sense."""
        if not 1 <= sum(share.count for share in self.shares) <= MAX_COUNT:
            raise OptionsError(f"{'--mix' if self.mix else '--count'} is 1 to {MAX_COUNT} devices")
        if not 0 <= (self.event_size or 0) <= MAX_EVENT_BYTES:
            raise OptionsError(f"--event-size is 0 to {MAX_EVENT_BYTES}")
        if self.rate is not None and self.rate < 0:
            raise OptionsError("--rate is not negative")
        if self.connect_rate <= 0:
            raise OptionsError("--connect-rate is above 0")
        for name, port in (("--port", self.port), ("--tcp-port", self.tcp_port)):
            if port is not None and not 1 <= port <= _MAX_PORT:
                raise OptionsError(f"{name} is 1 to {_MAX_PORT}")
        for code in self.claim_code:
            if not code.isascii() or not code.isprintable() or len(code) != CLAIM_CODE_BYTES:
                raise OptionsError(f"--claim-code has {CLAIM_CODE_BYTES} characters")
        for prefix in self.subscribe:
            if len(prefix.encode()) > MAX_NAME or not prefix.isprintable():
                raise OptionsError(f"--subscribe is at most {MAX_NAME} bytes of printable text")
        if len(self.claim_code) > sum(share.count for share in self.shares):
            raise OptionsError("--claim-code is given more often than there are devices")
        if self.duration_s is not None and self.duration_s < 0:
            raise OptionsError("--duration is not negative")
        if self.journal is not None and not self.journal.parent.is_dir():
            raise OptionsError(f"--journal: there is no folder {self.journal.parent}")
        if self.state is not None and self.state.exists() and not self.state.is_dir():
            raise OptionsError(f"--state: {self.state} is no folder")
        of_built_in = (self.rate, self.event_size, self.subscribe or None)
        if self.behaviour is not None and of_built_in != (None, None, None):
            raise OptionsError(
                "--behaviour says what --rate, --event-size and --subscribe would say"
            )
        if not self.server_key and not self.print_keys:
            raise OptionsError("--server-key is needed: the file with the server's public key")


def parse(arguments: list[str]) -> Options:
    """Reads a command line; ends the program with a usage message when it is wrong."""
    parser = _parser()
    values = vars(parser.parse_args(arguments))
    repeated = ("mix", "server_key", "subscribe", "fault", "claim_code")
    options = Options(**values | {name: tuple(values[name] or ()) for name in repeated})
    try:
        options.check()
    except (OptionsError, UnknownBoardError) as error:
        parser.error(str(error))
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cyan sim", description="Simulates a fleet of devices.")
    add = parser.add_argument_group("which devices").add_argument
    add("--count", type=int, default=DEFAULT_COUNT, help="how many (%(default)s)")
    add("--platform", default=DEFAULT_PLATFORM, choices=sorted(PLATFORMS), help="%(default)s")
    add("--firmware", choices=list(GENERATIONS), help="Device OS (the newest for the platform)")
    add(
        "--mix",
        action="append",
        metavar="PLATFORM[:FIRMWARE]:COUNT",
        help="in place of these three; repeatable",
    )
    add("--seed", help="decides all: same seed, same ids, names, keys, events, faults")
    add("--state", type=Path, metavar="DIR", help="keeps seed, sessions, firmware")
    add("--factory-reset", action="store_true", help="forgets the updates in --state")
    add("--claim-code", action="append", metavar="CODE", help="shown by one device; repeatable")

    add = parser.add_argument_group("which server").add_argument
    add("--server", metavar="HOST", help=f"address (that of the key file, else {DEFAULT_HOST})")
    for option, transport in (("--port", Transport.UDP), ("--tcp-port", Transport.TCP)):
        default = f"(that of the key file, else {DEFAULT_PORTS[transport]})"
        add(option, type=int, metavar="PORT", help=f"{transport.value.upper()} port {default}")
    add(
        "--server-key",
        type=Path,
        action="append",
        metavar="FILE",
        help="public key: key file or DER; once for each transport",
    )

    add = parser.add_argument_group("what they do").add_argument
    add("--behaviour", type=Path, metavar="FILE", help="TOML; else a heartbeat, led and echo")
    add("--rate", type=float, help="heartbeats a second of all devices together")
    add("--event-size", type=int, metavar="BYTES", help="pads heartbeats to this size")
    add("--subscribe", action="append", metavar="PREFIX", help="instead of fleet/; repeatable")
    add("--connect-rate", type=float, default=DEFAULT_CONNECT_RATE, help="connections a second")
    add("--duration", type=float, dest="duration_s", metavar="S", help="stops after this time")

    add = parser.add_argument_group("what goes wrong").add_argument
    add("--faults", type=Path, metavar="FILE", help="TOML: a list of faults")
    add(
        "--fault",
        action="append",
        metavar="'KIND KEY=VALUE …'",
        help=f"one more; repeatable. Kinds: {', '.join(KINDS)}",
    )

    add = parser.add_argument_group("what is told").add_argument
    add("--journal", type=Path, metavar="FILE", help="appends events and faults to it")
    add("--json", action="store_true", help="one JSON line for each thing that happens")
    add("--print-keys", action="store_true", help="prints the devices and their keys, then ends")
    add("--stop-with-stdin", action="store_true", help="stops when standard input is closed")
    return parser
