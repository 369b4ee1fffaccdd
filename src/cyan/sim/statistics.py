"""What a fleet has done, counted."""

import msgspec

from cyan.sim.facts import (
    Answered,
    EndReason,
    EventReceived,
    EventSent,
    EventSettled,
    EventSkipped,
    Fact,
    FaultHappened,
    HandshakeDone,
    Outcome,
    State,
    StateChanged,
    UpdateBegan,
    UpdateEnded,
)
from cyan.sim.field import FieldDevice


class Statistics(msgspec.Struct):
    """Counts since the start. A `reconnect` is a connection that ended and was not told to;
    `lost_sessions` are those of them that a full handshake has to follow. Of the events that failed
    `events_refused` were answered with an error, the others never. Of datagrams both ways are
    counted what the simulated network lost, doubled and held back. Of updates that began some are
    interrupted: they count neither as applied nor as failed."""

    handshakes_full: int = 0
    handshakes_resumed: int = 0
    reconnects: int = 0
    lost_sessions: int = 0
    events_sent: int = 0
    events_acknowledged: int = 0
    events_failed: int = 0
    events_refused: int = 0
    events_skipped: int = 0
    events_received: int = 0
    functions_answered: int = 0
    variables_answered: int = 0
    describes_answered: int = 0
    signals_answered: int = 0
    updates_begun: int = 0
    updates_applied: int = 0
    updates_failed: int = 0
    retransmissions: int = 0
    faults: int = 0
    datagrams_lost: int = 0
    datagrams_doubled: int = 0
    datagrams_held_back: int = 0

    def count(self, fact: Fact) -> None:
        """Adds a fact."""
        match fact:
            case EventSent():
                self.events_sent += 1
            case EventSettled():
                self.events_acknowledged += fact.outcome is Outcome.ACKNOWLEDGED
                self.events_failed += fact.outcome is not Outcome.ACKNOWLEDGED
                self.events_refused += fact.outcome is Outcome.REFUSED
            case EventReceived():
                self.events_received += 1
            case EventSkipped():
                self.events_skipped += 1
            case HandshakeDone():
                self.handshakes_resumed += fact.resumed
                self.handshakes_full += not fact.resumed
            case StateChanged():
                self._count_end(fact)
            case Answered():
                self._count_answer(fact.kind)
            case UpdateBegan():
                self.updates_begun += 1
            case UpdateEnded():
                self.updates_applied += fact.code == 0
                self.updates_failed += fact.code != 0
            case FaultHappened():
                self.faults += 1

    def add(self, device: FieldDevice) -> None:
        """Adds what a device has counted by itself, at its end."""
        self.retransmissions += device.retransmissions
        for way in device.ways:
            self.datagrams_lost += way.lost
            self.datagrams_doubled += way.doubled
            self.datagrams_held_back += way.held_back

    def _count_end(self, fact: StateChanged) -> None:
        if fact.state is State.OFFLINE and fact.reason is not EndReason.STOPPED:
            self.reconnects += 1
            self.lost_sessions += not fact.keeps_session

    def _count_answer(self, kind: str) -> None:
        self.functions_answered += kind == "function"
        self.variables_answered += kind == "variable"
        self.describes_answered += kind == "describe"
        self.signals_answered += kind == "signal"
