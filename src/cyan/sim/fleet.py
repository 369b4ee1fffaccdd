"""A fleet of devices in one event loop: a socket each, one heap of deadlines, no task each."""

import asyncio
from collections.abc import Sequence
from typing import Final

from cyan.sim.facts import (
    EventSent,
    EventSettled,
    Fact,
    FaultHappened,
    Outcome,
    State,
    StateChanged,
)
from cyan.sim.faults import NO_FAULTS, Faults
from cyan.sim.field import FieldDevice
from cyan.sim.journal import Journal
from cyan.sim.member import Member
from cyan.sim.plan import Plan
from cyan.sim.reliability import NEVER
from cyan.sim.reporter import Reporter
from cyan.sim.statefolder import StateFolder
from cyan.sim.statistics import Statistics
from cyan.sim.timers import Deadlines

SLACK_S: Final = 0.001
"""Deadlines this near are served together: the loop's clock has about this resolution."""

DEVICES_AT_ONCE: Final = 256
"""Whose deadlines have passed, before sockets have their turn."""

FAREWELL_STEP_S: Final = 0.02
FAREWELL_S: Final = 2.0
"""How long a graceful stop waits for the last acknowledgements."""


class Fleet:
    """Devices that run until `stop`. `ready` is set once all have been online at the same time."""

    def __init__(
        self,
        plans: Sequence[Plan],
        reporter: Reporter,
        *,
        seed: str,
        faults: Faults = NO_FAULTS,
        journal: Journal | None = None,
        folder: StateFolder | None = None,
    ) -> None:
        """Needs a running event loop."""
        self.statistics = Statistics()
        self.ready = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self.reporter = reporter
        self.journal = journal
        self._folder = folder
        self._deadlines = Deadlines(len(plans))
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER
        self._online = 0
        self._members = []
        for index, plan in enumerate(plans):
            member = Member(self, index, plan.device_id, plan.address)
            member.device = FieldDevice(
                plan.make,
                faults,
                member,
                seed=seed,
                name=plan.device_id,
                stored=None if folder is None else folder.load(plan.device_id),
            )
            self._members.append(member)

    def start(self, connect_rate: float) -> None:
        """Begins to connect, `connect_rate` devices a second."""
        now = self.loop.time()
        for index, member in enumerate(self._members):
            member.device.start(now + index / connect_rate)
            self._deadlines.plan(index, member.device.deadline())
        self._arm()

    async def stop(self, *, farewell: bool = True) -> None:
        """Closes everything, after Goodbyes and a short wait for what is unacknowledged."""
        if farewell:
            await self._say_goodbye()
        if self._timer is not None:
            self._timer.cancel()
        for member in self._members:
            member.device.stop(self.loop.time())
            self.statistics.add(member.device)
            member.close()
            if self._folder is not None:
                self._folder.keep_exactly(member.device.device)
        if self.journal is not None:
            self.journal.flush()

    async def _say_goodbye(self) -> None:
        for member in self._members:
            member.device.say_goodbye(self.loop.time())
        end = self.loop.time() + FAREWELL_S
        # Asked now and then: an event would have to be looked after with every message.
        while self._has_outstanding() and self.loop.time() < end:  # noqa: ASYNC110
            await asyncio.sleep(FAREWELL_STEP_S)

    def after(self, index: int) -> None:
        """Takes care of what follows from a member's input: its deadline, its state."""
        device = self._members[index].device
        self._deadlines.plan(index, device.deadline())
        if self._folder is not None:
            self._folder.keep(device.device)

    def flush(self) -> None:
        """Ends a round of inputs."""
        if self.journal is not None:
            self.journal.flush()
        self._arm()

    def on_fact(self, device_id: str, fact: Fact) -> None:
        """Counts, records and prints what a device tells."""
        self.statistics.count(fact)
        if self.journal is not None:
            self._record(self.journal, device_id, fact)
        if isinstance(fact, StateChanged):
            self._count_online(fact)
        self.reporter.on_fact(device_id, fact)

    def _record(self, journal: Journal, device_id: str, fact: Fact) -> None:
        match fact:
            case EventSent():
                journal.record_sent(device_id, fact.name, fact.data)
            case EventSettled() if fact.outcome is Outcome.ACKNOWLEDGED:
                journal.record_acknowledged(device_id, fact.name, fact.data)
            case FaultHappened():
                journal.record_fault(device_id, fact)
            case _:
                pass

    def _count_online(self, fact: StateChanged) -> None:
        if fact.state is State.ONLINE:
            self._online += 1
            if self._online == len(self._members):
                self.ready.set()
        elif fact.was_online:
            self._online -= 1

    def _arm(self) -> None:
        at = self._deadlines.next()
        if at >= self._timer_at and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = None if at == NEVER else self.loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_at = NEVER
        for _ in range(DEVICES_AT_ONCE):
            now = self.loop.time()
            index = self._deadlines.pop(now + SLACK_S)
            if index is None:
                break
            device = self._members[index].device
            if device.deadline() <= now + SLACK_S:
                device.on_deadline(now + SLACK_S)
            self.after(index)
        self.flush()

    def _has_outstanding(self) -> bool:
        return any(
            member.device.outstanding
            for member in self._members
            if member.device.state is State.ONLINE
        )
