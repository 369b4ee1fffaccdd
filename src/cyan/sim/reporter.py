"""What the simulator prints: JSON lines for programs, or a few words for people."""

import sys
from typing import Final, TextIO

import msgspec

from cyan.sim.facts import (
    EndReason,
    EventReceived,
    Fact,
    FaultHappened,
    State,
    StateChanged,
    UpdateBegan,
    UpdateEnded,
    UpdatesPending,
)
from cyan.sim.faults import FOREVER
from cyan.sim.identity import Identity
from cyan.sim.statistics import Statistics

_DIGITS: Final = 6

_ADVICE: Final = {
    EndReason.HANDSHAKE_FAILED: (
        "the server did not answer, or --server-key is the key of another server. Does it run, and "
        "is that its file?"
    ),
    EndReason.ALERT: (
        "the server ended the session. If it refuses the device, `cyan doctor` on the server says "
        "which one and why."
    ),
    EndReason.CLOSED: (
        "the server closed the connection, or none is there. If it refuses the device, `cyan "
        "doctor` on the server says which one and why."
    ),
    EndReason.MESSAGE_TIMEOUT: "the server did not answer what the device said.",
}
"""Why a device that has not come online may not have. Other ends are the simulator's own doing."""


class Reporter:
    """Prints to one stream.

    JSON lines: `{"device", "state", "reason"}` for each change of a device's state,
    `{"device", "received", "data"}` for each event that its application got,
    `{"device", "fault", "at_s", "for_s"}` for each fault of a device, with no `for_s` where it ends
    at once or never,
    `{"device", "update": "began", "size_bytes", "offset_bytes"}` for each update that a device
    takes, `{"device", "update": "applied", "sha256"}` (of the file) or
    `{"device", "update": "failed", "code"}` at its end, where it is not interrupted,
    `{"device", "updates_pending": true}` or false when the server tells it,
    `{"ready": true, "seed", "devices": [{"id", "name", "transport", "public_key"}]}` once all are
    online, `{"statistics": {…}, "seed"}` at the end. The words for people leave out single devices,
    but for the first of those that did not come online, once for each reason.
    """

    def __init__(self, *, is_json: bool, stream: TextIO | None = None) -> None:
        self._is_json = is_json
        self._stream = sys.stdout if stream is None else stream
        self._advised: set[EndReason] = set()

    def on_fact(self, device_id: str, fact: Fact) -> None:
        """Prints a fact that people script on."""
        if not self._is_json:
            if isinstance(fact, StateChanged):
                self._advise(device_id, fact)
            return
        match fact:
            case StateChanged():
                line: dict[str, object] = {"device": device_id, "state": fact.state.value}
                if fact.state is State.OFFLINE and fact.reason is not None:
                    line["reason"] = fact.reason.value
                self._print_json(line)
            case EventReceived():
                data = fact.data.decode(errors="replace")
                self._print_json({"device": device_id, "received": fact.name, "data": data})
            case UpdateBegan():
                line = {"device": device_id, "update": "began", "size_bytes": fact.size_bytes}
                self._print_json(line | {"offset_bytes": fact.offset_bytes})
            case UpdateEnded(code=0):
                sha256 = fact.sha256.hex()
                self._print_json({"device": device_id, "update": "applied", "sha256": sha256})
            case UpdateEnded():
                self._print_json({"device": device_id, "update": "failed", "code": fact.code})
            case UpdatesPending():
                self._print_json({"device": device_id, "updates_pending": fact.is_pending})
            case FaultHappened():
                line = {"device": device_id, "fault": fact.kind, "at_s": round(fact.at_s, _DIGITS)}
                if 0.0 < fact.for_s < FOREVER:
                    line["for_s"] = round(fact.for_s, _DIGITS)
                self._print_json(line)
            case _:
                pass

    def _advise(self, device_id: str, fact: StateChanged) -> None:
        reason = fact.reason
        if fact.was_online or reason not in _ADVICE or reason in self._advised:
            return
        self._advised.add(reason)
        self._print(f"{device_id} is not online ({reason.value}): {_ADVICE[reason]}")

    def ready(self, seed: str, identities: list[Identity]) -> None:
        """All devices are online."""
        if self._is_json:
            devices = [identity.describe() for identity in identities]
            self._print_json({"ready": True, "seed": seed, "devices": devices})
        else:
            self._print(f"{len(identities)} devices online (seed {seed})")

    def keys(self, seed: str, identities: list[Identity]) -> None:
        """The devices and their keys, without connecting: one JSON line whatever was asked for."""
        devices = [identity.describe() for identity in identities]
        self._print_json({"seed": seed, "devices": devices})

    def ended(self, seed: str, statistics: Statistics) -> None:
        """The last line. Words for people leave out what never happened."""
        counts = msgspec.to_builtins(statistics)
        if self._is_json:
            self._print_json({"statistics": counts, "seed": seed})
        else:
            words = [f"{name.replace('_', ' ')} {n}" for name, n in counts.items() if n]
            self._print(f"seed {seed}: {', '.join(words) or 'nothing happened'}")

    def _print_json(self, line: dict[str, object]) -> None:
        self._print(msgspec.json.encode(line).decode())

    def _print(self, line: str) -> None:
        # Flushed by the line: programs wait for it.
        print(line, file=self._stream, flush=True)
