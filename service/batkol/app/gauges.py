"""Gauges that are read at a scrape and not recorded: live calls, the drain's progress, the tuning in force.

Read on the loop for /metrics, and on a thread for OTLP: so nothing here walks what the loop may change meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from typing import Final

from msgspec.structs import asdict

from batkol.app.agent_settings import calls_using
from batkol.calls.drain import Drain
from batkol.calls.reasons import ENDINGS
from batkol.calls.registry import AdmissionRefusal, CallRegistry
from batkol.calls.socket import PeerFault
from batkol.calls.telephone import OUTCOMES
from batkol.conversation.actions import StockPhrase
from batkol.conversation.limits import BUDGETS
from batkol.events.bus import Bus
from batkol.live.config import Live, LiveChange
from batkol.live.source import SourceState
from batkol.live.tuning import Tuning
from batkol.recognizers.streaming.errors import NOT_ENDED, STALLED
from batkol.recognizers.streaming.events import CHOSEN
from batkol.recognizers.streaming.recognizer import StreamingRecognizer
from batkol.speech.rotation import Why
from batkol.speech.utterance import Source
from batkol.status import SourceStatus
from batkol.supervision.tasks import Tasks
from batkol.telemetry.instruments import Counts
from batkol.telemetry.metrics import Metrics
from batkol.telemetry.process import expose as expose_process
from batkol.telemetry.reply_metrics import ANNOUNCEMENT, ANSWER
from batkol.tracing.tracing import Tracing
from batkol.twilio.messages import Malformation
from batkol.voices.google.sessions import Sessions
from batkol.web.proof import ProofFault

FAILING: Final = ("answerer", "voice")
FAILURES: Final = (
    "busy", "cut_off", "deadline", "empty", "malformed", "no_first_token", "no_input", "no_session_free", "quota",
    "rate_limited", "refused", "server_error", "stalled", "too_slow", "unauthorized", "unavailable",
)  # fmt: skip
"""The parts of a reply that fail, and the reasons that are likely: `batkol_reply_failures_total` begins with them."""


def expose(metrics: Metrics, *, calls: CallRegistry, drain: Drain, bus: Bus, live: Live, tracing: Tracing) -> None:
    """Have all of it read; once per process, on the running loop."""
    _begin_at_zero(metrics)
    _expose_calls(metrics, calls)
    _expose_drain(metrics, calls, drain)
    _expose_live(metrics, live)
    _expose_reply_settings(metrics, live, calls)
    metrics.counter(
        "batkol.events.dropped",
        "{event}",
        "Partials and tentatives dropped because a subscriber read too slowly.",
        lambda: bus.dropped,
    )
    metrics.counter(
        "batkol.subscribers.let_go",
        "{subscriber}",
        "Subscribers disconnected because they read too slowly.",
        lambda: bus.let_go,
    )
    metrics.counter(
        "batkol.spans.dropped", "{span}", "Spans dropped because no collector accepted them.", lambda: tracing.dropped
    )
    expose_process(metrics)


def expose_tasks(metrics: Metrics, tasks: Tasks) -> None:
    """Have the figures of the background tasks read at each scrape; once per process."""
    metrics.counters(
        "batkol.tasks.died",
        "{death}",
        "Deaths of background tasks since the start, by task; the service restarted each.",
        tasks.deaths,
        by="task",
    )
    metrics.gauges(
        "batkol.tasks.down",
        "1 for each background task that waits for a restart or died five times in a minute, else 0.",
        tasks.down,
        by="task",
    )


def expose_voices(metrics: Metrics, sessions: Sessions) -> None:
    """Have the sessions at Google's text to speech read at each scrape; once per process."""
    metrics.gauge("batkol.voice.sessions", "Sessions with Google's voice that are open.", lambda: sessions.under_way)
    metrics.gauge(
        "batkol.voice.sessions_limit",
        "Most sessions with Google's voice that this process opens at once (GCP_TTS_MAX_SESSIONS).",
        lambda: sessions.limit,
    )
    metrics.counter(
        "batkol.voice.sessions_refused",
        "{session}",
        "Sessions with Google's voice that this process did not open because its limit was reached.",
        lambda: sessions.refused,
    )


def expose_streams(metrics: Metrics, recognizers: Iterable[StreamingRecognizer]) -> None:
    """Show what has not happened to a stream of these recognizers yet; once for each."""
    for recognizer in recognizers:
        of = {"recognizer": recognizer.name}
        for why in Why:
            metrics.rotations.add(0, of | {"why": why.value})
        for reason in dict.fromkeys((*recognizer.reasons, STALLED, NOT_ENDED)):
            metrics.failed_rotations.add(0, of | {"reason": reason})
            metrics.reconnects.add(0, of | {"reason": reason})
        metrics.recognizer_changes.add(0, of | {"reason": CHOSEN})
        for source in (Source.FINAL, Source.INTERIM):
            metrics.finals.add(0, of | {"source": source.value})
        metrics.begin_with(recognizer.name)
    for source in (Source.SINGLE, Source.WHISPER, Source.NONE):
        metrics.finals.add(0, {"source": source.value, "recognizer": ""})
    metrics.final.of("")
    metrics.revised.add(0, {"recognizer": ""})


def _begin_at_zero(metrics: Metrics) -> None:
    """Show what has not happened yet: a series that appears at 1 was never seen to grow, and raises no alert."""
    by_label: tuple[tuple[Counts, str, Iterable[str]], ...] = (
        (metrics.calls, "reason", (*ENDINGS, *PeerFault)),
        (metrics.refused, "reason", (*AdmissionRefusal, "signature", "protocol", *ProofFault, *PeerFault)),
        (metrics.malformed, "kind", Malformation),
    )
    for counter, label, values in by_label:
        for value in values:
            counter.add(0, {label: str(value)})
    for action, outcomes in OUTCOMES.items():
        for outcome in outcomes:
            metrics.line_actions.add(0, {"action": action, "outcome": outcome})
    failures = product(FAILING, FAILURES)
    metrics.budgets.begin_at_zero(BUDGETS)
    metrics.replies.begin_at_zero(kinds=(ANSWER, ANNOUNCEMENT, *StockPhrase), failures=failures)
    metrics.gap_ms.add(0)


def _expose_calls(metrics: Metrics, calls: CallRegistry) -> None:
    metrics.gauge("batkol.calls.active", "Live calls.", lambda: calls.active)
    metrics.gauge(
        "batkol.calls.ending",
        "Calls whose audio has ended while their last finals are outstanding.",
        lambda: calls.ending,
    )
    metrics.gauge("batkol.calls.limit", "Calls that this process accepts at once (MAX_CALLS).", lambda: calls.limit)
    metrics.gauge(
        "batkol.calls.speaking",
        "Callers who are speaking while their call uses streaming recognition.",
        lambda: sum(call.reporter.partial_gap.speaking for call in calls),
    )
    metrics.gauge(
        "batkol.calls.unheard",
        "Callers who use streaming recognition and have spoken for 3 s without a partial.",
        lambda: sum(call.reporter.unheard for call in calls),
    )


def _expose_drain(metrics: Metrics, calls: CallRegistry, drain: Drain) -> None:
    metrics.gauge(
        "batkol.drain.age_seconds", "Seconds since the drain began; 0 while the pod accepts calls.", calls.draining_s
    )
    metrics.gauge("batkol.drain.limit_seconds", "Longest duration of a drain, in seconds.", lambda: drain.longest_s)


def tuning_values(tuning: Tuning) -> dict[str, float]:
    """Return the numbers of a tuning by setting, those of turns with `turns_` before them; its words are left out."""
    found = {name: value for name, value in asdict(tuning).items() if name not in {"revision", "turns", "recognizers"}}
    return found | {f"turns_{name}": value for name, value in asdict(tuning.turns.thresholds).items()}


def _revisions(live: Live, in_force: Callable[[], object]) -> Callable[[], int]:
    """Return a count of how often what is in force has become another one, from now on."""
    applied, known = 0, in_force()

    def changed(_: LiveChange) -> None:
        nonlocal applied, known
        applied += in_force() is not known
        known = in_force()

    live.on_change(changed)
    return lambda: applied


def _expose_live(metrics: Metrics, live: Live) -> None:
    """Revisions are free text, one more at every change, so they are counted; what they set is shown."""
    metrics.counter(
        "batkol.tuning.applied",
        "{revision}",
        "Revisions of the tuning put in force since the start.",
        _revisions(live, lambda: live.tuning),
    )
    metrics.gauges(
        "batkol.tuning.value",
        "Tuning in force, by setting, in ms; those of turns without _ms are counts, or 1 for yes and 0 for no.",
        lambda: tuning_values(live.tuning),
        by="setting",
    )
    metrics.gauge(
        "batkol.live.refused",
        "Changes to the live files that the service refuses at present.",
        lambda: len(live.status().refusals),
    )
    metrics.counters(
        "batkol.live.refusals",
        "{refusal}",
        "Changes to the live files that the service refused since the start, by file.",
        lambda: live.status().refused,
        by="file",
    )
    metrics.gauge(
        "batkol.live.age_seconds",
        "Seconds since the live source last answered; 0 if the source sends no answers.",
        lambda: _connection(live).heard_s or 0.0,
    )
    metrics.counter(
        "batkol.live.reconnects",
        "{attempt}",
        "Times that the live source reconnected after a fault.",
        lambda: _connection(live).reconnects,
    )


def _expose_reply_settings(metrics: Metrics, live: Live, calls: CallRegistry) -> None:
    metrics.counter(
        "batkol.reply.settings.applied",
        "{revision}",
        "Revisions of the reply settings put in force since the start.",
        _revisions(live, lambda: live.reply),
    )
    metrics.gauge(
        "batkol.reply.settings.calls",
        "Live calls that use the reply settings in force; the others take them up at their next turn.",
        lambda: calls_using(calls, live.reply.name),
    )


def _connection(live: Live) -> SourceStatus:
    return live.status().connection or SourceStatus(state=SourceState.STARTING)
