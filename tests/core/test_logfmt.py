"""Our lines are those of structlog's renderer."""

import structlog
from hypothesis import given
from hypothesis import strategies as st

from cyan.core import logfmt

WITNESS = structlog.processors.LogfmtRenderer(
    key_order=["timestamp", "level", "event"], bool_as_flag=False
)

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.text(alphabet='a= "\\\n', max_size=6),
    st.lists(st.integers(), max_size=2),
)


@given(
    st.fixed_dictionaries(
        {"level": values, "timestamp": values, "event": values},
        optional={"device_id": values, "path": values, "ms": values},
    )
)
def test_a_line_is_what_structlog_would_write(event: dict[str, object]) -> None:
    assert logfmt.Lines(None)(None, "info", dict(event)) == WITNESS(None, "info", dict(event))


def test_a_request_is_one_readable_line() -> None:
    event = {"path": "/v1/devices/my lamp", "event": "http.request", "level": "info", "ms": 0.2}
    assert logfmt.Lines(None)(None, "info", event) == (
        'level=info event=http.request path="/v1/devices/my lamp" ms=0.2'
    )
