"""From the numbers of a device to the JSON that people read."""

import json

import pytest

from cyan.health.fields import FIELDS
from cyan.health.model import Link, flatten, metadata, render
from cyan.wire.describe import Metric, Metrics
from cyan.wire.describe.metrics import NAMES, decode_metrics

LINK = Link(uptime_s=2, published=1, round_trip_ms=143)

RECORDED = json.loads(
    """{"device":{
  "network":{
   "cellular":{"radio_access_technology":"LTE",
     "cell_global_identity":{"mobile_country_code":310,"mobile_network_code":"410",
       "location_area_code":3339,"cell_id":205999999}},
   "signal":{"at":"LTE Cat-M1","strength":88.33,"strength_units":"%","strengthv":-77,
     "strengthv_units":"dBm","strengthv_type":"RSRP",
     "quality":45.83,"quality_units":"%","qualityv":-11,"qualityv_units":"dB",
     "qualityv_type":"RSRQ"},
   "connection":{"status":"connected","error":0,"disconnects":0,"attempts":1,
     "disconnect_reason":"unknown"}},
  "cloud":{
   "connection":{"status":"connected","error":0,"attempts":2,"disconnects":0,
     "disconnect_reason":"none"},
   "coap":{"transmit":13,"retransmit":0,"unack":0,"round_trip":531},
   "publish":{"rate_limited":0}},
  "power":{"battery":{"charge":{"err":-210},"state":"disconnected"},"source":"USB host"},
  "system":{"uptime":15,"memory":{"used":73976,"total":167688}}},
 "service":{"device":{"status":"ok"},"cloud":{"uptime":2,"publish":{"sent":1}},
  "coap":{"round_trip":143}}}"""
)
"""A record of a real Boron (rest-api-core.md §15), without the name of the operator, for which one
needs a list of operators."""

SENT = Metrics(
    (
        Metric(6, 15),
        Metric(8, 4),
        Metric(9, 0),
        Metric(12, 0),
        Metric(27, 1),
        Metric(28, 7),
        Metric(10, 2),
        Metric(13, 0),
        Metric(14, 0),
        Metric(29, 2),
        Metric(30, 0),
        Metric(23, 13),
        Metric(21, 0),
        Metric(22, 0),
        Metric(31, 531),
        Metric(20, 0),
        Metric(3, error=-210),
        Metric(7, 6),
        Metric(24, 2),
        Metric(26, 73_976),
        Metric(25, 167_688),
        Metric(36, 8),
        Metric(33, 22_612),
        Metric(37, -77 * 65_536),
        Metric(34, 11_732),
        Metric(35, -11 * 65_536),
        Metric(40, 310),
        Metric(41, 410),
        Metric(42, 3339),
        Metric(43, 205_999_999),
    )
)
"""What that Boron must have sent."""

# udp-full-session.log, the answer of Device OS 6.2.0 to a request for metrics.
CAPTURED = bytes.fromhex(
    "00040002000400060004000000080004000000090000000000"
    "0a00020000000c00000000000d00000000000e00000000001400000000001500000000001600000000001700"
    "0c00000019809cffffff1a809cffffff1b00010000001c00000000001d00010000001e00000000001f000300"
    "000021809cffffff22809cffffff23809cffffff24000100000025809cffffff3c0000000000"
)


def rendered(*metrics: Metric, link: Link = LINK) -> dict[str, object]:
    """The leaves of a payload, those of the server left out."""
    leaves = flatten(render(Metrics(metrics), link))
    return {path: leaf for path, leaf in leaves.items() if not path.startswith("service.")}


def test_the_vitals_of_a_real_device_read_as_they_were_recorded() -> None:
    assert json.loads(render(SENT, LINK)) == RECORDED


def test_the_keys_come_in_the_recorded_order() -> None:
    assert list(flatten(render(SENT, LINK))) == list(flatten(json.dumps(RECORDED)))


def test_captured_vitals_read_too() -> None:
    leaves = rendered(*decode_metrics(CAPTURED).values)
    assert leaves["device.network.connection.status"] == "connected"
    assert leaves["device.network.signal.at"] == "Wi-Fi"
    assert leaves["device.network.signal.strength.err"] == -100
    assert leaves["device.system.memory.total.err"] == -100
    assert leaves["device.cloud.coap.round_trip"] == 3
    assert leaves["device.system.uptime"] == 4
    assert leaves["device.system.protected"] is False
    assert len(leaves) == 24


@pytest.mark.parametrize(
    ("metric", "path", "value"),
    [
        (Metric(3, 12 * 256 + 128), "device.power.battery.charge", 12.5),
        (Metric(37, -77 * 65_536 - 32_768), "device.network.signal.strengthv", -77.5),
        (Metric(41, -4), "device.network.cellular.cell_global_identity.mobile_network_code", "04"),
        (Metric(41, 4), "device.network.cellular.cell_global_identity.mobile_network_code", "004"),
        (Metric(1, 130), "device.system.reset", "panic"),
        (Metric(28, 3), "device.network.connection.disconnect_reason", "network_off"),
        (Metric(30, 8), "device.cloud.connection.disconnect_reason", "server_moved"),
        (Metric(60, 1), "device.system.protected", True),
        (Metric(7, 99), "device.power.battery.state", 99),
        (Metric(25, error=-100), "device.system.memory.total.err", -100),
    ],
)
def test_each_kind_of_value_reads_as_what_it_means(
    metric: Metric, path: str, value: object
) -> None:
    assert rendered(metric)[path] == value


@pytest.mark.parametrize(
    ("technology", "types"),
    [(1, ["RSSI", "SNR"]), (4, ["RSCP", "ECN0"]), (9, ["RSRP", "RSRQ"]), (7, [None, None])],
)
def test_what_strength_and_quality_measure_depends_on_the_radio(
    technology: int, types: list[str | None]
) -> None:
    leaves = rendered(Metric(36, technology), Metric(37, 0), Metric(35, 0))
    signal = "device.network.signal"
    assert [leaves.get(f"{signal}.{leaf}_type") for leaf in ("strengthv", "qualityv")] == types


def test_the_second_radio_is_measured_by_its_own_technology() -> None:
    leaves = rendered(Metric(36, 8), Metric(49, 1), Metric(45, -50 * 65_536))
    assert leaves["device.network.alternate.signal.strengthv_type"] == "RSSI"


def test_a_value_that_is_an_error_has_no_units_beside_it() -> None:
    assert rendered(Metric(36, 1), Metric(33, error=-120), Metric(37, error=-120)) == {
        "device.network.signal.at": "Wi-Fi",
        "device.network.signal.strength.err": -120,
        "device.network.signal.strengthv.err": -120,
    }


def test_only_a_cell_has_a_generation() -> None:
    assert list(rendered(Metric(36, 6))) == ["device.network.signal.at"]


def test_metrics_that_nobody_knows_are_left_out() -> None:
    payload = json.loads(render(Metrics((Metric(0x8001, 7), Metric(11, 7))), LINK))
    assert payload["device"] == {}


def test_without_a_measured_round_trip_there_is_none() -> None:
    payload = json.loads(render(Metrics(()), Link(uptime_s=9, published=0)))
    assert payload["service"] == {
        "device": {"status": "ok"},
        "cloud": {"uptime": 9, "publish": {"sent": 0}},
    }


def test_every_metric_that_the_wire_knows_has_one_place() -> None:
    assert sorted(field.id for field in FIELDS) == sorted(NAMES)
    assert len({field.path for field in FIELDS}) == len(FIELDS)


def test_the_meaning_of_every_leaf_is_told() -> None:
    told = flatten(json.dumps(metadata()))
    keys = {"title", "type", "units", "ranges", "values", "messages", "priority", "describes"}
    for path in flatten(render(SENT, LINK)):
        own = path.removesuffix(".err")
        if not own.endswith(("_units", "_type", "radio_access_technology")):
            assert told[f"{own}.describes"] == own
    leaf = metadata()
    for key in ("device", "power", "battery", "charge"):
        below = leaf[key]
        assert isinstance(below, dict)
        leaf = below
    assert leaf.keys() == keys
    assert (leaf["units"], leaf["ranges"], leaf["type"]) == ("%", {"low": 20}, "number")
