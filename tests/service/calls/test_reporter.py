import io
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from batkol.calls.partial_gap import UNHEARD_S
from batkol.calls.reporter import KEPT, Reporter
from batkol.clock import REAL, Clock
from batkol.events.bus import Bus, Subscription
from batkol.events.events import (
    CallEnded,
    CallStarted,
    Event,
    FinalText,
    PartialText,
    RevisedText,
    TentativeText,
    TentativeWithdrawn,
    UtteranceEnded,
    UtteranceStarted,
)
from batkol.events.identity import Identity
from batkol.flags.flag import DecisionSource
from batkol.flags.flags import Decision
from batkol.recognizers.streaming.events import AudioDropped, StreamReplaced
from batkol.speech.utterance import Mode, Source, Utterance, UtteranceState
from batkol.telemetry.logs import Logs
from batkol.telemetry.metrics import Metrics
from batkol.transcription.events import (
    FinalReady,
    Interim,
    PartialReady,
    Quiet,
    RevisionReady,
    SessionClosed,
    SessionOpened,
    SpeechLasted,
    SpeechResumed,
    SpeechStopped,
    StepFailed,
    Tentative,
    UtteranceOpened,
    WithdrawalReason,
    Withdrawn,
)

CALLER, CALLED = "+972541234567", "+97231234567"
SPOKEN = "הסיסמה שלי היא שלוש"
IDENTITY = Identity(
    call_sid="CA" + "0" * 32,
    stream_sid="MZ" + "0" * 32,
    account_sid="AC" + "0" * 32,
    agent="reception",
    from_=CALLER,
    to=CALLED,
    parameters={"tenant": "a"},
    stream=2,
)
DECISION = Decision(True, "on", "STATIC", DecisionSource.FLAG)


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    metrics = Metrics()
    yield metrics
    metrics.close()


class Told:
    """A reporter and what it told whom."""

    def __init__(
        self, metrics: Metrics, *, log_transcripts: bool = False, log_partials: bool = False, clock: Clock = REAL
    ) -> None:
        self.bus = Bus()
        self.subscription: Subscription = self.bus.subscribe()
        self.reporter = Reporter(
            IDENTITY,
            bus=self.bus,
            metrics=metrics,
            log=structlog.get_logger().bind(call_sid=IDENTITY.call_sid),
            since=lambda _: 0.25,
            log_transcripts=log_transcripts,
            log_partials=log_partials,
            clock=clock,
        )

    @property
    def events(self) -> list[Event]:
        return [kept.event for kept in self.subscription._events.values()]


def utterance(index: int = 0, **fields: Any) -> Utterance:
    return Utterance(index=index, begin=8000, speech_at=10_400, mode=Mode.STREAMING, **fields)


def finished(index: int = 0, source: Source = Source.FINAL) -> Utterance:
    return utterance(index, state=UtteranceState.DONE, end=24_000, source=source, text=SPOKEN)


def test_a_clock_that_jumps_during_a_call_does_not_move_its_events_apart(metrics: Metrics) -> None:
    now, jump_s = 50.0, 0.0
    told = Told(metrics, clock=Clock(monotonic=lambda: now, wall=lambda: 1_900_000_000.0 + now + jump_s))
    told.reporter.call_started(streaming=True)
    for moved_s in (-86400.0, 86400.0):
        now, jump_s = now + 7, moved_s
        told.reporter.key_pressed("7")
    told.reporter.call_ended(reason="stop", duration_s=1.0, gap_ms=0, close_code=1000)
    times = [event.at for event in told.events]

    assert [at - 1_900_000_000.0 for at in times] == [50, 57, 64, 64]


def test_a_caller_who_speaks_without_a_partial_is_unheard_by_the_calls_own_clock(metrics: Metrics) -> None:
    now = 50.0
    told = Told(metrics, clock=Clock(monotonic=lambda: now))
    told.reporter.observe(UtteranceOpened(utterance(), DECISION))
    now += UNHEARD_S - 0.1
    assert not told.reporter.unheard
    now += 0.1
    assert told.reporter.unheard
    told.reporter.observe(PartialReady(utterance(), SPOKEN, 0.9))
    assert not told.reporter.unheard


def whole_call(told: Told) -> None:
    reporter = told.reporter
    reporter.call_started(streaming=True)
    reporter.observe(UtteranceOpened(utterance(), DECISION))
    reporter.observe(PartialReady(utterance(), "הסיסמה", 0.9))
    reporter.observe(PartialReady(utterance(), "הסיסמה שלי", 0.9))
    reporter.observe(FinalReady(finished(source=Source.INTERIM), SPOKEN))
    reporter.observe(RevisionReady(finished(), SPOKEN + " ארבע"))
    reporter.observe(StepFailed(None, "streaming", "unavailable"))
    reporter.observe(SessionOpened())
    reporter.observe(SessionClosed())
    reporter.key_pressed("7")
    reporter.mark_played("one")
    reporter.call_ended(reason="stop", duration_s=12.3456, gap_ms=40, close_code=1000)


def test_every_event_carries_the_call_and_its_own_number(metrics: Metrics) -> None:
    told = Told(metrics)
    whole_call(told)

    assert [event.seq for event in told.events] == list(range(1, len(told.events) + 1))
    assert [event.id for event in told.events] == [f"{IDENTITY.stream_sid}-{event.seq}" for event in told.events]
    assert {event.call_sid for event in told.events} == {IDENTITY.call_sid}
    assert [type(event) for event in told.events[:3]] == [CallStarted, UtteranceStarted, PartialText]
    assert type(told.events[-1]) is CallEnded


def test_the_first_event_says_who_calls_whom_with_which_parameters_and_by_which_stream(metrics: Metrics) -> None:
    told = Told(metrics)
    told.reporter.call_started(streaming=True)

    (began,) = told.events
    assert isinstance(began, CallStarted)
    assert (began.from_, began.to) == (IDENTITY.from_, IDENTITY.to)
    assert (began.parameters, began.stream) == (IDENTITY.parameters, IDENTITY.stream) == ({"tenant": "a"}, 2)


def test_events_carry_the_text_and_its_times(metrics: Metrics) -> None:
    told = Told(metrics)
    whole_call(told)

    started, first, second = told.events[1:4]
    assert isinstance(started, UtteranceStarted)
    assert (started.begin_ms, started.speech_ms, started.mode) == (1000, 1300, "streaming")
    assert (started.flag_variant, started.flag_reason) == ("on", "STATIC")
    assert isinstance(first, PartialText)
    assert isinstance(second, PartialText)
    assert (first.number, second.number, second.text) == (1, 2, "הסיסמה שלי")
    final = next(event for event in told.events if isinstance(event, FinalText))
    assert (final.text, final.words, final.partials, final.source) == (SPOKEN, 4, 2, "interim")
    assert (final.begin_ms, final.end_ms, final.latency_ms, final.first_partial_ms) == (1000, 3000, 250.0, 250.0)
    assert {first.utterance_id, final.utterance_id} == {f"{IDENTITY.call_sid}-0"}
    revised = next(event for event in told.events if isinstance(event, RevisedText))
    assert revised.text == SPOKEN + " ארבע"


def test_the_lines_that_people_grep_for_are_exactly_these(metrics: Metrics) -> None:
    told = Told(metrics, log_transcripts=True)
    with capture_logs() as logs:
        whole_call(told)

    assert [line["event"] for line in logs] == [
        "🟡 Partial: הסיסמה",
        "🟡 Partial: הסיסמה שלי",
        f"🟢 Final: {SPOKEN}",
        "[CALL] call ended",
    ]
    assert {line["call_sid"] for line in logs} == {IDENTITY.call_sid}


def test_without_leave_the_lines_count_words_instead_of_saying_them(metrics: Metrics) -> None:
    told = Told(metrics)
    with capture_logs() as logs:
        whole_call(told)

    assert [line["event"] for line in logs][:3] == [
        "🟡 Partial: (1 word)",
        "🟡 Partial: (2 words)",
        "🟢 Final: (4 words)",
    ]


CALLERS, SPEECH_S, PARTIALS_A_SECOND = 100, 4, 5


@pytest.mark.parametrize(
    ("level", "log_partials", "a_second"),
    [("INFO", False, 25), ("INFO", True, 525), ("DEBUG", False, 525), ("WARNING", True, 0)],
)
def test_a_hundred_callers_write_a_line_a_final_in_production_and_not_one_a_partial(
    level: str, log_partials: bool, a_second: int, metrics: Metrics
) -> None:
    out = io.StringIO()
    logs = Logs(level=level, json=True, stream=out)
    try:
        for caller in range(CALLERS):
            told = Told(metrics, log_partials=log_partials)
            for number in range(SPEECH_S * PARTIALS_A_SECOND):
                told.reporter.observe(PartialReady(utterance(caller), f"{SPOKEN} {number}", 0.9))
            told.reporter.observe(FinalReady(finished(caller), SPOKEN))
    finally:
        logs.close()

    assert len(out.getvalue().splitlines()) == a_second * SPEECH_S


@pytest.mark.parametrize("log_transcripts", [True, False])
def test_no_phone_number_is_in_any_line_and_no_transcript_without_leave(
    metrics: Metrics, log_transcripts: bool
) -> None:
    told = Told(metrics, log_transcripts=log_transcripts)
    with capture_logs() as logs:
        whole_call(told)

    written = repr(logs)
    assert CALLER not in written
    assert CALLED not in written
    if not log_transcripts:
        assert not any(word in written for word in SPOKEN.split())


def test_no_number_and_no_transcript_is_in_the_metrics(metrics: Metrics) -> None:
    whole_call(Told(metrics))

    page = metrics.render().decode()
    assert not any(word in page for word in (CALLER, CALLED, IDENTITY.call_sid, *SPOKEN.split()))


def test_the_canonical_line_sums_the_call_up(metrics: Metrics) -> None:
    told = Told(metrics)
    with capture_logs() as logs:
        whole_call(told)

    line = logs[-1]
    assert (line["reason"], line["duration_s"], line["gap_ms"], line["close_code"]) == ("stop", 12.346, 40, 1000)
    assert (line["utterances"], line["words"], line["partials"], line["revised"]) == (1, 4, 2, 1)
    assert (line["finals"], line["fallbacks"], line["sessions"]) == ({"interim": 1}, 1, 1)
    assert line["slowest_final_ms"] == 250


def test_every_step_is_counted(metrics: Metrics) -> None:
    whole_call(Told(metrics))

    page = metrics.render().decode()
    for part in (
        "batkol_finals_total",
        'source="interim"',
        'step="streaming"',
        'reason="unavailable"',
        "batkol_partials",
        "batkol_calls_ended",
    ):
        assert part in page


def test_audio_that_a_stalled_recognizer_did_not_take_is_counted_for_the_call_and_the_process(
    metrics: Metrics,
) -> None:
    told = Told(metrics)
    told.reporter.observe(AudioDropped(1500, "google-v1/default"))
    told.reporter.observe(AudioDropped(250, "google-v1/default"))
    whole_call(told)

    ended = told.events[-1]
    assert isinstance(ended, CallEnded)
    assert ended.audio_dropped_ms == told.reporter.figures.audio_dropped_ms == 1750
    page = metrics.render().decode()
    assert "# TYPE batkol_audio_dropped_milliseconds_total counter" in page
    assert "} 1750.0" in page


def counted(metrics: Metrics) -> dict[str, dict[str, float]]:
    """What was counted by recognizer, of each sample but the buckets."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            if "recognizer" in sample.labels and not sample.name.endswith("_bucket"):
                found.setdefault(sample.name, {})[sample.labels["recognizer"]] = sample.value
    return found


def test_what_a_recognizer_gave_and_what_it_failed_is_counted_under_its_name(metrics: Metrics) -> None:
    google, soniox = "google-v1/default", "soniox/stt-rt-v5"
    told = Told(metrics)
    observe = told.reporter.observe
    one, two, three = (utterance(index, recognizer=name) for index, name in enumerate((google, soniox, soniox)))
    for spoken, texts in ((one, 1), (two, 2), (three, 1)):
        observe(UtteranceOpened(spoken, DECISION))
        for text in ("הסיסמה", "הסיסמה שלי")[:texts]:
            observe(PartialReady(spoken, text, 0.9))
        observe(SpeechStopped(spoken))
    for spoken, source in ((one, Source.FINAL), (two, Source.INTERIM), (three, Source.SINGLE)):
        spoken.source = source
        observe(FinalReady(spoken, SPOKEN))
    two.recognizer = google  # which heard the same audio after a fault, and corrects the text
    observe(RevisionReady(two, SPOKEN + " ארבע"))
    observe(StepFailed(None, "streaming", "half_open", soniox))
    observe(StepFailed(three, "whisper", "deadline"))
    observe(StreamReplaced("half_open", 800, google, soniox))
    observe(AudioDropped(1500, soniox))

    assert counted(metrics) == {
        "batkol_first_partial_latency_seconds_count": {google: 1, soniox: 2},
        "batkol_first_partial_latency_seconds_sum": {google: 0.25, soniox: 0.5},
        "batkol_partial_interval_seconds_count": {soniox: 1},
        "batkol_partial_interval_seconds_sum": {soniox: pytest.approx(0, abs=20)},
        "batkol_partials_total": {google: 1, soniox: 3},
        "batkol_final_latency_seconds_count": {google: 1, soniox: 1, "": 1},
        "batkol_final_latency_seconds_sum": {google: 0.25, soniox: 0.25, "": 0.25},
        "batkol_finals_total": {google: 1, soniox: 1, "": 1},
        "batkol_finals_revised_total": {soniox: 1},
        "batkol_fallbacks_total": {soniox: 1, "": 1},
        "batkol_streams_reconnected_total": {soniox: 1},
        "batkol_audio_replayed_milliseconds_total": {google: 800},
        "batkol_audio_dropped_milliseconds_total": {soniox: 1500},
    }


def test_text_without_speech_and_text_that_nobody_confirms_are_marked(metrics: Metrics) -> None:
    told = Told(metrics)
    told.reporter.observe(FinalReady(utterance(end=24_000, source=Source.FINAL, voiced=False), SPOKEN))
    told.reporter.observe(FinalReady(utterance(1, end=24_000, source=Source.INTERIM, unconfirmed=True), SPOKEN))
    told.reporter.observe(FinalReady(finished(2), SPOKEN))

    finals = [event for event in told.events if isinstance(event, FinalText)]
    assert [(final.unvoiced, final.unconfirmed) for final in finals] == [(True, False), (False, True), (False, False)]


def test_a_mark_is_told_as_a_revision_to_the_same_text_and_counted_as_none(metrics: Metrics) -> None:
    told = Told(metrics)
    doubtful = utterance(end=24_000, source=Source.INTERIM, unconfirmed=True)
    told.reporter.observe(RevisionReady(doubtful, SPOKEN))
    doubtful.unconfirmed = False
    told.reporter.observe(RevisionReady(doubtful, ""))

    marked, corrected = told.events
    assert isinstance(marked, RevisedText)
    assert isinstance(corrected, RevisedText)
    assert (marked.text, marked.unconfirmed) == (SPOKEN, True)
    assert (corrected.text, corrected.unconfirmed) == ("", False)
    assert told.reporter.figures.revised == 1
    assert told.reporter.utterances[0].revised == ""


def test_what_the_internal_api_shows_is_bounded(metrics: Metrics) -> None:
    told = Told(metrics)
    for index in range(KEPT + 50):
        told.reporter.observe(UtteranceOpened(utterance(index), DECISION))

    assert len(told.reporter.utterances) == KEPT
    assert told.reporter.figures.utterances == KEPT + 50


def test_an_utterance_that_the_flag_was_not_asked_about_says_so(metrics: Metrics) -> None:
    told = Told(metrics)
    told.reporter.observe(UtteranceOpened(utterance(), None))

    (event,) = told.events
    assert isinstance(event, UtteranceStarted)
    assert (event.flag_variant, event.flag_reason) == (None, None)


def test_an_utterance_and_its_partials_say_who_hears_them_before_there_is_a_final(metrics: Metrics) -> None:
    told = Told(metrics)
    told.reporter.observe(UtteranceOpened(utterance(), DECISION, "first/a"))
    told.reporter.observe(PartialReady(utterance(recognizer="second/b"), "אני", 0.5))

    started, partial = told.events
    assert isinstance(started, UtteranceStarted)
    assert isinstance(partial, PartialText)
    assert (started.recognizer, partial.recognizer) == ("first/a", "second/b")


def test_a_final_nobody_could_make_out_has_no_words_and_no_source_but_none(metrics: Metrics) -> None:
    told = Told(metrics)
    told.reporter.observe(UtteranceOpened(utterance(), DECISION))
    told.reporter.observe(FinalReady(utterance(state=UtteranceState.DONE, end=24_000, source=Source.NONE), ""))

    final = told.events[-1]
    assert isinstance(final, FinalText)
    assert (final.text, final.words, final.source, final.first_partial_ms) == ("", 0, "none", None)


def test_the_end_of_speech_and_what_stands_meanwhile_are_told(metrics: Metrics) -> None:
    told = Told(metrics)
    said = utterance(end=24_000)
    told.reporter.observe(Tentative(said, 1, "הסיסמה", 23_200))
    told.reporter.observe(Withdrawn(said, 1, WithdrawalReason.TEXT))
    told.reporter.observe(SpeechStopped(said))
    told.reporter.observe(FinalReady(said, SPOKEN, 2))

    stood, fell, ended, final = told.events
    assert isinstance(stood, TentativeText)
    assert isinstance(fell, TentativeWithdrawn)
    assert isinstance(ended, UtteranceEnded)
    assert isinstance(final, FinalText)
    assert (stood.number, stood.text, stood.end_ms) == (1, "הסיסמה", 2900)
    assert (fell.number, fell.reason) == (1, "text")
    assert (ended.end_ms, final.confirms) == (3000, 2)
    assert {event.seq for event in told.events} == {1, 2, 3, 4}
    assert {stood.utterance_id, fell.utterance_id, ended.utterance_id} == {f"{IDENTITY.call_sid}-0"}


def test_what_is_raw_stays_in_the_process_and_writes_no_line(metrics: Metrics) -> None:
    told = Told(metrics)
    with capture_logs() as logs:
        for event in (
            Interim(utterance(), SPOKEN, 20_000, settled=False),
            Quiet(utterance(), 20_000),
            SpeechResumed(utterance(), 22_000),
            SpeechLasted(utterance(), 22_000),
        ):
            told.reporter.observe(event)

    assert (told.events, logs) == ([], [])
