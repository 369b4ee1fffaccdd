"""`cyan plan`, over a data folder of its own."""

import json
from pathlib import Path

import click
import pytest
from click.testing import Result

from cyan.cli.plan import plan
from cyan.core.db.engine import Database
from cyan.core.errors import CyanError
from tests import commands


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return commands.make_data(tmp_path)


def run(data: Path, *arguments: str) -> Result:
    return commands.run(plan, data, *arguments)


def listed(data: Path) -> list[str]:
    return run(data, "list").stdout.splitlines()


def deeds(data: Path) -> list[tuple[str, str, dict[str, object]]]:
    """What was written down: actor, action and detail."""
    db = Database(data / "cyan.db")
    try:
        query = "SELECT actor, action, detail FROM audit_entry WHERE action LIKE 'plan.%'"
        return [
            (actor, deed, json.loads(detail)) for actor, deed, detail in db.driver.execute(query)
        ]
    finally:
        db.close()


def test_a_new_server_has_the_developer_plan(data: Path) -> None:
    assert listed(data) == ["developer  Developer  100 devices"]


def test_a_plan_is_made_given_and_taken_back(data: Path) -> None:
    assert run(data, "set", "workshop", "--unlimited", "--title", "Our workshop").exit_code == 0
    assert run(data, "give", "Ada@example.com", "workshop").exit_code == 0
    assert listed(data) == [
        "developer  Developer  100 devices",
        "workshop  Our workshop  any number of devices",
        "ada@example.com has workshop",
    ]
    run(data, "give", "ada@example.com", "developer")
    assert listed(data)[-1] == "workshop  Our workshop  any number of devices"


def test_a_plan_that_is_changed_keeps_its_title(data: Path) -> None:
    run(data, "set", "workshop", "--devices", "5", "--title", "Our workshop")
    run(data, "set", "workshop", "--devices", "500")
    assert listed(data)[-1] == "workshop  Our workshop  500 devices"


def test_the_plan_of_everybody_can_be_changed(data: Path) -> None:
    run(data, "set", "developer", "--devices", "250")
    assert listed(data) == ["developer  Developer  250 devices"]


def test_what_the_operator_does_with_plans_is_written_down(data: Path) -> None:
    run(data, "set", "workshop", "--devices", "5")
    run(data, "give", "ada@example.com", "workshop")
    assert deeds(data) == [
        ("operator", "plan.set", {"title": "Workshop", "devices": 5}),
        ("operator", "plan.given", {"plan": "workshop"}),
    ]


@pytest.mark.parametrize("limits", [[], ["--devices", "5", "--unlimited"]], ids=["none", "both"])
def test_a_plan_has_one_limit_or_says_that_it_has_none(data: Path, limits: list[str]) -> None:
    result = run(data, "set", "workshop", *limits)
    assert result.exit_code == click.UsageError.exit_code
    assert "either --devices or --unlimited" in result.stderr
    assert len(listed(data)) == 1


@pytest.mark.parametrize(
    ("word", "title"),
    [("Our Plan", "x"), ("a" * 33, "x"), ("workshop", ""), ("workshop", "x" * 65), ("a", "x\ny")],
)
def test_a_plan_with_a_name_that_cannot_be_is_refused(data: Path, word: str, title: str) -> None:
    with pytest.raises(CyanError, match="small letters"):
        run(data, "set", word, "--devices", "5", "--title", title)
    assert len(listed(data)) == 1


def test_a_plan_that_there_is_not_is_not_given(data: Path) -> None:
    with pytest.raises(CyanError, match="cyan plan list"):
        run(data, "give", "ada@example.com", "workshop")
    assert deeds(data) == []


def test_nobody_gets_a_plan_without_an_account(data: Path) -> None:
    result = run(data, "give", "cleo@example.com", "developer")
    assert result.exit_code == 1
    assert "There is no account cleo@example.com" in result.stderr
