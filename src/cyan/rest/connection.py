"""One HTTP connection: uvicorn's, with bounds on what a stranger can make us keep or wait for.

The parser below it takes header lines and chunk extensions of any length, and a connection that
says nothing is kept forever; anybody can open one, without a token.

What comes is parsed piece by piece, and the rest is kept as it came: requests that wait for those
before them take a hundred times the memory of their bytes.
"""

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final, cast

import httptools
import structlog
from starlette.types import Scope
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from cyan.rest.atonce import AnswerNow, ShortWay, no_answer_now
from cyan.rest.cutoff import CutOff
from cyan.rest.errors import described, last_answer
from cyan.rest.heads import (
    RefusedRequestError,
    announces_body,
    check_head,
    fault_of,
    without_upgrade,
)
from cyan.rest.patience import PatientConnection
from cyan.rest.smallpatch import SmallPatch
from cyan.rest.sse import TRANSPORT

MAX_HEAD_BYTES: Final = 64 * 1024
"""Bytes that may come without completing a head or a piece of a body. Node takes 16 KiB, nginx
32 KiB; the longest URL that the parser takes has 64 KiB."""

MAX_AT_ONCE: Final = 16
"""Requests of one connection that are answered in one turn of the loop; others get theirs then."""

PIECE_BYTES: Final = 4096
"""What is parsed before the requests in it are answered. A request has 18 bytes at least and 5 kB
of memory while it waits: a connection has 1 MB of them at most, and 256 KiB that are not parsed."""

_TOO_LONG: Final = RefusedRequestError(
    431, f"The head of a request has at most {MAX_HEAD_BYTES} bytes."
)

_log = structlog.get_logger(__name__)


class _Part(Enum):
    """What of a request is being read."""

    NONE = auto()
    """The next one has not begun."""
    HEAD = auto()
    BODY = auto()


class _Flow(FlowControl):
    """Reads on only when all that came before is parsed."""

    def __init__(self, transport: asyncio.Transport, parse_kept: Callable[[], bool]) -> None:
        super().__init__(transport)
        self._parse_kept = parse_kept

    def resume_reading(self) -> None:
        if self._parse_kept():
            super().resume_reading()


class BoundedConnection(PatientConnection):
    """Reads requests as far as they can be answered, and refuses in words what cannot be read."""

    _is_answered = False
    """The request that is being read has its answer already."""
    _part = _Part.NONE
    _begun = 0
    """Requests of which the first byte was in the piece that is being parsed."""
    _left_now = MAX_AT_ONCE
    _kept = b""
    """What came but is not parsed yet."""
    _is_parsing = False
    _running: RequestResponseCycle | None = None
    """The request that is being answered; `cycle` is the newest that was parsed."""

    def __init__(self, *args: Any, answer_now: AnswerNow = no_answer_now, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._short_way = ShortWay(answer_now, self.server_state)
        self._small_patch = SmallPatch()
        self._cut_off = CutOff()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _Flow(transport, self._parse_kept)

    def shutdown(self) -> None:
        super().shutdown()
        self._short_way.headers = None

    def connection_lost(self, exc: Exception | None) -> None:
        # The one that is being answered has to know, and nobody waits for the others.
        self._kept = b""
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        is_short = len(data) <= PIECE_BYTES
        if is_short and self._short_way.headers is not None and self._answer_alike(data):
            return
        self._short_way.headers = None
        if self._is_deaf or self.transport.is_closing():  # TLS gives what it had decrypted
            return
        if is_short and not self._kept:
            is_new, self._begun = self._part is _Part.NONE, 0
            self._left_now = MAX_AT_ONCE
            self._is_parsing = True
            self._parse(data)
            self._is_parsing = False
            is_whole = is_new and self._begun == 1 and self._part is _Part.NONE
            if is_whole and self._is_answered:
                self._short_way.remember(data)
            return
        self._kept += data
        if not self._parse_kept():
            self.flow.pause_reading()

    def _close(self) -> None:
        super()._close()
        self._short_way.headers = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        if cycle.more_body and announces_body(cycle.scope["headers"]):
            app = self._cut_off.telling(cycle, app)
        super()._start_asgi_task(cycle, app)

    def _parse_kept(self) -> bool:
        """Parse what was kept, until there is enough to do; whether nothing is left of it."""
        if self._is_parsing:  # an answer at once; this goes on when it is done
            return not self._kept
        self._left_now = MAX_AT_ONCE
        self._is_parsing = True
        at = 0
        while at < len(self._kept) and not self._has_enough and not self.transport.is_closing():
            self._parse(self._kept[at : at + PIECE_BYTES])
            at += PIECE_BYTES
        self._kept = b"" if self._is_deaf else self._kept[at:]
        self._is_parsing = False
        return not self._kept and not self._has_enough

    @property
    def _has_enough(self) -> bool:
        """Whether requests wait for the one before them, or the application for its turn to read
        what there is of a body."""
        return bool(self.pipeline) or (
            not self._is_idle and len(self.cycle.body) > HIGH_WATER_LIMIT
        )

    def _parse(self, data: bytes) -> None:
        if self._is_deaf:
            return
        self._pending_bytes += len(data)
        self._feed(self._small_patch.raised(data, is_first=self._part is _Part.NONE))
        if self._pending_bytes == 0 or self._is_deaf:
            return
        if self._waiting is None and self._is_idle:
            self._wait_for_head()
        if self._pending_bytes > MAX_HEAD_BYTES:
            self._refuse(_TOO_LONG)

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
            return
        except httptools.HttpParserError as error:
            self._refuse(fault_of(error))
            return
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
        # What is not done here; then it is a request like others (RFC 9110 §7.8), with its body,
        # which this parser would take for the other protocol. The next one does not see the wish.
        method, version = self.parser.get_method(), self.parser.get_http_version()
        self.parser = _parser(self)
        self._feed(without_upgrade(method, self.url, version, self.headers) + rest)

    def on_message_begin(self) -> None:
        self._part = _Part.HEAD
        self._begun += 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        self._pending_bytes = 0
        method, version = self.parser.get_method(), self.parser.get_http_version()
        check_head(method, self.url, version, self.headers)
        if self.parser.should_upgrade():
            return  # it comes again without that
        self._is_answered = (
            method == b"GET"
            and version == "1.1"
            and self._left_now > 0
            and self._is_idle
            and self.parser.should_keep_alive()
            and self._answer_now()
        )
        if self._is_answered:
            return
        super().on_headers_complete()
        self._part = _Part.BODY
        self.headers = []  # what is said after a body is no header of its request
        if version == "1.1":  # before it, bodies have no pieces
            self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}

    def on_body(self, body: bytes) -> None:
        self._pending_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._pending_bytes = 0
        self._part = _Part.NONE
        if not self._is_answered and not self.parser.should_upgrade():
            super().on_message_complete()

    def _answer_now(self) -> bool:
        """Answer the request whose head is complete, if it can be done without waiting."""
        if self.flow.write_paused:
            return False
        answer = self._short_way.answer(cast(Scope, self.scope), self.url)
        if answer is None:
            return False
        self._left_now -= 1
        self.transport.write(answer)
        self.on_response_complete()
        return True

    def _answer_alike(self, data: bytes) -> bool:
        """The same for a piece that is such a request as the one before, which the parser has left
        behind it."""
        if self.flow.write_paused:
            return False
        answer = self._short_way.answer_alike(data)
        if answer is None:
            return False
        self.transport.write(answer)
        self.on_response_complete()
        return True

    def _refuse(self, fault: RefusedRequestError) -> None:
        """Say so where an answer is due, and break into none; then the connection ends."""
        self._is_deaf = True
        self._stop_waiting()
        if self._part is not _Part.BODY:
            _log.info("http.refused", status=fault.status, reason=fault.reason)
            self._last_words = last_answer(described(fault.status, "bad_request", fault.reason))
        elif not self.cycle.response_complete:
            self._cut_off.at(self.cycle, fault)
        if self._is_idle:
            self._hang_up()


def _parser(connection: BoundedConnection) -> httptools.HttpRequestParser:
    """As uvicorn makes it: what comes after a request that is the last is passed over."""
    parser = httptools.HttpRequestParser(connection)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
