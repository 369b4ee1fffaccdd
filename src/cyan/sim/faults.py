"""What goes wrong with simulated devices: values, and how people write them.

A file has a list of tables, the command line says the same in a line each::

    [[faults]]
    kind = "sleep"              --fault "sleep every_s=600 for_s=[10,60]"
    every_s = 600
    for_s = [10, 60]
"""

import tomllib
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Final

import msgspec

from cyan.sim.oserrors import FLASH_IO, LOWEST
from cyan.sim.tables import Range, Table, TableError, read_file
from cyan.sim.updatefaults import Phase, Trouble, UpdateFault

MAX_FAULTS: Final = 64
MAX_TIMES: Final = 1000
"""Of one fault; more of them come at random."""
MIN_EVERY_S: Final = 0.1
MAX_S: Final = 1e7
"""About four months, longer than a run."""
MAX_DELAY_S: Final = 300.0
"""No network keeps a datagram for longer; the protocol forgets messages after 95 s."""
SLOWEST_CLOCK: Final = -0.5
FASTEST_CLOCK: Final = 1.0
"""Far beyond what crystals do, to make timers meet that never would."""

DEFAULT_REORDER_S: Final = 0.5
DEFAULT_BOOT_S: Final = (1.0, 3.0)
"""About what a board takes from its reset to its first datagram."""
DEFAULT_SILENCE_S: Final = (60.0, 60.0)
"""Of a device in the middle of an update: longer than a server should wait for it."""
FOREVER: Final = float("inf")


class Quality(msgspec.Struct, frozen=True):
    """One direction of a network: shares of datagrams and delays in seconds.

    `loss` is the share that does not arrive, `duplicate` the share that arrives twice, `reorder`
    the share that is held back, by anything up to `reorder_s`, so that later ones overtake it.
    Each takes a time within `delay_s`.
    """

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    reorder_s: float = 0.0
    delay_s: Range = (0.0, 0.0)


PERFECT: Final = Quality()


class Kind(Enum):
    """What happens to a device.

    - `MOVE`: its datagrams come from another address, without its knowledge;
    - `SLEEP`: it is silent for a time, then goes on with its session from another port;
    - `REBOOT`: its application begins anew; the session is in memory that outlives this;
    - `POWER_CUT`: as a reboot, but the session may be lost;
    - `WRONG_DEVICE_KEY`: for a time it has another key than the one it is known by;
    - `WRONG_SERVER_KEY`: for a time it expects another key of the server;
    - `UPDATES_DISABLED`: for a time its application lets no update begin, and tells the server.
    """

    MOVE = "move"
    SLEEP = "sleep"
    REBOOT = "reboot"
    POWER_CUT = "power-cut"
    WRONG_DEVICE_KEY = "wrong-device-key"
    WRONG_SERVER_KEY = "wrong-server-key"
    UPDATES_DISABLED = "updates-disabled"


class Mishap(msgspec.Struct, frozen=True):
    """Something that happens to a share of the devices, each on its own: at the times `at_s` after
    its start, or about every `every_s` seconds; for a time within `for_s`."""

    kind: Kind
    at_s: tuple[float, ...] = ()
    every_s: float | None = None
    for_s: Range = (0.0, 0.0)
    share: float = 1.0
    keeps_session: bool = True


class Faults(msgspec.Struct, frozen=True):
    """All that goes wrong. `clock` is by how much clocks are fast (0.01: 1 %, negative: slow),
    `updates` is what goes wrong in the middle of them."""

    up: Quality = PERFECT
    down: Quality = PERFECT
    mishaps: tuple[Mishap, ...] = ()
    clock: Range = (0.0, 0.0)
    updates: tuple[UpdateFault, ...] = ()


NO_FAULTS: Final = Faults()

_ALWAYS: Final = "always"
_NETWORK: Final = ("loss", "duplicate", "reorder", "delay")
_CLOCK: Final = "clock"
_UPDATES: Final = tuple(trouble.value for trouble in Trouble)
KINDS: Final = (*_NETWORK, _CLOCK, *(kind.value for kind in Kind), *_UPDATES)


def read_faults(path: Path) -> list[Table]:
    """The faults that a file lists.

    Raises:
        TableError: It cannot be read or lists nothing that could be faults.
    """
    table = read_file(path)
    faults = table.tables("faults", MAX_FAULTS)
    table.finish()
    return faults


def parse_fault(text: str) -> Table:
    """A fault in one line: its kind, then `key=value` without spaces inside.

    Raises:
        TableError: It has another form.
    """
    source = f"--fault {text!r}"
    kind, *settings = text.split() or [""]
    values: dict[str, object] = {"kind": kind}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or key in values:
            raise TableError(f"{source}: {setting!r} is no key=value that is told once")
        values[key] = _value(value)
    return Table(source, values)


def combine_faults(tables: Iterable[Table]) -> Faults:
    """What all these faults come to.

    Raises:
        TableError: One of them makes no sense, or tells again what one before it has told.
    """
    ways = {"up": PERFECT, "down": PERFECT}
    told: set[tuple[str, str]] = set()
    mishaps: list[Mishap] = []
    updates: list[UpdateFault] = []
    clock = NO_FAULTS.clock
    for table in tables:
        kind = table.choice("kind", KINDS)
        if kind in _NETWORK:
            way = table.choice("way", ("both", *ways), "both")
            settings = _quality(kind, table)
            for one in ways if way == "both" else (way,):
                ways[one] = msgspec.structs.replace(ways[one], **settings)
                _tell_once(told, table, kind, one)
        elif kind == _CLOCK:
            clock = table.range("fast", SLOWEST_CLOCK, FASTEST_CLOCK)
            _tell_once(told, table, kind, "")
        elif kind in _UPDATES:
            updates.append(_update_fault(Trouble(kind), table))
        else:
            mishaps.append(_mishap(Kind(kind), table))
        table.finish()
    return Faults(ways["up"], ways["down"], tuple(mishaps), clock, tuple(updates))


def _tell_once(told: set[tuple[str, str]], table: Table, kind: str, way: str) -> None:
    if (kind, way) in told:
        raise TableError(f"{table.place}: {kind} {way}".rstrip() + " was told before")
    told.add((kind, way))


def _quality(kind: str, table: Table) -> dict[str, object]:
    if kind == "delay":
        return {"delay_s": table.range("for_s", 0.0, MAX_DELAY_S)}
    settings: dict[str, object] = {kind: table.number("rate", 0.0, 1.0)}
    if kind == "reorder":
        settings["reorder_s"] = table.number("for_s", 0.0, MAX_DELAY_S, DEFAULT_REORDER_S)
    return settings


def _mishap(kind: Kind, table: Table) -> Mishap:
    at_s: tuple[float, ...] = ()
    every_s = None
    if table.has("at_s"):
        at_s = tuple(sorted(table.numbers("at_s", 0.0, MAX_S, MAX_TIMES)))
    else:
        every_s = table.number("every_s", MIN_EVERY_S, MAX_S)
    for_s = (0.0, 0.0)
    if kind in (Kind.SLEEP, Kind.UPDATES_DISABLED):
        for_s = table.range("for_s", 0.0, MAX_S)
    elif kind in (Kind.REBOOT, Kind.POWER_CUT):
        for_s = table.range("for_s", 0.0, MAX_S, DEFAULT_BOOT_S)
    elif kind in (Kind.WRONG_DEVICE_KEY, Kind.WRONG_SERVER_KEY):
        for_s = table.range("for_s", 0.0, MAX_S, (FOREVER, FOREVER))
    keeps_session = True
    if kind is Kind.POWER_CUT:
        keeps_session = _keeps_session(table)
    share = table.number("share", 0.0, 1.0, 1.0)
    return Mishap(kind, at_s, every_s, for_s, share, keeps_session)


def _update_fault(trouble: Trouble, table: Table) -> UpdateFault:
    # A device that restarts says nothing anyway.
    phases = [phase for phase in Phase if (trouble, phase) != (Trouble.SLOW, Phase.RESTART)]
    phase = Phase(table.choice("phase", [phase.value for phase in phases]))
    done = (0.0, 1.0)
    if phase is Phase.CHUNKS:
        done = table.range("done", 0.0, 1.0, done)
    times = table.integer_or("times", _ALWAYS, 1, MAX_TIMES, 1)
    for_s = (0.0, 0.0)
    if trouble is Trouble.SLOW:
        for_s = table.range("for_s", 0.0, MAX_S)
    elif trouble is Trouble.SILENT:
        for_s = table.range("for_s", 0.0, MAX_S, DEFAULT_SILENCE_S)
    elif trouble is Trouble.POWER_CUT:
        for_s = table.range("for_s", 0.0, MAX_S, DEFAULT_BOOT_S)
    code = FLASH_IO
    if trouble is Trouble.REFUSED:
        code = table.integer("code", LOWEST, -1, FLASH_IO)
    return UpdateFault(
        trouble,
        phase,
        times=times,
        share=table.number("share", 0.0, 1.0, 1.0),
        done=done,
        for_s=for_s,
        keeps_session=_keeps_session(table) if trouble is Trouble.POWER_CUT else True,
        code=code,
    )


def _keeps_session(table: Table) -> bool:
    return table.choice("session", ("kept", "lost"), "lost") == "kept"


def _value(text: str) -> object:
    """A value of TOML; a bare word is text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
