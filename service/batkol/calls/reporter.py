"""Reports of a call's transcription: events, log lines, metrics, figures.

The transcription calls it on the event loop, in the order things happen.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from structlog.typing import FilteringBoundLogger

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.calls.early_events import publish_early
from batkol.calls.figures import Figures, UtteranceProgress, summary
from batkol.calls.partial_gap import PartialGapMonitor
from batkol.calls.publisher import Publisher
from batkol.calls.reply_reporter import ReplyReporter
from batkol.calls.traces import Traces, Untraced
from batkol.clock import REAL, Clock, in_ms
from batkol.events.bus import Bus
from batkol.events.events import (
    CallStarted,
    FinalText,
    KeyPressed,
    MarkPlayed,
    PartialText,
    RevisedText,
    UtteranceStarted,
)
from batkol.events.identity import Identity
from batkol.events.recorder import Recorder
from batkol.quantity import quantity
from batkol.recognizers.streaming.events import AudioDropped, RecognizerChanged, StreamReplaced, StreamRotated
from batkol.speech.utterance import Source, Utterance
from batkol.telemetry.metrics import Metrics
from batkol.transcription.events import (
    FinalReady,
    PartialReady,
    RevisionReady,
    SessionClosed,
    SessionOpened,
    SpeechStopped,
    StepFailed,
    Tentative,
    TranscriptionEvent,
    UtteranceOpened,
    Withdrawn,
)

KEPT: Final = 500
"""Utterances of a call that the internal API can show."""


class Reporter:
    """One per call; `since(sample)` returns how many seconds ago the caller spoke that sample.

    `traces` has the span of each utterance, for its log lines and as an exemplar of its latencies; `recorder` keeps
    what subscribers are about to hear.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        bus: Bus,
        metrics: Metrics,
        log: FilteringBoundLogger,
        since: Callable[[int], float],
        log_transcripts: bool,
        log_partials: bool = False,
        traces: Traces | None = None,
        recorder: Recorder | None = None,
        clock: Clock = REAL,
    ) -> None:
        self._publisher = Publisher(identity, bus, recorder, clock)
        self.replies = ReplyReporter(self._publisher, log, log_transcripts=log_transcripts)
        self._clock = clock
        self._metrics = metrics
        self._log = log
        self._since = since
        self._log_transcripts = log_transcripts
        self._log_partial = log.info if log_partials else log.debug  # 500 a second with 100 callers
        self._traces: Traces = traces or Untraced()
        self.ended = False
        """Whether the call's last event is out."""
        self.figures = Figures()
        self.partial_gap = PartialGapMonitor()
        self.utterances: OrderedDict[int, UtteranceProgress] = OrderedDict()

    @property
    def seq(self) -> int:
        return self._publisher.seq

    @property
    def unheard(self) -> bool:
        """Whether the caller speaks and has had no partial for too long."""
        return self.partial_gap.unheard(self._clock.monotonic())

    # -- the call ----------------------------------------------------------------------------------------------

    def call_started(self, *, streaming: bool) -> None:
        identity = self._publisher.identity
        self._publisher.publish(
            CallStarted(
                **self._publisher.header(),
                agent=identity.agent,
                direction=identity.direction,
                streaming=streaming,
                from_=identity.from_,
                to=identity.to,
                parameters=identity.parameters,
                stream=identity.stream,
            )
        )

    def call_ended(self, *, reason: str, duration_s: float, gap_ms: int, close_code: int | None) -> None:
        """Publish the last event and write the canonical line."""
        figures = self.figures
        ended = figures.last_event(
            self._publisher.header(), reason=reason, duration_s=duration_s, gap_ms=gap_ms, close_code=close_code
        )
        self._publisher.publish(ended)
        self.ended = True
        self._metrics.calls.add(1, {"reason": reason})
        self._metrics.duration.record(duration_s)
        self._metrics.gap_ms.add(gap_ms)
        self._log.info(
            "[CALL] call ended",
            **summary(ended),
            partials=figures.partials,
            revised=figures.revised,
            fell_back=dict(figures.fallbacks),
            replayed_ms=figures.replayed_ms,
            slowest_first_partial_ms=round(figures.slowest_first_partial_ms),
            slowest_final_ms=round(figures.slowest_final_ms),
        )

    def key_pressed(self, digit: str) -> None:
        self._publisher.publish(KeyPressed(**self._publisher.header(), digit=digit))

    def mark_played(self, name: str) -> None:
        self._publisher.publish(MarkPlayed(**self._publisher.header(), name=name))

    # -- its recognition ---------------------------------------------------------------------------------------

    def observe(self, event: TranscriptionEvent) -> None:  # noqa: C901, PLR0912  one line an event
        """Report one event of the call's recognition; never blocks."""
        match event:
            case PartialReady(utterance, text, stability):
                self._partial(utterance, text, stability)
            case FinalReady(utterance, text, confirms):
                self._final(utterance, text, confirms)
            case UtteranceOpened():
                self._utterance_opened(event)
            case SpeechStopped(utterance):
                self.partial_gap.end(utterance)
                publish_early(self._publisher, self._progress(utterance), event)
            case Tentative(utterance) | Withdrawn(utterance):
                publish_early(self._publisher, self._progress(utterance), event)
            case RevisionReady(utterance, text):
                self._revised(utterance, text)
            case StepFailed(_, step, reason, recognizer):
                self.figures.fallbacks[step] += 1
                self._metrics.fallbacks.add(1, {"step": step, "reason": reason, "recognizer": recognizer})
            case StreamRotated(cut, recognizer):
                self.figures.rotations += 1
                self._metrics.rotations.add(1, {"why": cut.why.value, "recognizer": recognizer})
            case StreamReplaced():
                self._replaced(event)
            case RecognizerChanged(_, after, reason):
                self._metrics.recognizer_changes.add(1, {"recognizer": after, "reason": reason})
            case AudioDropped(ms, recognizer):
                self.figures.audio_dropped_ms += ms
                self._metrics.audio_dropped.add(ms, {"recognizer": recognizer})
            case SessionOpened():
                self.figures.sessions += 1
                self.figures.sessions_open += 1
            case SessionClosed():
                self.figures.sessions_open -= 1
            case _:
                """The others are for traces, or for an agent in this process."""

    def _utterance_opened(self, opened: UtteranceOpened) -> None:
        utterance = opened.utterance
        self.figures.utterances += 1
        self.partial_gap.begin(utterance, self._clock.monotonic())
        progress = UtteranceProgress.opened(utterance, opened.decision)
        self.utterances[utterance.index] = progress
        if len(self.utterances) > KEPT:
            self.utterances.popitem(last=False)
        self._publisher.publish(
            UtteranceStarted(
                **self._publisher.utterance_header(utterance),
                begin_ms=progress.begin_ms,
                speech_ms=_ms(utterance.speech_at),
                mode=progress.mode,
                flag_variant=progress.flag_variant,
                flag_reason=progress.flag_reason,
                recognizer=opened.recognizer,
            )
        )

    def _partial(self, utterance: Utterance, text: str, stability: float) -> None:
        progress = self._progress(utterance)
        progress.partials += 1
        progress.text = text
        if progress.first_partial_ms is None:
            waited = self._since(utterance.speech_at)
            progress.first_partial_ms = in_ms(waited)
            self.figures.slowest_first_partial_ms = max(self.figures.slowest_first_partial_ms, waited * 1000)
            self._metrics.first_partial.record(waited, self._traces.span_of(utterance), (utterance.recognizer,))
        self.figures.partials += 1
        self._metrics.partials.add(1, {"recognizer": utterance.recognizer})
        if (interval := self.partial_gap.partial(utterance, self._clock.monotonic())) is not None:
            self._metrics.partial_interval.record(interval, None, (utterance.recognizer,))
        header = self._publisher.utterance_header(utterance)
        partial = PartialText(
            **header, text=text, stability=stability, number=progress.partials, recognizer=utterance.recognizer
        )
        self._publisher.publish(partial)
        ids = self._traces.ids_of(utterance)
        self._log_partial(f"🟡 Partial: {self._shown(text)}", utterance=utterance.index, **ids)

    def _final(self, utterance: Utterance, text: str, confirms: int | None) -> None:
        progress = self._progress(utterance)
        end = utterance.known_end
        waited = max(0.0, self._since(end))
        source = (utterance.source or Source.NONE).value
        words = len(text.split())
        progress.finish(utterance, text, waited, trace_id=self._traces.ids_of(utterance).get("trace_id"))
        self.figures.words += words
        self.figures.finals[source] += 1
        self.figures.slowest_final_ms = max(self.figures.slowest_final_ms, waited * 1000)
        self._metrics.finals.add(1, {"source": source, "recognizer": utterance.text_recognizer})
        self._metrics.final.record(waited, self._traces.span_of(utterance), (utterance.text_recognizer,))
        published = FinalText(
            **self._publisher.utterance_header(utterance),
            text=text,
            source=source,
            mode=utterance.mode,
            begin_ms=_ms(utterance.begin),
            end_ms=_ms(end),
            words=words,
            partials=progress.partials,
            first_partial_ms=progress.first_partial_ms,
            latency_ms=in_ms(waited),
            unvoiced=not utterance.voiced,
            unconfirmed=utterance.unconfirmed,
            confirms=confirms,
            recognizer=utterance.text_recognizer,
            trace_id=progress.trace_id,
        )
        self._publisher.publish(published, trace_id=progress.trace_id)
        self._log.info(
            f"🟢 Final: {self._shown(text)}",
            utterance=utterance.index,
            source=source,
            latency_ms=round(waited * 1000),
            **self._traces.ids_of(utterance),
        )

    def _revised(self, utterance: Utterance, text: str) -> None:
        end = utterance.known_end
        latency = in_ms(max(0.0, self._since(end)))
        progress = self._progress(utterance)
        progress.unconfirmed = utterance.unconfirmed
        if not utterance.unconfirmed:
            progress.revised = text
            self.figures.revised += 1
            self._metrics.revised.add(1, {"recognizer": progress.recognizer})
        header = self._publisher.utterance_header(utterance)
        self._publisher.publish(RevisedText(**header, text=text, latency_ms=latency, unconfirmed=utterance.unconfirmed))

    def _replaced(self, event: StreamReplaced) -> None:
        self.figures.reconnects += 1
        self.figures.replayed_ms += event.replayed_ms
        self._metrics.reconnects.add(1, {"reason": event.reason, "recognizer": event.failed})
        self._metrics.replayed_ms.add(event.replayed_ms, {"recognizer": event.recognizer})

    def _progress(self, utterance: Utterance) -> UtteranceProgress:
        return self.utterances.setdefault(utterance.index, UtteranceProgress(begin_ms=_ms(utterance.begin)))

    def _shown(self, text: str) -> str:
        return text if self._log_transcripts else f"({quantity(len(text.split()), 'word')})"


def _ms(sample: int) -> int:
    return sample // SAMPLES_PER_MS
