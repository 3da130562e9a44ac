"""`WS /v1/phone`: a call from the phone in the console.

The page speaks Twilio's protocol of media streams (`batkol.twilio.messages`), so the call has the same owner as any
other: events, history, flags and the agent know no difference. What differs is who proves what, and how it ends. The
client has a token with the right `line`, which is in a subprotocol: a browser's WebSocket can send no header, and a
token in an address would be in every log. The SIDs are the service's, from its first message, and a `start` with
others is refused. The call ends with its socket: Twilio is not asked, and no other pod goes on with it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from typing import Final

import structlog
from fastapi import HTTPException

from batkol.calls.call import Call
from batkol.calls.pace import Allowance
from batkol.calls.registry import AdmissionRefusal, CallRegistry
from batkol.calls.services import Services
from batkol.calls.socket import PeerFault
from batkol.errors import PeerError
from batkol.rights import Right
from batkol.twilio.stream import MediaStream
from batkol.web import phone_start
from batkol.web.access import Access
from batkol.web.asgi_socket import AsgiReceive, AsgiScope, AsgiSend, AsgiSocket
from batkol.web.held import GivenUpError
from batkol.web.log_limit import LogLimit
from batkol.web.opening import START_TIMEOUT, LateStartError, MediaOpening
from batkol.web.phone_messages import PhoneConnected, encode
from batkol.web.phone_start import PhoneChoices, PhoneError
from batkol.web.phone_token import PROTOCOL, credentials, refuse
from batkol.web.protocol import EXTENSION

PATH: Final = "/v1/phone"

SILENT_S: Final = 30.0
"""Seconds without a single message of sound after which the service hangs up: a muted phone sends silence."""

WAITING: Final = 32
"""Sockets that may be open at once before their `start`: they have no place of `MAX_CALLS`, and the listener's
connections are for others as well."""

CALLS_A_SECOND: Final = 2
"""Calls that may go on to begin, from all phones together, beyond twice `MAX_CALLS` at once: each one is recorded."""

NO_ACCOUNT: Final = "AC" + "0" * 32
RETRY: Final = {"Retry-After": str(round(START_TIMEOUT))}

_REFUSED: Final = {
    AdmissionRefusal.FULL: "[CALL] call from the console refused: every place is taken",
    AdmissionRefusal.DRAINING: "[CALL] call from the console refused: this pod is draining",
    AdmissionRefusal.DUPLICATE: "[CALL] call from the console refused: its stream SID is open already",
}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneSettings:
    """The settings of the phone. Times in seconds; tests of a limit wait for a shorter one."""

    agent: str = ""
    account_sid: str = ""
    choices: PhoneChoices = field(default_factory=PhoneChoices)
    start_s: float = START_TIMEOUT
    silent_s: float = SILENT_S


class PhoneSocket:
    """An ASGI application for one path."""

    def __init__(self, *, settings: PhoneSettings, access: Access, calls: CallRegistry, services: Services) -> None:
        self._settings = settings
        self._access = access
        self._calls = calls
        self._services = services
        self._waiting = 0
        self._rate = Allowance(max(WAITING, 2 * calls.limit), CALLS_A_SECOND, time.monotonic())
        self._lines = LogLimit()
        self._opening = MediaOpening(lambda kind: services.metrics.malformed.add(1, {"kind": kind}), settings.start_s)

    async def __call__(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        """Serve one connection; returns when the call has ended and its last utterance is delivered."""
        await receive()  # websocket.connect
        try:
            name = self._client(scope)
            self._check_room(name)
        except HTTPException as error:
            await refuse(send, error)
            return
        await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
        socket = _PhoneLine(receive, send)
        try:
            await self._serve(socket, scope, name)
        except PeerError as error:
            log.warning("[CALL] call from the console refused or closed", token=name, err=str(error))
            self._services.metrics.refused.add(1, {"reason": _metric(error)})
            socket.reason = _reason(error)
            await socket.close(error.close_code)

    def _client(self, scope: AsgiScope) -> str:
        """Return the name of the client's token. Raises `HTTPException`."""
        reader = self._access.who(credentials(scope))
        if reader is None:
            raise HTTPException(
                401,
                "The phone needs a token with the right `line`: offer the subprotocol `bearer.` and the token in "
                "base64url, without `=`, behind `batkol.phone`.",
                {"WWW-Authenticate": "Bearer"},
            )
        self._access.check(reader, Right.LINE)
        return reader.name

    def _check_room(self, token: str) -> None:
        """Raises `HTTPException` where too many sockets wait for their `start`, or too many calls have begun."""
        now = time.monotonic()
        if self._waiting >= WAITING:
            why = f"{WAITING} phones have connected and not begun their calls; no more may at once."
        elif not self._rate.take(now):
            why = f"More calls from phones have begun than people make: {CALLS_A_SECOND} a second may go on."
        else:
            return
        self._services.metrics.refused.add(1, {"reason": AdmissionRefusal.FULL.value})
        if (left_out := self._lines.admit("room", now)) is not None:
            log.warning(
                "[CALL] call from the console refused: there are too many", token=token, lines_left_out=left_out
            )
        raise HTTPException(503, why, RETRY)

    async def _begun(self, socket: _PhoneLine) -> MediaStream | None:
        """Wait for `start`; None if the page was gone before it. Raises `PeerError`."""
        self._waiting += 1
        try:
            return await self._opening.stream(socket)
        finally:
            self._waiting -= 1

    async def _serve(self, socket: _PhoneLine, scope: AsgiScope, token: str) -> None:
        """Raises `PeerError`."""
        allotted = PhoneConnected(
            stream_sid=f"MZ{secrets.token_hex(16)}",
            call_sid=f"CA{secrets.token_hex(16)}",
            account_sid=self._settings.account_sid or NO_ACCOUNT,
            agent=self._settings.agent,
        )
        await socket.send_text(encode(allotted))
        stream = await self._begun(socket)
        if stream is None:  # its `stop` came before its `start`, or its socket is closed
            socket.reason = "stop"
            await socket.close(1000)
            return
        identity = phone_start.identity(allotted, stream, self._settings.choices)
        call = Call(identity, stream, self._services)
        refusal = self._calls.refusal(identity)
        if refusal is not None or not self._calls.admit(call):
            call.discard()
            await self._turn_away(socket, refusal or AdmissionRefusal.FULL)
            return
        call.log.info("[CALL] call from the console", token=token)
        await self._call(call, socket, scope)

    async def _call(self, call: Call, socket: _PhoneLine, scope: AsgiScope) -> None:
        socket.call = call
        watch = asyncio.create_task(self._end_without_sound(call), name="phone.watch")
        try:
            with call.trace.current():
                await call.run(socket, scope.get("extensions", {}).get(EXTENSION))
        finally:
            watch.cancel()
            self._calls.release(call)

    async def _end_without_sound(self, call: Call) -> None:
        """End the call of a page that sends nothing any more, though its browser goes on answering pings."""
        seen = -1
        while call.frames != seen:
            seen = call.frames
            await asyncio.sleep(self._settings.silent_s)
        call.log.warning(
            "[CALL] call from the console ended: the page sends no sound", silent_s=self._settings.silent_s
        )
        call.end(PeerFault.TIMEOUT, close_code=PeerFault.TIMEOUT.close_code)

    async def _turn_away(self, socket: _PhoneLine, refusal: AdmissionRefusal) -> None:
        log.warning(_REFUSED[refusal], limit=self._calls.limit)
        self._services.metrics.refused.add(1, {"reason": refusal.value})
        socket.reason = refusal.value
        await socket.close(1013)  # try again later


class _PhoneLine(AsgiSocket):
    """The socket under a call: its close frame has the reason for which the call ended."""

    call: Call | None = None

    async def close(self, code: int) -> None:
        """See `AsgiSocket.close`."""
        if self.call is not None:
            self.reason = self.call.ended_by or "error"
        await super().close(code)


def _reason(error: PeerError) -> str:
    """Return the word for it in the close frame."""
    match error:
        case PhoneError():
            return error.reason
        case LateStartError():
            return "no_start"
        case GivenUpError():
            return error.fault.value
    return "protocol"


def _metric(error: PeerError) -> str:
    return error.fault.value if isinstance(error, GivenUpError) else "protocol"
