"""A fleet of the bench against the real server: online, counted, and there again after a kill."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import restart
from bench.counters import HANDSHAKES, ONLINE
from bench.field import Field, open_field
from bench.load import Load
from bench.machine import BenchError
from bench.settings import Settings
from bench.volley import Volley

DEVICES = 8
EVENTS_SENT = 40
CORE = 0


@pytest.fixture
def field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Field]:
    monkeypatch.setattr("bench.field.SETTLE_S", 1.0)
    settings = Settings(CORE, CORE, runs=1)
    with open_field(settings, tmp_path / "field", "real", DEVICES, lambda index: ()) as opened:
        yield opened


def _send_events(field: Field) -> None:
    volley = Volley(
        field.events("bench/event", EVENTS_SENT),
        field.fleet.hosts,
        [i % DEVICES for i in range(EVENTS_SENT)],
    )
    Load(field.fleet.hosts.udp).as_fast_as_answered(volley)


def test_a_fleet_is_online_and_its_events_count_before_and_after_a_kill(field: Field) -> None:
    counted = field.counters()
    assert (counted[ONLINE], counted[HANDSHAKES]) == (DEVICES, DEVICES)
    with field.checked(EVENTS_SENT):
        _send_events(field)
    last_answer, opening = restart.measure(field)
    assert last_answer.is_met
    assert opening.value > 0


def test_a_count_that_does_not_fit_spoils_the_figure(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.field.COUNTED_WITHIN_S", 0.2)
    with pytest.raises(BenchError, match="but the server counts"), field.checked(EVENTS_SENT + 1):
        _send_events(field)
