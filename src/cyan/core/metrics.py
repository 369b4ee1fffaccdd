"""The Prometheus registry of this process; each part declares its own metrics beside its code."""

from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest

# A `_created` series beside every counter doubles the exposition and tells nothing.
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry(auto_describe=True)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition() -> bytes:
    """All metrics in the Prometheus text format."""
    return generate_latest(REGISTRY)
