"""In which form a device can take an event that it subscribed to (device-protocol.md §3.8)."""

from collections.abc import Iterable

import msgspec

from cyan.events import cbor
from cyan.events.model import Event
from cyan.gateway.session import Session
from cyan.wire import coap
from cyan.wire.errors import MalformedError
from cyan.wire.messages import Subscribe


def fit(event: Event, session: Session) -> tuple[bytes | None, int]:
    """Data and content format for this device.

    A handler takes what its subscription says; the others get nothing of it, without a word. So
    structured data goes as CBOR to one that wants that, as it is to one that takes anything, and
    to one that only reads text as JSON.
    """
    hello = session.hello
    if hello is None or hello.system_version is None:
        # Firmware before 3.0 gives its program an event with a content format without its data.
        return event.data, coap.TEXT
    if event.content_format != coap.STRUCTURED:
        return event.data, event.content_format
    wanted = _matching(event, session.subscriptions)
    if any(subscription.cbor for subscription in wanted):
        # Firmware 6.2 compares with plain CBOR.
        return event.data, coap.CBOR
    if any(subscription.binary for subscription in wanted):
        return event.data, coap.STRUCTURED
    try:
        return msgspec.json.encode(cbor.decode(event.data or b"")), coap.JSON
    except MalformedError:
        return event.data, coap.STRUCTURED


def _matching(event: Event, subscriptions: Iterable[Subscribe]) -> list[Subscribe]:
    return [each for each in subscriptions if event.name.startswith(each.prefix)]
