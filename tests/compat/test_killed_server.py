"""A server that is killed and started again, as the stock clients see it."""

import re
from pathlib import Path

import httpx

from tests.compat.clients import ParticleApi
from tests.compat.server import Ready, running_server


def _same_ports(ready: Ready) -> dict[str, str]:
    return {
        "CYAN_HTTP_PORT": str(httpx.URL(ready.api_url).port),
        "CYAN_UDP_PORT": str(ready.udp_port),
    }


def _full_handshakes(ready: Ready) -> float:
    metrics = httpx.get(f"{ready.api_url}/metrics").text
    (count,) = re.findall(r'^cyan_handshakes_total\{kind="full"\} (\S+)$', metrics, re.MULTILINE)
    return float(count)


def test_a_token_and_the_devices_go_on_where_they_were(stock_clients: None, tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        before = server.ready
        own = {device.id for device in server.own_devices}
        assert _full_handshakes(before) == len(before.devices)
        server.kill()
    with running_server(tmp_path, _same_ports(before)) as server:
        after = server.ready
        api_js = ParticleApi(after.api_url)
        # The token of before; and what comes are the heartbeats of the same devices.
        with api_js.stream(4, deviceId="mine", auth=before.access_token) as reader:
            events = reader.events()
        assert {event["coreid"] for event in events} == own
        assert {event["name"] for event in events} == {"heartbeat"}
        assert _full_handshakes(after) == 0
