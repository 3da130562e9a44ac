"""uvicorn's WebSocket protocol, with a short way in for media.

uvicorn hands each message through a queue to a task and stops reading the socket until that task has run. For fifty
messages a second a call, that costs more than reading the audio does. A call can register itself here instead (the
ASGI extension `batkol.direct`) and is then given each text message where it is parsed. Handshake, fragments, control
frames, limits and errors stay uvicorn's and websockets': only whole, unfragmented, masked text frames, which is all
that Twilio sends, take the short way. Such a call also gives the number of messages that it can wait for: see `intake`.

A peer cannot keep the loop busy, and it cannot vanish unnoticed: see `frame_budget` and `watched_protocol`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

from websockets.protocol import OPEN

from batkol.calls.socket import PeerFault
from batkol.web.frame_budget import ODD_FRAME, TURN, FrameBudget
from batkol.web.intake import Intake
from batkol.web.watched_protocol import WatchedProtocol

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without the compiled part: slower, and the same
    from websockets.utils import apply_mask

TakeMessage = Callable[[bytes], None]
Wanted = Callable[[], int]
"""Returns how many more messages must come before one of them matters at once; 1: the next one."""
EXTENSION: Final = "batkol.direct"

_WHOLE_TEXT: Final = 0x81  # FIN and opcode 1 (RFC 6455, 5.2)
_MASKED: Final = 0x80
_TWO_BYTES: Final = 126  # the length is in the next two bytes
_EIGHT_BYTES: Final = 127
_MASK_ENDS: Final = 6  # two bytes of header and four of mask
_MEDIUM_TEXT: Final = b"\x81\xfe"  # final text frame, masked, length in two bytes
_MEDIUM_MASKED: Final = 0xFE
_MEDIUM_HEADER: Final = 8  # of which the last four are the mask
_LONGER: Final = -1
_END_OF_HEADERS: Final = b"\r\n\r\n"

_PIECE: Final = 2_048
"""Bytes that are parsed the long way before their frames are counted."""


class MediaProtocol(WatchedProtocol):
    """Gives text messages to the call, once there is one, without a queue or a task."""

    _take: TakeMessage | None = None
    _wanted: Wanted
    _intake: Intake | None = None
    _rest = b""  # the beginning of a frame whose end has not come
    _long = False  # where a frame begins is not known here: everything goes the long way
    _budget: FrameBudget
    _left = TURN  # what may still be taken before `_budget` is asked
    _next_turn = False  # `_rest` goes on in the next turn of the loop

    def handle_connect(self, event: Any) -> None:
        self._budget = FrameBudget(self.loop.time())
        super().handle_connect(event)
        if self.handshake_initiated and self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            self.scope["extensions"][EXTENSION] = self._direct  # type: ignore[assignment]  # uvicorn's type has values of one kind only

    def _direct(self, take: TakeMessage, wanted: Wanted) -> MediaProtocol:
        """From now on `take` gets every text message, on the event loop, in order. It must not wait.

        Messages may be held back until `wanted` of them are there, or until `pull`; after `release`, none is.
        """
        self._take, self._wanted = take, wanted
        waiting = [self.queue.get_nowait() for _ in range(self.queue.qsize())]
        for message in waiting:  # what came with the message that started the call: its order must hold
            text = message.get("text") if message["type"] == "websocket.receive" else None
            if isinstance(text, str):
                take(text.encode())
            else:
                self.queue.put_nowait(message)
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self.transport.resume_reading()
        if not self._long:
            with suppress(OSError):  # then every message wakes the loop
                self._intake = Intake(self.transport, self.data_received)
        return self

    def pull(self) -> None:
        """Hand on what was held back, and hold nothing back if the next message matters at once."""
        intake = self._intake
        if intake is None or self.read_paused or self._next_turn or self.given_up:
            return
        if not intake.pull() and self._wanted() <= 1:
            intake.wait_for(1)

    def release(self) -> None:
        """Hold nothing back any more."""
        if self._intake is not None:
            self._intake.close()
            self._intake = None

    def _wait(self, intake: Intake, size: int) -> None:
        """Hold messages back until as many as are wanted are there, if they are of `size` bytes as the last one was.

        Half of one is allowed for: their lengths differ by a few bytes, and waiting for one too many would be late.
        """
        wanted = self._wanted()
        intake.wait_for(wanted * size - size // 2 - len(self._rest) if wanted > 1 else 1)

    def data_received(self, data: bytes) -> None:
        if self.given_up:
            return
        if self._next_turn:
            self._rest += data
        elif self._long or not self.handshake_complete:
            self._feed_uvicorn(data)
        elif self._is_one_frame(data) and self._take is not None:
            self.last_frame_at = self.loop.time()
            self._left -= 1 + (len(data) >> 10)
            self._take(apply_mask(data[8:], data[4:8]))
            if self._intake is not None:
                self._wait(self._intake, len(data))
            if self._left <= 0:
                self._end_turn()
        else:
            self._deliver_frames(self._rest + data if self._rest else data)

    def _feed_uvicorn(self, data: bytes) -> None:
        """Have uvicorn parse `data`: where its frames begin is not known here."""
        self.release()
        if not self.handshake_initiated:
            super().data_received(data)
            self._long = self.handshake_initiated and not data.endswith(_END_OF_HEADERS)  # frames in one packet with it
            return
        self._long = True  # frames before our answer to the handshake
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            self._left -= len(piece) >> 10
            super().data_received(piece)
            if self.transport.is_closing():
                return
            if self._left <= 0:
                self._rest = data[start + _PIECE :]
                self._end_turn()
                return

    def _is_one_frame(self, data: bytes) -> bool:
        """Whether this is exactly one masked text frame of 126 to 65,535 bytes: nearly all that Twilio sends."""
        return (
            len(data) > _MEDIUM_HEADER
            and data[:2] == _MEDIUM_TEXT
            and len(data) == (data[2] << 8) + data[3] + _MEDIUM_HEADER
            and not (self._rest or self.frames or self.close_sent)
            and self.conn.state is OPEN
        )

    def _deliver_frames(self, data: bytes) -> None:
        """Cut `data` into frames, deliver the whole text frames, and hand the others on, each whole."""
        start, available, size = 0, len(data), 0
        while available - start >= 2 and self._left > 0:
            body, end = _frame(data, start)
            if end == _LONGER:
                self._rest = b""
                self._feed_uvicorn(data[start:])
                return
            if end > available:
                break
            self._left -= (end - start) >> 10
            if data[start] == _WHOLE_TEXT and body - start >= _MASK_ENDS and self._take and not self.frames:
                self._left -= 1
                if not self.close_sent:
                    self._take(apply_mask(data[body:end], data[body - 4 : body]))
            else:
                super().data_received(data[start:end])
                if self.transport.is_closing():  # a close frame, or one that broke the protocol: nothing follows it
                    self._rest = b""
                    return
            size, start = end - start, end
        self._rest = data[start:]
        if size:
            self.last_frame_at = self.loop.time()
            if self._intake is not None:
                self._wait(self._intake, size)
        if self._left <= 0:
            self._end_turn()

    def handle_events(self) -> None:
        """Count the frames that came the long way."""
        if self.conn.events:
            self._left -= ODD_FRAME * len(self.conn.events)
            self.last_frame_at = self.loop.time()
        super().handle_events()

    # -- a peer that keeps the loop busy -----------------------------------------------------------------------------

    def _end_turn(self) -> None:
        """Let the others have their turn before this peer's next frames, or give it up."""
        if self.transport.is_closing():
            return
        self._left = self._budget.spend(TURN - self._left, self.loop.time())
        if self._left <= 0:
            self.give_up(PeerFault.FLOOD, "more frames than a phone call has")
            return
        self._next_turn = True
        self.transport.pause_reading()
        self.loop.call_soon(self._continue_turn)

    def _continue_turn(self) -> None:
        self._next_turn = False
        if self.given_up or self.transport.is_closing():
            return
        if not self.read_paused:
            self.transport.resume_reading()
        data, self._rest = self._rest, b""
        if data:
            self.data_received(data)

    def give_up(self, fault: PeerFault, reason: str) -> None:
        """Forget what has not been taken, too."""
        self.release()
        self._rest = b""
        super().give_up(fault, reason)

    # -- the end -----------------------------------------------------------------------------------------------------

    def send_receive_event_to_app(self) -> None:
        if self._take is None or self.curr_msg_data_type != "text" or self.close_sent:
            super().send_receive_event_to_app()
            return
        message, self.frames = b"".join(self.frames), []
        self._take(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self.release()
        if self.conn.close_rcvd is None and not self.close_sent:
            self.queue.put_nowait({"type": "websocket.disconnect", "code": 1006})  # uvicorn uses 1005 for both
        super().connection_lost(exc)


def _frame(data: bytes, start: int) -> tuple[int, int]:
    """Return where the body of the frame at `start` begins and where it ends (RFC 6455, 5.2)."""
    second = data[start + 1]
    if second == _MEDIUM_MASKED and len(data) - start > _MEDIUM_HEADER:  # nearly all
        body = start + _MEDIUM_HEADER
        return body, body + (data[start + 2] << 8) + data[start + 3]
    length, body = second & 0x7F, start + 2
    if length == _EIGHT_BYTES:
        return body, _LONGER
    if length == _TWO_BYTES:
        if len(data) < body + 2:
            return body, len(data) + 1
        length = int.from_bytes(data[body : body + 2])
        body += 2
    if second & _MASKED:
        body += 4
    return body, body + length
