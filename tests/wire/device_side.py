"""Writes what a device asked again, with the ids and the type of the message that carried it."""

from cyan.wire import coap
from cyan.wire import messages as m


def encode_again(message: coap.Message, value: m.DeviceRequest) -> bytes:
    """The bytes that our own device's side sends for `value`."""
    message_id, token = message.message_id, message.token
    confirmable = message.type == coap.CON
    match value:
        case m.Hello():
            return m.encode_hello(message_id, value, confirmable=confirmable)
        case m.Publish():
            return m.encode_publish(message_id, value, token=token)
        case m.Subscribe():
            return m.encode_subscribe(message_id, value, confirmable=confirmable)
        case m.TimeRequest():
            return m.encode_time_request(message_id, token)
        case m.DescribePost():
            return m.encode_describe_post(message_id, token, value)
        case m.LedgerPost():
            return m.encode_ledger_post(message_id, token, value)
        case m.Goodbye():
            return m.encode_goodbye(message_id, value, confirmable=confirmable)
        case m.UpdateAck():
            return m.encode_update_ack(message_id, value)
        case m.ChunkMissed():
            return m.encode_chunk_missed(message_id, value, confirmable=confirmable)
        case m.Ping():
            return coap.encode_ping(message_id)
        case m.Unknown():
            raise AssertionError(f"unknown: {value}")
