"""The owner of one call: its audio, its transcription, its conversation, and everything that ends with them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from batkol.audio.segmenter import SpeechEvent
from batkol.calls.audio import CallAudio
from batkol.calls.deadline import Deadline
from batkol.calls.limits import ECHO_S
from batkol.calls.line_end import LineEnd
from batkol.calls.pace import FloodError, PhonePace
from batkol.calls.playout import Playout
from batkol.calls.reasons import DRAINED, FROM_WITHIN, MOVED, POD_LEFT
from batkol.calls.services import CallHearing, Services
from batkol.calls.socket import Direct, PeerFault, Socket, read_to_end
from batkol.calls.speech_events import pass_on
from batkol.conversation.conversation import CallSide
from batkol.errors import PeerError
from batkol.events.identity import Identity
from batkol.flags.context import CallContext
from batkol.flags.flags import Decision
from batkol.tracing.propagation import RemoteParent
from batkol.transcription.events import TranscriptionEvent
from batkol.twilio.messages import Connected, Dtmf, Inbound, MalformedMessage, Mark, Media, Start, Stop, parse
from batkol.twilio.stream import MediaStream
from batkol.vad.session import endpointing


class Call:
    """One call, from Twilio's `start` to the end of its last utterance. `receive` never waits; `run` owns the rest."""

    def __init__(
        self, identity: Identity, stream: MediaStream, services: Services, caller: RemoteParent | None = None
    ) -> None:
        self.identity = identity
        self._services = services
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self.started_at = self._loop.time()
        self._pace = PhonePace(self.started_at)
        self.audio = CallAudio(stream, self._loop)
        self._has_audio = False
        self._vad_closed = False  # nothing can be asked any more
        self._over = asyncio.Event()
        self._deadline = Deadline()  # of `run`
        self._closed = False  # the peer has the reason already
        self.ended_by = ""
        self.redials = False  # hung up, and Twilio does not know so far: it asks the webhook about it
        self.on_over: Callable[[Call], None] = lambda _: None
        """Called once, when no audio is taken any more and the last finals are still to come."""
        self._close_code = 1011
        self.playout = Playout(identity.stream_sid)
        self.trace = services.traced(identity, self.audio.since, caller)
        self.log = structlog.get_logger().bind(call_sid=identity.call_sid, **self.trace.ids)
        self.reporter = services.reporter(identity, self.audio.since, self.log, self.trace)
        self._context = identity.context(language=services.language, pod=services.pod)
        hearing = CallHearing(self._decide, self._prefer, self._observe, self.log)
        self.transcription = services.transcription(self.audio.ring, hearing, self.trace)
        self._tuning = services.live.tuning
        self.line_end = LineEnd(identity, self, self.playout, services.telephone_of(identity, self.trace), self.log)
        self.conversation = services.conversation(self._side(), self.trace)
        self._vad = services.vad.open(self.audio.ring, self._on_speech, endpointing(self._tuning))

    # -- media in ------------------------------------------------------------------------------------------------

    def receive(self, text: str | bytes) -> None:
        """Take one WebSocket message. The media path: no waiting, no logging, no task.

        A message that makes no sense is counted and survived; what cannot be Twilio ends the call. Nothing is read of
        what comes after that.
        """
        if self._over.is_set():
            return
        try:
            self._parse_and_dispatch(text)
        except PeerError as error:
            self.log.warning("[CALL] stream closed: the peer does not speak Twilio's protocol", err=str(error))
            self.end(PeerFault.FLOOD if isinstance(error, FloodError) else "refused", close_code=error.close_code)

    def _parse_and_dispatch(self, text: str | bytes) -> None:
        try:
            message = parse(text)
        except MalformedMessage as error:
            self._services.metrics.malformed.add(1, {"kind": error.kind})
            self._stream.violation()
            return
        if type(message) is not Media:
            self._obey(message)
        elif audio := self._stream.append(message):
            if (position := self._stream.position) > self._pace.free_to:
                self._pace.check_sound(position, self._stream.counters.filled_samples, self._loop.time())
            self._append(audio)

    def _obey(self, message: Inbound) -> None:
        """Take a message that is not sound."""
        match message:
            case Mark():
                if (name := self._stream.echo(message)) and self.playout.acknowledge_mark(name):
                    self.reporter.mark_played(name)
            case Dtmf():
                if digit := self._stream.press(message):
                    self._pace.check_key(self._loop.time())
                    self.reporter.key_pressed(digit)
                    if self.conversation is not None:
                        self.conversation.press(digit)
            case Stop() if self._stream.stop(message):
                self.end("stop")
            case Start():
                self._stream.start(message)
            case Connected():
                self._stream.connect(message)

    def _append(self, audio: bytes) -> None:
        self.audio.append(audio)
        if not self._has_audio:
            self._has_audio = True
            self.transcription.start()
        self.transcription.append(self.audio.ring.end)

    def _messages_to_wait_for(self) -> int:
        """Return how many more messages must come before one of them gives the recognizer something."""
        if self._over.is_set() or self._services.vad.crowded or self.playout.silent_s < ECHO_S:
            return 1
        return max(1, -(-(self.transcription.due - self.audio.ring.end) // self._stream.message_samples))

    def heartbeat(self, now: float) -> None:
        """A few times a second: silence for a caller on hold, live tuning for the VAD, memory given back."""
        if self._over.is_set():
            return
        if silence := self.audio.silence_of_hold(now):
            self._append(silence)
        if self._services.live.tuning is not self._tuning:
            self._tuning = self._services.live.tuning
            self._vad.tune(endpointing(self._tuning))
            self.transcription.tune(self._tuning)
        self.transcription.follow()
        self.transcription.release()
        if self.conversation is not None:
            self.conversation.check_limits(self.age)

    @property
    def speaking(self) -> bool:
        """Whether caller (with hang-over) or agent is speaking, or the agent ends the call or carries out a tool."""
        acts = self.line_end.under_way or (self.conversation is not None and self.conversation.carries_out)
        return acts or self._vad.speaking or self.playout.silent_s == 0

    def wind_down(self, within_s: float) -> None:
        """Have the agent begin no further turn and come to an end: the call is about to be ended, at most so late."""
        if self.conversation is not None:
            self.conversation.wind_down(within_s)

    @property
    def flag_context(self) -> CallContext:
        """The context of the flags for this call."""
        return self._context

    @property
    def age(self) -> float:
        """Seconds since the call began."""
        return self._loop.time() - self.started_at

    @property
    def frames(self) -> int:
        """Media messages whose audio was taken; 0 if the peer sent none."""
        return self._stream.counters.frames

    def _observe(self, event: TranscriptionEvent) -> None:
        self.reporter.observe(event)  # first: a final's log line still knows its trace
        self.trace.observe(event)
        if self.conversation is not None:
            self.conversation.observe(event)

    def _side(self) -> CallSide:
        outbound = self.identity.direction.startswith("outbound")
        return CallSide(
            call_sid=self.identity.call_sid,
            stream_sid=self.identity.stream_sid,
            line=self.playout,
            since=self.audio.since,
            observe=self.reporter.replies.observe,
            hang_up=self.line_end.hang_up,
            transfer=self.line_end.transfer,
            direction=self.identity.direction,
            log=self.log,
            caller=self.identity.to if outbound else self.identity.from_,
            called=self.identity.from_ if outbound else self.identity.to,
        )

    # -- its life --------------------------------------------------------------------------------------------------

    def end(self, reason: str, *, close_code: int = 1000) -> None:
        """End the call, by the first of several reasons; `run` delivers the remaining finals and returns."""
        if not self._over.is_set():
            decided = self.conversation is not None and self.conversation.hangs_up
            if reason == DRAINED and self.identity.is_from_browser:
                reason = POD_LEFT
            self.ended_by = self.line_end.reason_for(reason, decided=decided)
            self._close_code = close_code if self.ended_by == reason else 1000
            self.redials = self.ended_by in FROM_WITHIN and reason != "stop" and not self.identity.is_from_browser
            self._over.set()
            self.on_over(self)

    def limit_to(self, within: float) -> None:
        """Give `run` so many seconds from now, or what is left of those it was given before.

        What is not delivered then is given up, and `run` returns.
        """
        self._deadline.set(within)

    def discard(self) -> None:
        """Release a call that was not admitted; `run` must not be called."""
        self._vad_closed = True
        self._vad.close()
        self.trace.close(reason="refused", close_code=None, gap_ms=0)

    async def run(self, socket: Socket, direct: Direct | None = None) -> None:
        """Own the call until its last utterance is delivered and the socket is closed.

        `direct` asks the server to hand messages to `receive` where it parses them; without it they are read from
        the socket. Cancelling it drops what is under way; use `end` to finish it.
        """
        self.log.info("[CALL] call started", stream_sid=self.identity.stream_sid, agent=self.identity.agent)
        self.reporter.call_started(streaming=self._decide().enabled)
        try:
            async with self._deadline.kept():
                await self._converse(socket, direct)
        except TimeoutError:
            self.log.error("[CALL] call cut off: its last final did not come in time", ended_by=self.ended_by)
            self.transcription.abandon()
        finally:
            self._vad_closed = True
            self._vad.close()
            self.audio.ring.release(self.audio.ring.end)
            self._report_end()
        if self.ended_by != "dropped":
            await self._close(socket)

    async def _close(self, socket: Socket) -> None:
        if not self._closed:
            self._closed = True
            await socket.close(self._close_code)

    async def _converse(self, socket: Socket, direct: Direct | None) -> None:
        async with asyncio.TaskGroup() as tasks:
            self.line_end.begin(tasks)
            self.transcription.begin(tasks)
            inlet = None if direct is None else direct(self.receive, self._messages_to_wait_for)
            if inlet is not None:
                self._vad.refresh = inlet.pull
                self.playout.on_first_sound = inlet.pull
            wire: tuple[asyncio.Task[None], ...] = (
                tasks.create_task(self._read(socket), name="call.read"),
                tasks.create_task(self.playout.run(socket.send_text), name="call.play"),
            )
            if self.conversation is not None:
                wire = (*wire, tasks.create_task(self.conversation.run(), name="call.converse"))
            try:
                await self._over.wait()
            finally:
                if inlet is not None:
                    inlet.release()
            self.line_end.cancel()
            for task in wire:
                task.cancel()
            if self.ended_by in MOVED:
                tasks.create_task(self._close(socket), name="call.close")
            elif self.redials:
                tasks.create_task(self._services.announce_end(self.identity.call_sid), name="call.announce_end")
            await self._vad.finish()
            await self.transcription.finish()

    def _report_end(self) -> None:
        reason, code, gap = self.ended_by or "error", self._close_code, self.audio.gap_ms
        self.reporter.call_ended(reason=reason, duration_s=self.age, gap_ms=gap, close_code=code)
        if self.conversation is not None and reason not in MOVED:
            self._services.metrics.budgets.call_over(self.conversation.budgets_used())
        self.trace.close(reason=reason, close_code=code, gap_ms=gap)

    async def _read(self, socket: Socket) -> None:
        reason, code, fault = await read_to_end(socket, self.receive)
        if fault is not None and not self._over.is_set():
            self.log.warning(f"[CALL] stream closed: {fault.sentence}", reason=reason, close_code=code)
        self.end(reason, close_code=code)

    def _decide(self) -> Decision:
        with self.trace.current():
            decision = self._services.flags.streaming(self._context)
        self.trace.decided(decision)
        return decision

    def _prefer(self) -> str | None:
        return self._services.flags.recognizer(self._context)

    def _on_speech(self, event: SpeechEvent) -> None:
        if not self._vad_closed:
            pass_on(event, self.transcription)
