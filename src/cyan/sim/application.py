"""What runs on a simulated device: its variables, functions, events and subscriptions.

Every device has

- variables `answer` (int), `temperature` (double), `ready` (bool) and `greeting` (string);
- a function `led`: `on` gives 1, `off` gives 0, anything else -1, and `ready` follows the lamp;
- a function `echo`: gives the number of bytes of its argument, and `greeting` becomes the argument;
- an event `heartbeat` whose data is the device's id and a counter, so that each is like no other;
- a subscription, `fleet/` unless told otherwise.
"""

from random import Random
from typing import Final

import msgspec

from cyan.sim.platforms import SYSTEM_VERSION
from cyan.wire.describe import (
    ApplicationDescribe,
    Metric,
    Metrics,
    Module,
    ModuleDependency,
    SystemDescribe,
    encode_application,
    encode_metrics,
    encode_system_protobuf,
)
from cyan.wire.messages import BOOL, DOUBLE, INT, MAX_EVENT_DATA, STRING, encode_variable_value

EVENT_NAME: Final = "heartbeat"
DEFAULT_EVENT_INTERVAL_S: Final = 5.0
DEFAULT_SUBSCRIPTION: Final = "fleet/"
"""Matches no event of a simulated device, so that a fleet does not multiply its own traffic."""

SYSTEM_SUBSCRIPTIONS: Final = ("particle", "spark")
"""Firmware's own, before those of the application (device-protocol.md §3.7)."""

_ANSWER: Final = 42
_COOLEST: Final = 15.0
_RANGE: Final = 15.0

# Modules of a Gen 3 board as the system describe names them (device-protocol.md §3.3.3, §7).
_BOOTLOADER, _SYSTEM_PART, _USER_PART = 2, 4, 5
_BOOTLOADER_VERSION: Final = 3001
_ALL_CHECKS: Final = 0x1E
_BOOTLOADER_BYTES: Final = 49_152
_SYSTEM_BYTES: Final = 671_744
_USER_BYTES: Final = 262_144

# Ids of the metrics describe (device-protocol.md §3.3.4).
_UPTIME, _RETRANSMITTED, _TOTAL_MEMORY, _USED_MEMORY = 6, 21, 25, 26
_MEMORY_BYTES: Final = 171_000


class Workload(msgspec.Struct, frozen=True):
    """What the application does: how often it publishes (None: never) how many bytes, and what it
    listens to. Events are padded with dots to `event_bytes` where they are shorter."""

    event_interval_s: float | None = DEFAULT_EVENT_INTERVAL_S
    event_bytes: int = 0
    subscriptions: tuple[str, ...] = (DEFAULT_SUBSCRIPTION,)
    functions: tuple[str, ...] = ("led", "echo")
    """More functions than these two are named in the describe and give 0."""


class Application:
    """The state of one device's application. `events_made` counts on over restarts."""

    __slots__ = (
        "_device_id",
        "_greeting",
        "_ready",
        "_temperature",
        "_workload",
        "application_describe",
        "events_made",
        "system_describe",
    )

    def __init__(
        self, device_id: str, name: str, workload: Workload, random: Random, events_made: int = 0
    ) -> None:
        self._device_id = device_id
        self._workload = workload
        self._greeting = f"hello from {name}"
        self._ready = True
        self._temperature = round(_COOLEST + random.random() * _RANGE, 2)
        self.events_made = events_made
        types = {name: type_ for name, (type_, _) in self._variables().items()}
        self.application_describe = encode_application(
            ApplicationDescribe(workload.functions, types)
        )
        self.system_describe = encode_system_protobuf(_system(random.randbytes(32)))

    def call(self, function: str, argument: str) -> int | None:
        """What the function returns; None when there is no such function."""
        if function not in self._workload.functions:
            return None
        if function == "led":
            result = {"on": 1, "off": 0}.get(argument, -1)
            self._ready = self._ready if result < 0 else result == 1
            return result
        if function == "echo":
            self._greeting = argument
            return len(argument.encode())
        return 0

    def read(self, variable: str) -> bytes | None:
        """The variable's value as it travels; None when there is no such variable."""
        found = self._variables().get(variable)
        return None if found is None else encode_variable_value(*found)

    def next_event(self) -> bytes:
        """The data of the next event."""
        self.events_made += 1
        data = f"{self._device_id}-{self.events_made}".encode()
        return data.ljust(min(self._workload.event_bytes, MAX_EVENT_DATA), b".")

    def metrics(self, uptime_s: float, retransmissions: int) -> bytes:
        """The vital signs, as the metrics describe has them."""
        values = {
            _UPTIME: int(uptime_s),
            _RETRANSMITTED: retransmissions,
            _TOTAL_MEMORY: _MEMORY_BYTES,
            _USED_MEMORY: _MEMORY_BYTES // 2,
        }
        return encode_metrics(Metrics(tuple(Metric(id_, value) for id_, value in values.items())))

    def _variables(self) -> dict[str, tuple[int, bool | int | float | str]]:
        return {
            "answer": (INT, _ANSWER),
            "temperature": (DOUBLE, self._temperature),
            "ready": (BOOL, self._ready),
            "greeting": (STRING, self._greeting),
        }


def _system(app_hash: bytes) -> SystemDescribe:
    """A bootloader, Device OS and an application, all in order."""

    def module(
        function: int, index: int, version: int, size: int, depends_on: ModuleDependency | None
    ) -> Module:
        return Module(
            function=function,
            index=index,
            version=version,
            max_size=size,
            checked=_ALL_CHECKS,
            passed=_ALL_CHECKS,
            hash=app_hash if function == _USER_PART else None,
            dependencies=() if depends_on is None else (depends_on,),
        )

    bootloader = ModuleDependency(_BOOTLOADER, 0, _BOOTLOADER_VERSION)
    device_os = ModuleDependency(_SYSTEM_PART, 1, SYSTEM_VERSION)
    return SystemDescribe(
        (
            module(_BOOTLOADER, 0, _BOOTLOADER_VERSION, _BOOTLOADER_BYTES, None),
            module(_SYSTEM_PART, 1, SYSTEM_VERSION, _SYSTEM_BYTES, bootloader),
            module(_USER_PART, 1, 6, _USER_BYTES, device_os),
        )
    )
