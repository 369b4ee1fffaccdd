"""How long an HTTP connection may take: to say what it wants, to say nothing, to read, to leave."""

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cyan.rest.slowreader import SEND_TIMEOUT_S, SlowReader

HEAD_TIMEOUT_S: Final = 30.0
"""How long a connection may take to say what it wants (nginx: client_header_timeout, 60 s)."""

LINGER_S: Final = 5.0
"""How long a client that was refused has to read it and to stop sending (nginx: lingering_timeout,
5 s). Closed at once, with something unread, the kernel resets the connection, and the refusal may
be lost on its way (RFC 9112 §9.6)."""


class PatientConnection(HttpToolsProtocol):
    """uvicorn's connection, with an end to each wait."""

    _waiting: asyncio.TimerHandle | None = None
    """For a head, or in the end for the client to leave."""
    _pending_bytes = 0
    """What came since a head or a piece of a body was complete."""
    _quiet_since_s = 0.0
    _is_deaf = False
    """What comes now is not listened to: nobody knows where a request would begin."""
    _last_words = b""
    """Refuses what could not be read, once those before it have their answers."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._reader = SlowReader(transport, self.loop)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._reader.catches_up()
        super()._unset_keepalive_if_required()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reader.falls_behind()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._reader.catches_up()

    def on_response_complete(self) -> None:
        """As uvicorn does it, but for the timer of quiet connections, which it would set anew after
        each answer; here it stays, and looks at its end whether it was quiet all the time."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        if self.flow.read_paused:
            self.flow.resume_reading()
        if not self._is_idle:
            return
        if self._is_deaf:
            self._hang_up()
            return
        self._quiet_since_s = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_later(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if not self._is_idle:
            return  # the end of the next answer sets it again
        if self._pending_bytes:
            if self._waiting is None:  # it began while another was answered
                self._wait_for_head()
            return
        left_s = self._quiet_since_s + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._look_later(left_s)
        else:
            self._close()

    def _unset_keepalive_if_required(self) -> None:
        """uvicorn's, with each piece of data: it stays."""

    def _look_later(self, in_s: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(in_s, self.timeout_keep_alive_handler)

    @property
    def _is_idle(self) -> bool:
        """Whether no answer is on its way."""
        return self.cycle is None or self.cycle.response_complete

    def _wait_for_head(self) -> None:
        self._waiting = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _hang_up(self) -> None:
        """Say what is left to say and no more, and wait until the client has read it."""
        self.transport.write(self._last_words)
        if self.transport.can_write_eof():  # without TLS
            self.transport.write_eof()
        super()._unset_keepalive_if_required()
        self._waiting = self.loop.call_later(LINGER_S, self._close)

    def _close(self) -> None:
        """When what was written is sent."""
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self.loop.call_later(SEND_TIMEOUT_S, self.transport.abort)
