"""The application of one simulated device while it runs: it does what a `Behaviour` says."""

from typing import Final

import msgspec

from cyan.sim import describing
from cyan.sim.behaviour import (
    COUNTER,
    DEVICE_ID,
    DEVICE_NAME,
    Behaviour,
    Event,
    Subscription,
)
from cyan.sim.boards import DEFAULT_BOARD, Board
from cyan.sim.chance import Chance
from cyan.sim.firmware import Firmware
from cyan.sim.reliability import NEVER
from cyan.sim.waves import RunningVariable
from cyan.wire.describe import (
    ApplicationDescribe,
    encode_application,
)
from cyan.wire.messages import MAX_EVENT_DATA, EventDown, Publish, encode_variable_value

_PADDING: Final = b"."


class DueEvent(msgspec.Struct, frozen=True, gc=False):
    """It is time for an event: since when, in seconds of the device's clock."""

    event: Event
    at: float


class Application:
    """The state of one device's application since its last boot.

    `seed` decides when its events come and how its variables walk; `events_made` counts on over
    boots. Times are seconds of the device's clock.
    """

    __slots__ = (
        "_behaviour",
        "_device",
        "_functions",
        "_schedule",
        "_seed",
        "_variables",
        "application_describe",
        "events_made",
        "system_describe",
    )

    def __init__(
        self,
        device_id: str,
        name: str,
        behaviour: Behaviour,
        seed: str,
        events_made: int = 0,
        board: Board = DEFAULT_BOARD,
        firmware: Firmware | None = None,
    ) -> None:
        self._device = {DEVICE_ID: device_id, DEVICE_NAME: name}
        self._behaviour = behaviour
        self._seed = seed
        self._functions = {function.name: function for function in behaviour.functions}
        self._variables: dict[str, RunningVariable] = {}
        self._schedule: list[_Slot] = []
        self.events_made = events_made
        self.application_describe = describe_application(behaviour)
        self.system_describe = describing.encode_system(device_id, board, firmware)
        describing.check_room(self.application_describe, self.system_describe, board)
        self.boot(0.0)
        self.halt()

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """What it listens to."""
        return self._behaviour.subscriptions

    def boot(self, at: float) -> None:
        """Begins anew: the variables as at first, each event somewhere in its first interval, so
        that a fleet's load is even."""
        self._variables = {
            variable.name: RunningVariable(variable, self._device, self._seed, at)
            for variable in self._behaviour.variables
        }
        self._schedule = [
            _Slot(event, Chance(self._seed, "event", str(number)), at)
            for number, event in enumerate(self._behaviour.events)
        ]

    def on_online(self, at: float) -> None:
        """What is published once after each boot is due."""
        for slot in self._schedule:
            slot.on_online(at)

    def halt(self) -> None:
        """Publishes nothing more."""
        self._schedule = []

    def deadline(self) -> float:
        """When the next event is due."""
        return min((slot.at for slot in self._schedule), default=NEVER)

    def take_due(self, now: float) -> DueEvent | None:
        """The event that has been due for longest, None when none is; it is due next an interval
        later."""
        slot = min(self._schedule, key=_Slot.due_at, default=None)
        if slot is None or slot.at > now:
            return None
        return DueEvent(slot.event, slot.take())

    def make(self, due: DueEvent, *, confirmable: bool) -> Publish:
        """The message of a due event. Its data are those of the time when it was due, and so the
        same whenever it is made."""
        self.events_made += 1
        event = due.event
        data = event.data
        if not isinstance(data, bytes):
            text = data.render(lambda place: self._fill(place, due.at))
            padded = text.encode().ljust(event.size_bytes, _PADDING)
            # Cut between characters.
            data = padded[:MAX_EVENT_DATA].decode(errors="ignore").encode()
        return Publish(event.name, data, event.content_format, confirmable=confirmable)

    def call(self, name: str, argument: str) -> int | None:
        """What the function returns; None when there is no such function."""
        function = self._functions.get(name)
        if function is None:
            return None
        if function.into is not None:
            self._variables[function.into].set(argument)
        length = len(argument.encode())
        return function.results.get(
            argument, length if function.otherwise is None else function.otherwise
        )

    def read(self, name: str, now: float) -> bytes | None:
        """The variable's value as it travels; None when there is no such variable."""
        variable = self._variables.get(name)
        return None if variable is None else encode_variable_value(variable.type, variable.at(now))

    def receive(self, event: EventDown) -> bool:
        """Takes an event; tells whether a handler wanted it."""
        wanted = False
        for subscription in self._behaviour.subscriptions:
            if not event.name.startswith(subscription.prefix):
                continue
            if not subscription.takes.accepts(event.content_format):
                continue
            wanted = True
            if subscription.into is not None:
                data = (event.data or b"").decode(errors="replace")
                self._variables[subscription.into].set(data)
        return wanted

    def _fill(self, place: str, at: float) -> str:
        # Images of the simulated platform may have variables of any name.
        variable = self._variables.get(place)
        if variable is not None:
            return variable.text_at(at)
        return str(self.events_made) if place == COUNTER else self._device[place]


def describe_application(behaviour: Behaviour) -> bytes:
    """The application describe of what does this."""
    types = {variable.name: variable.type for variable in behaviour.variables}
    functions = tuple(function.name for function in behaviour.functions)
    return encode_application(ApplicationDescribe(functions, types))


class _Slot:
    """When an event comes next."""

    __slots__ = ("_chance", "_is_new", "_nominal_at", "at", "event")

    def __init__(self, event: Event, chance: Chance, started_at: float) -> None:
        self.event = event
        self._chance = chance
        self._is_new = True
        first_s = NEVER if event.interval_s is None else chance.draw() * event.interval_s
        self._nominal_at = started_at + first_s
        self.at = self._nominal_at

    def due_at(self) -> float:
        return self.at

    def on_online(self, at: float) -> None:
        if self.event.interval_s is None and self._is_new:
            self._is_new = False
            self.at = at

    def take(self) -> float:
        """When it was due; the next time is an interval later, give or take the jitter."""
        taken = self.at
        event = self.event
        if event.interval_s is None:
            self.at = NEVER
            return taken
        self._nominal_at += event.interval_s
        self.at = self._nominal_at
        if event.jitter:
            self.at += self._chance.between(-event.jitter, event.jitter) * event.interval_s
        return taken
