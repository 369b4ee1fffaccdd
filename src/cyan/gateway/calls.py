"""The port DeviceLink: calls to connected devices, each an await that ends by answer or error."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from cyan.core.clock import from_ms
from cyan.core.ids import DeviceId
from cyan.core.ports import (
    DeviceBusyError,
    DeviceOfflineError,
    DeviceRefusedError,
    DeviceTimeoutError,
    LinkState,
)
from cyan.gateway.effects import Ask
from cyan.gateway.link import Link
from cyan.wire import coap
from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.exchange import BusyError
from cyan.wire.messages import (
    DIAGNOSTICS,
    METRICS,
    decode_function_result,
    encode_function_call,
    encode_signal,
    encode_variable_request,
)

CALL_TIMEOUT_S = 30.0
"""Until a device that is connected must have answered (platform-semantics.md §7)."""


class Links(Protocol):
    """Where live links are found; the gateway."""

    def online_link(self, device_id: DeviceId) -> Link | None: ...


class DeviceLinks:
    """Implements `cyan.core.ports.DeviceLink` over the gateway's links."""

    def __init__(self, links: Links) -> None:
        self._links = links

    def state(self, device_id: DeviceId) -> LinkState | None:
        link = self._links.online_link(device_id)
        if link is None:
            return None
        return LinkState(
            last_heard_at=from_ms(link.last_heard_ms),
            last_handshake_at=from_ms(link.last_handshake_ms),
            ip_address=link.ip_address,
        )

    async def call_function(self, device_id: DeviceId, name: str, argument: str) -> int:
        payload = await self._respond(
            device_id,
            lambda message_id, token: encode_function_call(message_id, token, name, argument),
        )
        try:
            return decode_function_result(payload)
        except MalformedError as error:
            raise DeviceRefusedError(f"The device's result cannot be read: {error}.") from error

    async def read_variable(self, device_id: DeviceId, name: str) -> bytes:
        return await self._respond(
            device_id, lambda message_id, token: encode_variable_request(message_id, token, name)
        )

    async def ping(self, device_id: DeviceId) -> None:
        await self._send(device_id, lambda message_id, _token: coap.encode_ping(message_id), False)

    async def signal(self, device_id: DeviceId, on: bool) -> None:
        await self._respond(
            device_id, lambda message_id, token: encode_signal(message_id, token, on=on)
        )

    def send_event(self, device_id: DeviceId, name: str, data: bytes | None) -> bool:
        link = self._links.online_link(device_id)
        return link is not None and link.send_event(name, data)

    def request_vitals(self, device_id: DeviceId) -> None:
        link = self._links.online_link(device_id)
        if link is None:
            raise DeviceOfflineError
        hello = link.session.hello
        if hello is not None and not hello.flags & DIAGNOSTICS:
            raise DeviceRefusedError("The device has no vitals: they came with Device OS 0.8.")
        link.perform((Ask(METRICS),))

    async def _respond(self, device_id: DeviceId, build: Callable[[int, bytes], bytes]) -> bytes:
        """The payload of the response. Raises DeviceRefusedError when it is an error code."""
        answer = await self._send(device_id, build, True)
        assert answer is not None
        if answer.code >= coap.BAD_REQUEST:
            raise DeviceRefusedError(f"The device answered {coap.code_text(answer.code)}.")
        return answer.payload

    async def _send(
        self, device_id: DeviceId, build: Callable[[int, bytes], bytes], respond: bool
    ) -> coap.Message | None:
        """The response, None when only the acknowledgement is awaited."""
        link = self._links.online_link(device_id)
        if link is None:
            raise DeviceOfflineError
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[coap.Message | None] = loop.create_future()

        def on_response(message: coap.Message) -> None:
            if not answer.done():
                answer.set_result(message)

        def on_end(how: str) -> None:
            if answer.done():
                return
            if how == "acknowledged":
                answer.set_result(None)
            elif how == "reset":
                answer.set_exception(DeviceRefusedError("The device refused the message."))
            elif how == "timeout":
                answer.set_exception(DeviceTimeoutError())
            else:
                answer.set_exception(DeviceOfflineError())

        try:
            cancel = link.request(build, on_end, on_response if respond else None)
        except BusyError as error:
            raise DeviceBusyError from error
        except MisuseError as error:
            raise DeviceRefusedError(f"The message cannot be sent: {error}.") from error
        link.after(CALL_TIMEOUT_S, lambda now_s: on_end("timeout"))
        try:
            return await answer
        finally:
            cancel()
