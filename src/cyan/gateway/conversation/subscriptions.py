"""Subscriptions (device-protocol.md §3.7): kept with the session, as long as it lasts."""

from collections.abc import Sequence

from cyan.gateway.effects import Effect, Listen, Reply, Save
from cyan.gateway.session import MAX_SUBSCRIPTIONS, Session, share
from cyan.wire import coap
from cyan.wire.messages import Subscribe


def on_subscribe(
    session: Session, message: coap.Message, subscription: Subscribe
) -> Sequence[Effect]:
    """Kept before it is acknowledged, because the device will not send it again. The same filter
    may come again. A refusal makes the device send all of them at its next connection."""
    subscription = share(subscription)
    if subscription not in session.subscriptions:
        if len(session.subscriptions) == MAX_SUBSCRIPTIONS:
            return (Reply(coap.encode_ack(message.message_id, coap.FORBIDDEN, message.token)),)
        session.subscriptions = share((*session.subscriptions, subscription))
    return (Save(after=(Listen(subscription),)),)
