"""What the gateway counts."""

from prometheus_client import Counter, Gauge

from cyan.core.metrics import REGISTRY

handshakes = Counter(
    "cyan_handshakes",
    "Secure sessions begun: full handshakes over UDP, resumptions of earlier sessions, and"
    " connections over TCP.",
    ["kind"],
    registry=REGISTRY,
)
handshakes_ended = Counter(
    "cyan_handshakes_ended",
    "Handshakes that came to nothing: refused at the first message, or failed after it; of the last"
    " those where the device did not know our key (UDP only).",
    ["how"],
    registry=REGISTRY,
)
sessions_adopted = Counter(
    "cyan_sessions_adopted", "Stored sessions taken over at start.", registry=REGISTRY
)
devices_online = Gauge("cyan_devices_online", "Devices that count as online.", registry=REGISTRY)
refused = Counter(
    "cyan_devices_refused",
    "Devices that proved a key and were refused, by reason.",
    ["reason"],
    registry=REGISTRY,
)
dropped = Counter(
    "cyan_datagrams_dropped",
    "What came to the device ports without effect, by reason: datagrams, handshakes that gave way,"
    " connections not taken.",
    ["reason"],
    registry=REGISTRY,
)
events_refused = Counter(
    "cyan_events_refused",
    "Events of devices answered with 5.03 because the log could not keep them in time.",
    registry=REGISTRY,
)
events_undelivered = Counter(
    "cyan_events_undelivered",
    "Events for subscribed devices that could not be sent, by reason.",
    ["reason"],
    registry=REGISTRY,
)
updates_running = Gauge(
    "cyan_updates_running", "Files that are being sent to devices now.", registry=REGISTRY
)
updates_ended = Counter(
    "cyan_updates_ended",
    "Files sent to devices, by outcome: done (the device has confirmed the end), refused,"
    " interrupted, timeout, cancelled.",
    ["outcome"],
    registry=REGISTRY,
)
update_chunks = Counter("cyan_update_chunks", "Chunks of files sent to devices.", registry=REGISTRY)
update_chunks_resent = Counter(
    "cyan_update_chunks_resent",
    "Of these the ones that were sent again, counted when a transfer ends.",
    registry=REGISTRY,
)

# Children are looked up once: `labels` costs more than all else on the hot path.
handshakes_full = handshakes.labels(kind="full")
handshakes_refused = handshakes_ended.labels(how="refused")
handshakes_wrong_key = handshakes_ended.labels(how="wrong_server_key")
handshakes_failed = handshakes_ended.labels(how="failed")
handshakes_stream = handshakes.labels(kind="tcp")
handshakes_resumed = handshakes.labels(kind="resumed")
dropped_unknown_session = dropped.labels(reason="unknown_session")
dropped_not_authentic = dropped.labels(reason="not_authentic")
dropped_malformed = dropped.labels(reason="malformed")
dropped_overload = dropped.labels(reason="overload")
dropped_over_rate = dropped.labels(reason="device_over_rate")
undelivered_busy = events_undelivered.labels(reason="busy")
undelivered_too_large = events_undelivered.labels(reason="too_large")
undelivered_unanswered = events_undelivered.labels(reason="unanswered")
