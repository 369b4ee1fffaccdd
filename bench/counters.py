"""What a server counts of itself: its metrics, read over HTTP."""

import http.client
import re

from bench.machine import BenchError

_SAMPLE = re.compile(r"^(cyan_\S+) (\S+)$", re.MULTILINE)

EVENTS = 'cyan_events_total{origin="device"}'
EVENTS_REFUSED = "cyan_events_refused_total"
HANDSHAKES = 'cyan_handshakes_total{kind="full"}'
ADOPTED = "cyan_sessions_adopted_total"
ONLINE = "cyan_devices_online"


def read_counters(http_port: int) -> dict[str, float]:
    """Every sample of the server's own metrics, by name and labels."""
    connection = http.client.HTTPConnection("127.0.0.1", http_port, timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = {match[1]: float(match[2]) for match in _SAMPLE.finditer(text)}
    if EVENTS not in found:
        raise BenchError("The server's metrics lack the count of events.")
    return found
