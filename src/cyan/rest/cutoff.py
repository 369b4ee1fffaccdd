"""A body that cannot be read to its end: whoever reads it is told so, and refuses the request."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from cyan.rest.errors import described
from cyan.rest.heads import RefusedRequestError


class CutOff:
    """The request of a connection to which that happened. It is the last one of it."""

    __slots__ = ("_cycle", "_fault")

    def __init__(self) -> None:
        self._cycle: RequestResponseCycle | None = None
        self._fault = RefusedRequestError(400, "")

    def at(self, cycle: RequestResponseCycle, fault: RefusedRequestError) -> None:
        """Its body ends here, and this is why."""
        self._cycle, self._fault = cycle, fault
        cycle.keep_alive = False
        cycle.message_event.set()

    def telling(self, cycle: RequestResponseCycle, app: ASGIApp) -> ASGIApp:
        """The application for one request. It gets an ApiError where it reads what does not come,
        and so the refusal is an answer like others, with its id and its line in the log. What needs
        no body is done as ever, and what has begun to answer hears that its client has left."""

        async def told(scope: Scope, receive: Receive, send: Send) -> None:
            async def receive_or_refuse() -> Message:
                message = await receive()
                if cycle is not self._cycle:
                    return message
                if cycle.response_started:
                    return {"type": "http.disconnect"}
                raise described(self._fault.status, "bad_request", self._fault.reason)

            async def send_and_stay(message: Message) -> None:
                if cycle is self._cycle and cycle.response_started:
                    cycle.keep_alive = True  # its head has said that the connection ends, and that
                    # is for the connection to do: uvicorn would not let the client read it
                await send(message)

            await app(scope, receive_or_refuse, send_and_stay)

        return told
