"""particle-api-js, unchanged: ledgers, defined, filled, looked back into, and archived."""

import pytest

from tests.compat.clients import Json, ParticleApi
from tests.compat.rows import proves
from tests.compat.server import Server


@pytest.fixture
def mine(server: Server) -> dict[str, str]:
    return {"auth": server.ready.access_token}


def _bodies(api_js: ParticleApi, *calls: tuple[str, dict[str, Json]]) -> list[Json]:
    return [answer["body"] for answer in api_js.call_all(*calls)]


@proves("createLedger()", "getLedger()", "updateLedger()", "listLedgers()", "archiveLedger()")
def test_a_ledger_is_defined_described_listed_and_archived(
    api_js: ParticleApi, mine: dict[str, str]
) -> None:
    fields = {"name": "settings", "scope": "Device", "direction": "Downstream", "description": ""}
    one = {"ledgerName": "settings", **mine}
    made, _, shown, listed, _, after = _bodies(
        api_js,
        ("createLedger", {"ledger": fields, **mine}),
        ("updateLedger", {"ledger": {"description": "How it works"}, **one}),
        ("getLedger", one),
        ("listLedgers", mine),
        ("archiveLedger", one),
        ("listLedgers", mine),
    )
    assert (made["ledger"]["name"], made["ledger"]["direction"]) == ("settings", "Downstream")
    assert shown["ledger"]["description"] == "How it works"
    assert [ledger["name"] for ledger in listed["ledgers"]] == ["settings"]
    assert after["ledgers"] == []


@proves(
    "setLedgerInstance()",
    "getLedgerInstance()",
    "listLedgerInstances()",
    "listLedgerInstanceVersions()",
    "getLedgerInstanceVersion()",
    "deleteLedgerInstance()",
)
def test_what_a_ledger_holds_for_a_device_is_set_merged_and_looked_back_into(
    api_js: ParticleApi, mine: dict[str, str], server: Server
) -> None:
    device = server.own_devices[0].id
    fields = {"name": "colours", "scope": "Device", "direction": "Downstream"}
    one = {"ledgerName": "colours", **mine}
    here = {"scopeValue": device, **one}
    _, _, merged, shown, listed, versions = _bodies(
        api_js,
        ("createLedger", {"ledger": fields, **mine}),
        ("setLedgerInstance", {"instance": {"data": {"a": 1, "b": "x"}}, **here}),
        ("setLedgerInstance", {"instance": {"data": {"b": "y"}}, "setMode": "Merge", **here}),
        ("getLedgerInstance", here),
        ("listLedgerInstances", one),
        ("listLedgerInstanceVersions", here),
    )
    assert merged["instance"]["data"] == shown["instance"]["data"] == {"a": 1, "b": "y"}
    assert [found["scope"]["value"] for found in listed["instances"]] == [device]
    (before,) = [found for found in versions["versions"] if found["data"]["b"] == "x"]
    old, _ = _bodies(
        api_js,
        ("getLedgerInstanceVersion", {"version": before["version"], **here}),
        ("deleteLedgerInstance", here),
    )
    assert old["instance"]["data"] == {"a": 1, "b": "x"}
    assert api_js.refusal("getLedgerInstance", **here)["statusCode"] == 404
