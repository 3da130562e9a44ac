"""One session as Soniox plays it: messages and `now` in, messages out, `deadline` offered.

Pure: no task, no clock. A refusal is raised from whatever brought it about.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from batkol.simulators.soniox import rules
from batkol.simulators.soniox.ear import SonioxEar
from batkol.simulators.soniox.faults import SonioxFault, SonioxFaultKind, SonioxMoment
from batkol.simulators.soniox.rules import Pacing, Rate, SonioxRefusalError, StartMessage
from batkol.simulators.soniox.settings import SonioxDoubleSettings
from batkol.simulators.soniox.tokens import END, FIN
from batkol.simulators.soniox.transcript import SonioxTranscript
from batkol.simulators.soniox.untidy import misdate

_FOREVER = math.inf
_FINALIZES_S = 10.0


class _Armed(NamedTuple):
    fault: SonioxFault
    since: float
    samples: int


class _Settling(NamedTuple):
    """Tokens that become final, and the marker that follows them, if one does."""

    due: float
    tokens: int
    position: int
    marker: str


class SonioxListener:
    """Listens to one session. Times are seconds of any monotonic clock."""

    def __init__(self, settings: SonioxDoubleSettings, *, now: float, draw: random.Random) -> None:
        self._settings = settings
        self._draw = draw
        self._opened = self._alive_at = now
        self._armed: list[_Armed] = []
        self._ear: SonioxEar | None = None
        self._transcript = SonioxTranscript(settings, draw)
        self._pacing = Pacing(settings, now)
        self._finalizes = Rate(settings.finalizes, _FINALIZES_S)
        self._endpoint = 0  # samples of silence that end an utterance; 0: none do
        self._ended_count = 0
        self._settlings: deque[_Settling] = deque()
        self._silent = self._held = False
        self._slow_s: float | None = None
        self._wrong: SonioxFault | None = None  # of the next message with a final token
        self._finishing = False
        self.stalled = False
        """Whether nothing is answered any more."""
        self.half_open = False
        """Whether this end is gone, and the socket is open all the same."""
        self.dropped = False
        """Whether the connection is to break."""
        self.finished = False
        """Whether the last message has been returned."""
        self.start: StartMessage | None = None

    @property
    def samples(self) -> int:
        """Samples received."""
        return 0 if self._ear is None else self._ear.samples

    @property
    def transcript(self) -> SonioxTranscript:
        """The words heard, and what was said of them."""
        return self._transcript

    # What comes in

    def arm(self, faults: Sequence[SonioxFault], now: float) -> None:
        """Let these faults befall the session; they strike in their moment, counted from now."""
        self._armed += [_Armed(fault, now, self.samples) for fault in faults]

    def strike(self, moment: SonioxMoment, now: float) -> None:
        """Let the faults of that moment strike. Raises `SonioxRefusalError` if a fault ends the session."""
        for armed in [armed for armed in self._armed if armed.fault.when is moment]:
            seconds = armed.fault.seconds
            if moment is SonioxMoment.ELAPSED and now < armed.since + seconds:
                continue
            if moment is SonioxMoment.AUDIO and self.samples - armed.samples < seconds * SAMPLE_RATE:
                continue
            self._armed.remove(armed)
            self._suffer(armed.fault)

    def configure(self, start: StartMessage, now: float) -> None:
        """Take the start message. Raises `SonioxRefusalError`."""
        self._alive_at = now
        self.start = start
        self._ear = SonioxEar(start.sample_bytes, edges=self._settings.hears_edges)
        self._transcript.language = "he" if start.enable_language_identification else None
        if start.enable_endpoint_detection:
            most = start.max_endpoint_delay_ms or 2000
            self._endpoint = min(self._settings.endpoint_ms, most) * SAMPLES_PER_MS
        self.strike(SonioxMoment.START, now)

    def receive(self, message: str | bytes, now: float) -> None:
        """Take a message after the start message. Raises `SonioxRefusalError`."""
        if self.stalled or self._finishing:
            return
        if not message:
            self._finish(now)
        elif isinstance(message, bytes):
            self._receive_audio(message, now)
        else:
            control = rules.read_control(message)
            self._alive_at = now
            if control.type == "finalize":
                self._finalize(control.trailing_silence_ms or 0, now)

    def _receive_audio(self, audio: bytes, now: float) -> None:
        ear = self._heard_by()
        if not ear.samples:
            self.strike(SonioxMoment.FIRST_AUDIO, now)
        words = ear.feed(audio)
        self._pacing.take(len(audio) / (self.start.sample_bytes if self.start else 1) / SAMPLE_RATE, now)
        if ear.samples > self._settings.session_limit_s * SAMPLE_RATE:
            raise SonioxRefusalError(413)
        self._alive_at = now
        self.strike(SonioxMoment.AUDIO, now)
        if self._silent:
            return
        transcript = self._transcript
        transcript.append(words)
        transcript.notice(ear.underway(), ear.position, now)
        if aged := transcript.count_until(ear.position - self._settings.final_after_ms * SAMPLES_PER_MS):
            self._settle(aged, ear.position, now + self._settings.interim_latency_ms / 1000, "")
        self._look_for_end(ear, now)

    def _look_for_end(self, ear: SonioxEar, now: float) -> None:
        count, spoken = self._transcript.count, self._transcript.spoken_until
        if self._endpoint and count > self._ended_count and ear.quiet_until - spoken >= self._endpoint:
            self._ended_count = count
            self._settle(count, ear.position, now + self._latency(), END)

    def _finalize(self, trailing_ms: int, now: float) -> None:
        if not self._finalizes.allows(now):
            raise SonioxRefusalError(503, rules.CANNOT_CONTINUE.format(3))
        self.strike(SonioxMoment.FINALIZE, now)
        padding = max(0.0, self._settings.padding_s - trailing_ms / 1000) if self._slow_s is None else 0.0
        ear = self._heard_by()
        if not self._silent:
            self._transcript.append(ear.flush())
        if not self._held:
            self._settle(self._transcript.count, ear.samples, now + padding + self._latency(), FIN)

    def _finish(self, now: float) -> None:
        self.strike(SonioxMoment.FINISH, now)
        ear = self._heard_by()
        if not ear.samples:
            raise SonioxRefusalError(400, rules.NO_AUDIO)
        self._finishing = True
        if not self._silent:
            self._transcript.append(ear.flush())
        self._settle(self._transcript.count, ear.samples, now + self._latency(), "")

    def _settle(self, count: int, position: int, due: float, marker: str) -> None:
        """Make so many tokens final later. Those that were about to be final by themselves do not hold up the rest."""
        for number in reversed(range(len(self._settlings))):
            earlier = self._settlings[number]
            if earlier.marker or earlier.due <= due:
                break
            self._settlings[number] = earlier._replace(due=due)
        last = self._settlings[-1].due if self._settlings else due
        self._settlings.append(_Settling(max(due, last), count, position, marker))

    def _latency(self) -> float:
        return self._settings.finalize_latency(self._draw) if self._slow_s is None else self._slow_s

    def _heard_by(self) -> SonioxEar:
        if self._ear is None:
            raise SonioxRefusalError(400, rules.MALFORMED)
        return self._ear

    # What goes wrong

    def _suffer(self, fault: SonioxFault) -> None:
        match fault.kind:
            case SonioxFaultKind.ERROR | SonioxFaultKind.REFUSE:
                raise fault.error
            case SonioxFaultKind.DROP:
                self.dropped = True
            case SonioxFaultKind.STALL:
                self.stalled = True
            case SonioxFaultKind.HALF_OPEN:
                self.stalled = self.half_open = True
            case SonioxFaultKind.SILENCE:
                self._silent = True
            case SonioxFaultKind.SLOW_FINALS:
                self._slow_s = fault.latency_s
            case SonioxFaultKind.HELD_FINALS:
                self._held = True
            case SonioxFaultKind.WRONG_TIMES:
                self._wrong = fault

    # What goes out

    @property
    def deadline(self) -> float:
        """Time at which `tick` must run next; infinity if never."""
        if self.dropped or self.half_open:
            return -_FOREVER
        limits = [a.since + a.fault.seconds for a in self._armed if a.fault.when is SonioxMoment.ELAPSED]
        if self.stalled:
            return min(limits, default=_FOREVER)
        if not self._finishing:
            limits.append(self._alive_at + self._settings.idle_s)
        if self._settlings:
            limits.append(self._settlings[0].due)
        if not self._finishing:
            limits.append(self._transcript.due)
        return min(limits, default=_FOREVER)

    def tick(self, now: float) -> list[dict[str, Any]]:
        """Return the messages that are due. Raises `SonioxRefusalError` at a limit, or if a fault strikes."""
        self.strike(SonioxMoment.ELAPSED, now)
        if self.stalled or self.dropped:
            return []
        if not self._finishing and now >= self._alive_at + self._settings.idle_s:
            raise SonioxRefusalError(408, self._idle_text())
        messages = []
        while self._settlings and self._settlings[0].due <= now:
            settling = self._settlings.popleft()
            messages += self._transcript.settle(settling.tokens, settling.position, settling.marker)
        if self._finishing:
            if not self._settlings:
                self.finished = True
                messages.append(self._transcript.last(self.samples))
        elif self._transcript.due <= now:
            messages += self._transcript.show(now)
        self._misdate(messages)
        return messages

    def _misdate(self, messages: Sequence[dict[str, Any]]) -> None:
        """Let the first message with a final token have the times of the fault, if one has struck."""
        wrong, final = self._wrong, (m for m in messages if any("end_ms" in t and t["is_final"] for t in m["tokens"]))
        if wrong is not None and (message := next(final, None)) is not None:
            misdate(message, times_ms=wrong.times_ms, totals_ms=wrong.totals_ms)
            self._wrong = None

    def _idle_text(self) -> str:
        if self.start is None:
            return rules.NO_START
        return rules.IDLE if self.samples else rules.NO_FIRST_AUDIO
