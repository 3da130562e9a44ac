"""`WS /twilio/media`: from the handshake to a call, and back when it has ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec
import structlog
from structlog.typing import FilteringBoundLogger

from batkol.calls.call import Call
from batkol.calls.continuation import Continuations
from batkol.calls.handovers import StreamSoFar
from batkol.calls.registry import AdmissionRefusal, CallRegistry
from batkol.calls.services import Services
from batkol.errors import PeerError
from batkol.events.identity import Identity
from batkol.tracing import propagation
from batkol.twilio import handover, token
from batkol.twilio.call_resource import is_call_sid
from batkol.twilio.signature import is_valid
from batkol.twilio.stream import MediaStream
from batkol.twilio.token import TokenError
from batkol.twilio.twiml import TOKEN_PARAMETER
from batkol.web import stream_parameters as parameters
from batkol.web import takeover
from batkol.web.asgi_socket import AsgiReceive, AsgiScope, AsgiSend, AsgiSocket
from batkol.web.held import GivenUpError, HeldMessages
from batkol.web.log_limit import LogLimit
from batkol.web.opening import MediaOpening
from batkol.web.proof import ProofFault, StreamProof, UnprovenError
from batkol.web.protocol import EXTENSION

REFUSED: Final = {
    AdmissionRefusal.FULL: "[CALL] stream refused: every place is taken; Twilio asks the webhook again",
    AdmissionRefusal.DRAINING: "[CALL] stream refused: this pod is draining; Twilio asks another pod",
    AdmissionRefusal.DUPLICATE: "[CALL] stream refused: this stream SID is open already; this is a replay",
}

SIGNATURE_HEADER: Final = b"x-twilio-signature"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Gate:
    """The settings against which a handshake is checked, and the keys of the service's own TwiML."""

    url: str  # as the TwiML wrote it, and Twilio signed it; "" in development
    auth_tokens: Sequence[str]  # empty: signatures are not checked
    token_keys: Sequence[str]


def _reason(error: PeerError) -> str:
    """Return the label under which `batkol_calls_refused_total` counts it."""
    match error:
        case TokenError():
            return ProofFault.TOKEN.value
        case UnprovenError():
            return error.reason.value
        case GivenUpError():
            return error.fault.value
    return "protocol"


def _call_of(stream: MediaStream | None) -> dict[str, str]:
    """Return the call SID for a log line; nothing for what is none, for it may be a stranger's text."""
    details = None if stream is None else stream.details
    return {"call_sid": details.call_sid} if details is not None and is_call_sid(details.call_sid) else {}


def _client_of(scope: AsgiScope) -> str:
    """Return the address that a stream came from; a load balancer's where one hides its clients."""
    client = scope.get("client")
    return str(client[0]) if client else ""


class MediaSocket:
    """An ASGI application for one path."""

    def __init__(
        self,
        *,
        gate: Gate,
        proof: StreamProof,
        calls: CallRegistry,
        services: Services,
        continuations: Continuations,
    ) -> None:
        self._continuations = continuations
        self._gate = gate
        self._proof = proof
        self._calls = calls
        self._services = services
        self._lines = LogLimit()
        self._opening = MediaOpening(lambda kind: services.metrics.malformed.add(1, {"kind": kind}))

    async def __call__(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        """Serve one connection; returns when the call has ended and its last utterance is delivered."""
        await receive()  # websocket.connect
        if not self._is_signed(scope):
            self._log_unsigned()
            await send({"type": "websocket.close", "code": 1008})  # before the accept: HTTP 403
            return
        await send({"type": "websocket.accept"})
        socket, stream = AsgiSocket(receive, send), None
        try:
            stream = await self._opening.stream(socket)
            held = HeldMessages(socket)
            identity = None if stream is None else await self._identity(stream, held, _client_of(scope))
            if stream is not None and identity is not None:
                await self._call(identity, stream, held, scope)
        except PeerError as error:
            log.warning("[TWILIO] stream closed", err=str(error), **_call_of(stream))
            self._services.metrics.refused.add(1, {"reason": _reason(error)})
            await socket.close(error.close_code)

    def _log_unsigned(self) -> None:
        """Count a refused handshake, and log one line a second at most: any client can cause it."""
        self._services.metrics.refused.add(1, {"reason": "signature"})
        left_out = self._lines.admit("signature", time.monotonic())
        if left_out is not None:
            log.warning(
                "[TWILIO] handshake refused: the signature does not match",
                remedy="check PUBLIC_BASE_URL",
                lines_left_out=left_out,
            )

    def _is_signed(self, scope: AsgiScope) -> bool:
        if not self._gate.auth_tokens:
            return True
        given = [value for name, value in scope["headers"] if name == SIGNATURE_HEADER]
        return len(given) == 1 and is_valid(self._gate.auth_tokens, self._gate.url, (), given[0].decode("latin-1"))

    async def _identity(self, stream: MediaStream, held: HeldMessages, client: str) -> Identity | None:
        """Return whose stream it is; None if it was refused, or its caller left. Raises `PeerError`."""
        identity = self._proof.at_once(stream)
        if identity is not None or stream.details is None:
            return identity
        details = stream.details
        claimed = Identity(call_sid=details.call_sid, stream_sid=stream.sid, account_sid=details.account_sid)
        refusal = self._calls.refusal(claimed)
        if refusal is not None:  # Twilio need not be asked
            await self._refuse(log.bind(call_sid=claimed.call_sid), stream.sid, refusal, held)
            return None
        identity = await held.during(self._asked(stream, claimed.call_sid, client))
        if identity is None:
            log.info("[TWILIO] caller left before Twilio confirmed the call", call_sid=claimed.call_sid)
        return identity

    async def _asked(self, stream: MediaStream, call_sid: str, client: str) -> Identity:
        begun = time.monotonic()
        identity = await self._proof.by_twilio(stream, client)
        if not await takeover.is_free(self._calls, call_sid):
            raise takeover.OccupiedError
        took_ms = round((time.monotonic() - begun) * 1000)
        log.info("[TWILIO] Twilio confirmed the call of TwiML of your own", call_sid=call_sid, took_ms=took_ms)
        return identity

    def _is_new(self, identity: Identity, stream: MediaStream) -> bool:
        """Whether no pod had the call before. TwiML of the user's own does not say which stream of the call it is."""
        first = identity.stream == 1 and TOKEN_PARAMETER in stream.parameters
        return first and not self._continuations.own.of(identity.call_sid)

    async def _earlier(self, identity: Identity, stream: MediaStream) -> tuple[StreamSoFar | None]:
        """Return where the call stands that this stream goes on with; None where nothing is known of it."""
        call_sid = identity.call_sid
        mark = stream.parameters.get(parameters.GREETED, "")
        found = await self._continuations.find(
            call_sid,
            stream_sid=identity.stream_sid,
            newest=identity.stream - 1,
            marked=handover.is_greeted_mark(self._gate.token_keys, call_sid, mark),
        )
        return (found,)

    async def _call(self, identity: Identity, stream: MediaStream, socket: HeldMessages, scope: AsgiScope) -> None:
        is_new = self._is_new(identity, stream)
        known = (None,) if is_new else await socket.during(self._earlier(identity, stream))
        if known is None:
            log.info("[TWILIO] caller left before the call went on here", call_sid=identity.call_sid)
            return
        (earlier,), newest = known, self._calls.get(identity.call_sid)
        before = max(0 if newest is None else newest.identity.stream, 0 if earlier is None else earlier.stream)
        identity = msgspec.structs.replace(identity, stream=max(identity.stream, before + 1))
        is_sealed = partial(token.is_trace_sealed, self._gate.token_keys, identity.call_sid)
        caller = propagation.caller(stream.parameters.get(propagation.PARAMETER, ""), is_sealed)
        call = Call(identity, stream, self._services, caller)
        propagation.handshake_over(identity.call_sid)
        refusal = self._calls.refusal(identity)
        if refusal is not None or not self._calls.admit(call):
            call.discard()
            self._continuations.own.refused(identity)
            await self._refuse(call.log, stream.sid, refusal or AdmissionRefusal.FULL, socket)
            return
        if earlier is not None and earlier.conversation is not None and call.conversation is not None:
            call.conversation.go_on_from(earlier.conversation)
        try:
            with call.trace.current():
                await call.run(socket, socket.ahead_of(scope.get("extensions", {}).get(EXTENSION)))
        finally:
            self._calls.release(call)
            self._continuations.own.keep(call)

    async def _refuse(
        self, line: FilteringBoundLogger, stream_sid: str, reason: AdmissionRefusal, socket: HeldMessages
    ) -> None:
        """Close a stream that has no place here.

        Only a stream that was opened is known to be followed by the TwiML's next verb, which sends the caller to the
        webhook again: so it is accepted first, and closed here.
        """
        line.warning(REFUSED[reason], stream_sid=stream_sid, limit=self._calls.limit)
        self._services.metrics.refused.add(1, {"reason": reason.value})
        await socket.close(1008 if reason is AdmissionRefusal.DUPLICATE else 1013)  # policy violation; try again later
