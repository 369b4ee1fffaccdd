"""The examples of the page on the simulator are what the simulator reads."""

from cyan.sim.behaviour import Ack
from cyan.sim.behaviourfile import parse_behaviour
from cyan.sim.faults import KINDS, combine_faults
from cyan.sim.tables import Table, read_text
from cyan.sim.updatefaults import Trouble
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs/howto/simulate-a-fleet.md"


def example(number: int) -> Table:
    return read_text(blocks(PAGE, "toml")[number].encode(), "the page")


def test_the_behaviour_on_the_page_is_understood() -> None:
    behaviour = parse_behaviour(example(0))
    assert [variable.name for variable in behaviour.variables] == [
        "temperature",
        "daylight",
        "opened",
        "lamp",
        "label",
    ]
    assert [function.into for function in behaviour.functions] == ["lamp", "label"]
    assert [event.ack for event in behaviour.events] == [Ack.WITH, Ack.WITHOUT]
    assert [subscription.into for subscription in behaviour.subscriptions] == ["label"]


def test_the_faults_on_the_page_are_understood_and_nearly_all_that_there_are() -> None:
    table = example(1)
    told = table.tables("faults", 100)
    faults = combine_faults(told)
    table.finish()
    assert (faults.up.loss, faults.down.loss) == (0.2, 0.0)
    assert len(faults.mishaps) == 6
    assert {fault.trouble for fault in faults.updates} == set(Trouble)
    page = PAGE.read_text()
    assert [kind for kind in KINDS if kind not in page] == []
