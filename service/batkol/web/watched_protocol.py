"""uvicorn's WebSocket protocol, for peers that vanish, and for peers that the service closes with a reason.

uvicorn closes a peer that answers no ping, though it may be talking, and reports to the application that the peer
closed the connection. Here any frame is a sign of life, and the `websocket.disconnect` has the service's own reason.
"""

from __future__ import annotations

from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from batkol.calls.socket import FAULT, PeerFault

LINGER_S: Final = 1.0
"""Seconds that a peer we have given up has to read our close frame. Nothing more is read from it."""


class WatchedProtocol(WebSocketsSansIOProtocol):
    """Pings a peer only when nothing comes from it. The times are uvicorn's: `ws_ping_interval`, `ws_ping_timeout`."""

    last_frame_at = 0.0
    """By the loop's clock, when the last frame was whole."""
    given_up = False
    """We have closed the connection for a `PeerFault`; nothing that comes is looked at."""

    async def run_asgi(self) -> None:
        """Have the handshake answered. To uvicorn, an answer that opens no WebSocket is none, and an error."""
        answer = self.app

        async def answered(scope: Any, receive: Any, send: Any) -> None:
            await answer(scope, receive, send)
            if self.initial_response is not None and self.close_sent:
                self.handshake_complete = True

        self.app = answered
        await super().run_asgi()

    def start_keepalive(self) -> None:
        """Ping a peer that sends nothing. One that sends anything is alive, whether it answers pings or not."""
        self.last_frame_at = self.loop.time()
        if self.ping_interval:
            self.ping_timer = self.loop.call_later(self.ping_interval, self._look_for_life)

    def _look_for_life(self) -> None:
        """Ping after `ping_interval` seconds without a frame; give the peer up `ping_timeout` seconds later."""
        self.ping_timer = None
        self.pull()  # a pong alone may not have woken the loop
        if self.close_sent or self.transport.is_closing() or self.ping_interval is None:
            return
        limit = self.ping_interval + (self.ping_timeout or 0.0)
        now = self.loop.time()
        due = self.last_frame_at + self.ping_interval
        if self.read_paused:  # then it is our application that does not read
            due = now + self.ping_interval
        elif now - self.last_frame_at >= limit:
            self.give_up(PeerFault.TIMEOUT, f"no frame and no pong for {limit:g} s")
            return
        elif now >= due:
            self.conn.send_ping(b"")
            self.transport.write(b"".join(self.conn.data_to_send()))
            due = self.last_frame_at + limit
        self.ping_timer = self.loop.call_at(due, self._look_for_life)

    def pull(self) -> None:
        """Hand on what was held back, if anything is."""

    def handle_ping(self) -> None:
        """Answer, unless the peer takes nothing: the answers would fill the memory."""
        if self.close_sent or not self.writable.is_set():
            self.conn.data_to_send()
        else:
            super().handle_ping()

    def give_up(self, fault: PeerFault, reason: str) -> None:
        """Close the connection with a reason. The peer has a moment to read it; the service reads nothing any more."""
        self.stop_keepalive()
        self.given_up = True
        if fault is PeerFault.FLOOD:
            while not self.queue.empty():
                self.queue.get_nowait()
        code = fault.close_code
        event: Any = {"type": "websocket.disconnect", "code": code, "reason": reason, FAULT: fault}
        self.queue.put_nowait(event)
        if not self.close_sent:
            self.conn.fail(code, reason)
            self.close_sent = True
            self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.pause_reading()
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(LINGER_S, self.transport.abort)
