"""uvicorn's HTTP protocol, for clients that dawdle, flood or vanish.

uvicorn waits for ever for a request to become whole, collects headers without end, and starts the application before
the body is there. Here a request has a time and a size (`Limits`), the application gets it when it is whole and not
before, and there is one request at a time: what follows it before its answer is dropped, and the connection closes
after the answer (RFC 9112, 9.3.2 and 9.6). The clocks end where the connection becomes a WebSocket.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from batkol.web.connections import REFUSALS, Admission, ClosingReason, Connections
from batkol.web.http10 import without_chunks
from batkol.web.probes import PATHS as PROBES

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_LINGERS: Final = frozenset({ClosingReason.HEAD_LONG, ClosingReason.BODY_LONG})  # of which more is under way


class _Phase(Enum):
    IDLE = auto()  # answered, and nothing of the next request is here
    HEAD = auto()  # the request line and the headers are not whole
    BODY = auto()
    ANSWERING = auto()
    LEAVING = auto()  # closing: nothing is read as a request any more


class _RefusedError(Exception):
    """Raised inside the parser, which stops at once."""

    def __init__(self, reason: ClosingReason) -> None:
        super().__init__(reason)
        self.reason = reason


class _SurplusError(Exception):
    """A second request begins before the first one is answered; the parser stops at once."""


class HttpProtocol(HttpToolsProtocol):
    """One connection, until it closes or becomes a WebSocket."""

    def __init__(self, *args: Any, connections: Connections, **named: Any) -> None:
        super().__init__(*args, **named)
        self._connections = connections
        self._limits = connections.limits
        self._phase = _Phase.HEAD
        self._clock: asyncio.TimerHandle | None = None
        self._app: Any = None  # what answers the request as soon as it is whole
        self._place = Admission.OWN
        self._unread = False  # a moment has passed since the end, and the client has not taken it all
        self._taken = self._fields = self._body = self._most = self._surplus = 0

    # -- the connection ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self._set_clock(self._limits.head_s)
        self._place = self._connections.admit(self)
        if self._place is Admission.NONE:
            self._refuse(ClosingReason.FULL, answer=True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        self._unset_keepalive_if_required()
        self._connections.discard(self)
        if self._phase is _Phase.BODY or (self._phase is _Phase.HEAD and self._taken):
            self._connections.closed(ClosingReason.LEFT)
        self._phase = _Phase.LEAVING
        super().connection_lost(exc)

    def make_room(self) -> None:
        """Close at once; an incomplete request gets the reason as its answer."""
        if self._phase in (_Phase.HEAD, _Phase.BODY):
            self._refuse(ClosingReason.CROWDED)
        else:
            self.transport.abort()

    def shutdown(self) -> None:
        """Close, after the answer that is being given."""
        if self._phase is _Phase.ANSWERING:
            self.cycle.keep_alive = False
        else:
            self.timeout_keep_alive_handler()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that is idle, or that has had time enough; it may still have an answer to take."""
        self._close_after_answer()
        self.transport.close()

    # -- what comes ----------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._phase is _Phase.IDLE:
            self._begin()
        if self._phase not in (_Phase.HEAD, _Phase.BODY):
            self._drop(len(data))
            return
        while data and self._phase in (_Phase.HEAD, _Phase.BODY):
            data = self._feed(data)
        if data:
            self._drop(0)

    def _begin(self) -> None:
        self._phase = _Phase.HEAD
        self._taken = self._fields = self._body = self._surplus = 0
        self._set_clock(self._limits.head_s)
        self._connections.waiting(self)

    def _feed(self, data: bytes) -> bytes:
        """Parse no more than the request may still have, and return the rest."""
        phase, limits = self._phase, self._limits
        most = limits.head_bytes if phase is _Phase.HEAD else limits.head_bytes + self._most  # what frames it, too
        piece, rest = data[: most - self._taken], data[most - self._taken :]
        self._taken += len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self._upgrade()
            return b""  # as uvicorn does it: before our answer there is no WebSocket
        except httptools.HttpParserError as error:
            self._stop_parsing(error.__context__)
            return b""
        if self._phase is phase and self._taken >= most:
            self._refuse(ClosingReason.HEAD_LONG if phase is _Phase.HEAD else ClosingReason.BODY_LONG)
        return rest

    def _stop_parsing(self, why: BaseException | None) -> None:
        if isinstance(why, _SurplusError) or self._phase is _Phase.ANSWERING:  # a whole request, and more behind it
            self._drop(0)
        else:
            self._refuse(why.reason if isinstance(why, _RefusedError) else ClosingReason.MALFORMED)

    def _upgrade(self) -> None:
        """Hand the connection to the WebSocket protocol, which answers a handshake or lets it be refused here."""
        if not self._should_upgrade():
            self._drop(0)  # answered as if there had been no `Upgrade` (RFC 9110, 7.8); what follows is not HTTP
            return
        self._stop_clock()
        self._connections.discard(self)
        self.handle_websocket_upgrade()
        protocol = self.transport.get_protocol()
        if isinstance(protocol, WebSocketsSansIOProtocol) and not protocol.handshake_initiated:
            self._answer(ClosingReason.MALFORMED)  # websockets wants less of HTTP than we let through
            self._connections.closed(ClosingReason.MALFORMED)
            self.transport.close()

    def _drop(self, size: int) -> None:
        """Discard bytes after a whole request, or after a refusal; too many end the connection."""
        if self._phase is _Phase.ANSWERING:
            self.cycle.keep_alive = False
        self._surplus += size
        if self._surplus > self._limits.surplus_bytes:
            self.transport.abort()

    # -- what the parser calls -----------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request, if none is under way."""
        if self._phase is not _Phase.HEAD:
            raise _SurplusError
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; a trailer is counted and dropped, for it must not pass for a header (RFC 9110, 6.5.1)."""
        self._fields += 1
        if self._fields > self._limits.head_fields:
            raise _RefusedError(ClosingReason.HEAD_LONG)
        if self._phase is _Phase.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin the body, unless its declared length is too long."""
        self._phase = _Phase.BODY
        self._set_clock(self._limits.body_s)
        self._most = self._connections.body_bytes(self.headers)
        if any(name == b"content-length" and int(value) > self._most for name, value in self.headers):
            raise _RefusedError(ClosingReason.BODY_LONG)
        super().on_headers_complete()
        if self._app is not None and self._limits.one_request:
            self.cycle.keep_alive = False  # so its answer has `Connection: close`

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._body += len(body)
        if self._body > self._most:
            raise _RefusedError(ClosingReason.BODY_LONG)
        super().on_body(body)
        self.flow.resume_reading()  # uvicorn pauses at 64 KiB until the application has read, which is not asked yet

    def on_message_complete(self) -> None:
        """Have the request answered; a handshake is not answered here."""
        super().on_message_complete()
        if self._app is None:
            return
        self._stop_clock()
        self._connections.discard(self)
        self._phase = _Phase.ANSWERING
        app, self._app = self._app, None
        if self._place is Admission.SPARE and self._connections.crowded and self.cycle.scope["path"] not in PROBES:
            app = service_unavailable
            self._connections.closed(ClosingReason.FULL)
        if self.cycle.scope["http_version"] < "1.1":
            app = without_chunks(self.cycle, app)
        task = self.loop.create_task(self._have_answered(self.cycle, app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """uvicorn would start it now, with the headers: keep it until the request is whole."""
        self._app = app
        if cycle.waiting_for_100_continue and cycle.scope["http_version"] != "1.0":  # RFC 9110, 10.1.1
            self.transport.write(_CONTINUE)
        cycle.waiting_for_100_continue = False  # else uvicorn would log it

    # -- the end -------------------------------------------------------------------------------------------------

    async def _have_answered(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Run the application. uvicorn reports no answer that ends before its end; it only closes the transport."""
        await cycle.run_asgi(app)
        if self._phase is _Phase.ANSWERING and self.transport.is_closing():
            self._close_after_answer()

    def on_response_complete(self) -> None:
        """Wait for the next request, or until the client has taken the answer."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._close_after_answer()
        else:
            self._phase = _Phase.IDLE
            self._connections.idle(self)

    def _refuse(self, reason: ClosingReason, *, answer: bool = False) -> None:
        """Answer with a sentence, if the client has sent anything (or `answer`), and close."""
        answer = answer or self._taken > 0
        self._app = None
        self._connections.closed(reason)
        if answer:
            self._answer(reason)
        self._close_after_answer()
        if reason in _LINGERS:
            self.transport.write_eof()  # closed later: what is under way would meet a reset, and that the answer
        else:
            self.transport.close()

    def _answer(self, reason: ClosingReason) -> None:
        status, sentence = REFUSALS[reason]
        body = f'{{"detail":"{sentence}"}}'
        always = self.server_state.default_headers
        head = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            *(f"{name.decode('latin-1')}: {value.decode('latin-1')}" for name, value in always),
            "content-type: application/json",
            f"content-length: {len(body)}",
            "connection: close",
        ]
        self.transport.write("\r\n".join([*head, "", body]).encode("latin-1"))

    def _close_after_answer(self) -> None:
        """Nothing is read any more. The client has a moment to take what there is, and then only if there is room."""
        self._phase = _Phase.LEAVING
        self._connections.discard(self)
        self._set_clock(self._limits.linger_s)

    def _set_clock(self, seconds: float) -> None:
        self._stop_clock()
        self._clock = self.loop.call_later(seconds, self._late)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _late(self) -> None:
        self._clock = None
        if self._phase is _Phase.HEAD:
            self._refuse(ClosingReason.HEAD_LATE)
        elif self._phase is _Phase.BODY:
            self._refuse(ClosingReason.BODY_LATE)
        elif self._unread:
            self._connections.closed(ClosingReason.UNREAD)
            self.transport.abort()
        else:
            self._unread = True
            self._connections.unread(self)
            self._set_clock(self._limits.answer_s)
            self.transport.close()
