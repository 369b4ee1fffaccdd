"""Vital signs of simulated boards."""

from cyan.sim.boards import Board, find_board
from cyan.sim.vitals import Vitals, encode_vitals
from cyan.wire.describe.metrics import NAMES, Metric, decode_metrics
from cyan.wire.messages import METRICS, encode_describe_request
from tests.sim.world import online_world
from tests.wire.vectors import coap_lines


def signs(board: Board, vitals: Vitals) -> dict[str, Metric]:
    return {
        NAMES[metric.id]: metric for metric in decode_metrics(encode_vitals(board, vitals)).values
    }


def test_the_host_build_sends_what_was_captured() -> None:
    captured = next(
        line.payload
        for line in coap_lines("tcp-full-session.log")
        if line.from_device and line.payload.startswith(b"\0\x04\0")
    )
    # Uptime 3 s; the roundtrip is not measured here.
    ours = encode_vitals(find_board("gcc"), Vitals(uptime_s=3.9))
    assert ours == captured


def test_a_board_measures_its_memory_and_its_network() -> None:
    wifi, cellular = (signs(find_board(name), Vitals()) for name in ("argon", "boron"))
    for sign in ("sys:tram", "net:sigstr", "net:sigqualv"):
        assert wifi[sign].value is not None
        assert wifi[sign].error is None
    assert wifi["net:sigstrv"].value == -71 << 16
    assert (wifi["net:at"].value, cellular["net:at"].value) == (1, 8)


def test_what_a_device_has_counted_is_told() -> None:
    world = online_world()
    world.cloud.is_alive = False
    world.run(50.0)
    world.cloud.is_alive = True
    world.run(20.0)
    _, answer = world.ask(lambda id_: encode_describe_request(id_, b"\x01", METRICS))
    told = {NAMES[metric.id]: metric.value for metric in decode_metrics(answer.payload).values}
    assert told["sys:uptime"] == 70
    assert told["cloud:connatt"] == 2
    assert told["cloud:dconn"] == 1
    assert told["coap:retransmit"] == world.device.retransmissions > 0
