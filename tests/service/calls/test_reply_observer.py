"""One call's replies, told by hand: what the metrics, the spans, the bus and the log make of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_trace_id
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from batkol.calls.reply_observer import ReplyObserver
from batkol.calls.reporter import Reporter
from batkol.conversation.actions import StockPhrase, Unsaid
from batkol.conversation.events import (
    AnnouncementUnsaid,
    AttemptBegan,
    AttemptDropped,
    AttemptFailed,
    ConversationEvent,
    FillerSaid,
    FirstSoundWritten,
    ReplyContinued,
    ReplyCut,
    ReplyLatency,
    ReplySettled,
    SentenceBegan,
    ToolEnded,
    ToolOutcome,
)
from batkol.events.bus import Bus
from batkol.events.events import Event, ReplyEnded, ReplyFailed, ReplyStarted, ToolCalled
from batkol.events.identity import Identity
from batkol.live.tuning import Tuning
from batkol.speech.utterance import Mode, Source, Utterance
from batkol.telemetry.metrics import Metrics
from batkol.tracing.call import CallTrace
from batkol.tracing.tracing import Tracing
from batkol.transcription.events import FinalReady, PartialReady, UtteranceOpened
from support.telemetry.traces import environment

IDENTITY = Identity(
    call_sid="CA" + "7" * 32, stream_sid="MZ" + "7" * 32, account_sid="AC1", from_="+972541234567", to="+97231234567"
)
SPLIT = ReplyLatency(total=0.74, text=0.21, first_token=0.33, first_piece=0.02, first_sound=0.12, commit=0.06)
CALLER, INTENDED, HEARD = "אני רוצה פגישה", "בשמחה, מתי נוח לכם", "בשמחה"


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    metrics = Metrics()
    metrics.replies.begin_at_zero(kinds=("answer", *StockPhrase), failures=[("answerer", "stalled")])
    yield metrics
    metrics.close()


class Seen:
    """A call whose replies are observed."""

    def __init__(self, metrics: Metrics, made: Tracing, exporter: InMemorySpanExporter) -> None:
        self.metrics = metrics
        self.made = made
        self.exporter = exporter
        self.trace: CallTrace = made.call(IDENTITY, since=lambda _: 0.1, tuning=Tuning, model=lambda: "default")
        log = structlog.get_logger().bind(call_sid=IDENTITY.call_sid)
        self.bus = Bus()
        reporter = Reporter(
            IDENTITY,
            bus=self.bus,
            metrics=metrics,
            log=log,
            since=lambda _: 0.1,
            log_transcripts=False,
            traces=self.trace,
        )
        self._observer = ReplyObserver(reporter.replies.observe, metrics, self.trace)

    def tell(self, *events: ConversationEvent) -> None:
        for event in events:
            self._observer.observe(event)

    def speak(self, index: int) -> str:
        """Have the caller say an utterance; return the id of its trace."""
        utterance = Utterance(index=index, begin=0, speech_at=0, mode=Mode.STREAMING)
        self.trace.observe(UtteranceOpened(utterance, None))
        self.trace.observe(PartialReady(utterance, CALLER, 0.9))
        utterance.end, utterance.source, utterance.text = 8000, Source.FINAL, CALLER
        self.trace.observe(FinalReady(utterance, CALLER))
        root = self.trace.span_of(utterance)
        assert root is not None
        return format_trace_id(root.trace_id)

    def value(self, name: str, **labels: str) -> float:
        families = text_string_to_metric_families(self.metrics.render().decode())
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def exemplars(self) -> set[str]:
        families = openmetrics(self.metrics.render_openmetrics().decode())  # type: ignore[no-untyped-call]
        return {
            sample.exemplar.labels["trace_id"]
            for family in families
            for sample in family.samples
            if sample.exemplar and sample.name.startswith("batkol_reply_")
        }

    async def spans(self, name: str) -> list[ReadableSpan]:
        self.trace.close(reason="stop", close_code=1000, gap_ms=0)
        await self.made.flush()
        return [span for span in self.exporter.get_finished_spans() if span.name == name]


@asynccontextmanager
async def tracing(exporter: InMemorySpanExporter) -> AsyncIterator[Tracing]:
    with environment():
        made = Tracing(exporters=[exporter])
        yield made
        await made.close()


@pytest.fixture
async def seen(metrics: Metrics) -> AsyncIterator[Seen]:
    exporter = InMemorySpanExporter()
    async with tracing(exporter) as made:
        yield Seen(metrics, made, exporter)


def began(attempt: int, utterance: int = 0, *, speculative: bool = True) -> AttemptBegan:
    return AttemptBegan(attempt, utterance, speculative, "openai", "espeak")


def started(
    attempt: int, turn: int = 1, phrase: StockPhrase | None = None, latency: ReplyLatency | None = SPLIT
) -> FirstSoundWritten:
    return FirstSoundWritten(f"r{turn}", turn, attempt, phrase, latency if phrase is None else None)


def ended(turn: int = 1, *, interrupted: bool = False) -> ReplySettled:
    return ReplySettled(f"r{turn}", turn, INTENDED, HEARD if interrupted else INTENDED, interrupted)


async def test_each_attempt_has_one_outcome(seen: Seen) -> None:
    seen.speak(0)
    seen.tell(began(1), AttemptDropped(1, 0.2), began(2), AttemptFailed(2, "answerer", "stalled"))
    seen.tell(began(3, speculative=False), started(3), ended())
    seen.tell(began(4), AttemptFailed(4, "answerer", "cut_off", has_sound=True), started(4, 2), ended(2))
    seen.tell(began(5), started(5, 3), AttemptFailed(5, "voice", "cut_off", "r3", 3, has_sound=True), ended(3))

    outcomes = {
        (outcome, speculative): seen.value("batkol_reply_attempts_total", outcome=outcome, speculative=speculative)
        for outcome in ("heard", "dropped", "failed")
        for speculative in ("true", "false")
    }
    assert outcomes == {
        ("heard", "true"): 2,
        ("heard", "false"): 1,
        ("dropped", "true"): 1,
        ("dropped", "false"): 0,
        ("failed", "true"): 1,
        ("failed", "false"): 0,
    }
    assert seen.value("batkol_reply_failures_total") == 3
    assert seen.value("batkol_reply_failures_total", part="answerer", reason="stalled") == 1


async def test_latency_waste_and_interruptions_say_who_answered_and_who_spoke(seen: Seen) -> None:
    seen.speak(0)
    fast = AttemptBegan(1, 0, True, "openai", "espeak", "fast", "warm")
    seen.tell(
        fast, AttemptDropped(1, 0.2), msgspec.structs.replace(fast, attempt=2), started(2), ReplyCut("r1", 1, HEARD)
    )
    seen.tell(ended(interrupted=True), began(3), started(3, 2), ReplyCut("r2", 2, HEARD), ReplyContinued("r2", 2, 0))
    seen.tell(ended(2), started(4, 3, StockPhrase.APOLOGY), ReplyCut("r3", 3, HEARD), ended(3, interrupted=True))

    chosen = {"answerer_variant": "fast", "voice_variant": "warm"}
    default = {"answerer_variant": "default", "voice_variant": "default"}
    assert seen.value("batkol_reply_attempts_total", outcome="dropped", **chosen) == 1
    assert seen.value("batkol_reply_attempts_total", outcome="heard", **chosen) == 1
    assert seen.value("batkol_reply_latency_seconds_count", **chosen) == 1
    assert seen.value("batkol_reply_first_token_seconds_count", answerer_variant="fast") == 1
    assert seen.value("batkol_reply_first_sound_seconds_count", voice_variant="warm") == 1
    assert seen.value("batkol_reply_interruptions_total", kind="real", **chosen) == 1
    assert seen.value("batkol_reply_interruptions_total", kind="resumed", **default) == 1
    assert seen.value("batkol_reply_interruptions_total", kind="real", **default) == 0
    assert seen.value("batkol_reply_interruptions_total", kind="real") == 2, "a phrase is no answerer's"


async def test_an_attempt_that_the_budget_refused_is_neither_an_attempt_nor_a_failure(seen: Seen) -> None:
    seen.tell(AttemptFailed(1, "budget", "spent"))

    assert seen.value("batkol_reply_speculation_refused_total") == 1
    assert seen.value("batkol_reply_attempts_total") == seen.value("batkol_reply_failures_total") == 0


async def test_every_kind_of_reply_is_counted_and_only_answers_have_a_latency(seen: Seen) -> None:
    for turn, phrase in enumerate((phrase for phrase in StockPhrase if phrase is not StockPhrase.FILLER), 1):
        seen.tell(started(turn, turn, phrase), ended(turn))
    seen.tell(FillerSaid(7), began(7), started(7, 7), ended(7))

    kinds = [*(phrase.value for phrase in StockPhrase), "answer"]
    assert {kind: seen.value("batkol_replies_total", kind=kind) for kind in kinds} == dict.fromkeys(kinds, 1)
    assert seen.value("batkol_reply_latency_seconds_count") == 1
    assert seen.value("batkol_reply_first_token_seconds_sum") == 0.33


async def told(seen: Seen, *events: ConversationEvent) -> list[Event]:
    """Return what subscribers hear of these."""
    with seen.bus.subscribe() as subscription:
        seen.tell(*events)
        seen.bus.close()
        return [event async for event in subscription]


def announced(turn: int = 1) -> FirstSoundWritten:
    return FirstSoundWritten("a1", turn, 1, None, None, announced=True)


async def test_an_announcement_is_a_reply_of_its_own_kind_without_a_latency(seen: Seen) -> None:
    await asyncio.sleep(0.002)
    events = await told(seen, announced(), ReplySettled("a1", 1, INTENDED, INTENDED, interrupted=False))

    assert [type(event) for event in events] == [ReplyStarted, ReplyEnded]
    assert seen.value("batkol_replies_total", kind="announcement") == 1
    assert seen.value("batkol_replies_total", kind="answer") == 0
    assert seen.value("batkol_reply_latency_seconds_count") == 0
    (span,) = await seen.spans("agent")
    assert dict(span.attributes or {})["batkol.reply.kind"] == "announcement"
    assert span.start_time == span.end_time, "nobody waited for it, whenever the call began"


async def test_an_announcement_whose_voice_breaks_off_ends_once_and_says_why(seen: Seen) -> None:
    broke = AttemptFailed(1, "voice", "cut_off", "a1", 1, has_sound=True, announced=True)
    settled = ReplySettled("a1", 1, INTENDED, HEARD, interrupted=False, fault="voice: cut_off")
    with capture_logs() as lines:
        events = await told(seen, announced(), broke, settled)

    assert [type(event) for event in events] == [ReplyStarted, ReplyEnded]
    assert isinstance(ended := events[-1], ReplyEnded)
    assert ended.fault == "voice: cut_off"
    assert seen.value("batkol_reply_failures_total", part="voice", reason="cut_off") == 1
    assert lines[0]["event"] == "[AGENT] the voice failed; the caller hears a part of the announcement"


async def test_an_announcement_that_is_not_heard_fails_under_its_id(seen: Seen) -> None:
    silent = AttemptFailed(0, "voice", "refused", "a1", has_sound=False, announced=True)
    events = await told(seen, silent, AnnouncementUnsaid("a2", Unsaid.CLEARED))

    assert [
        (event.reply_id, event.turn, event.part, event.reason) for event in events if isinstance(event, ReplyFailed)
    ] == [("a1", 0, "voice", "refused"), ("a2", 0, "line", "cleared")]
    assert seen.value("batkol_reply_failures_total") == 1, "what the API or the caller silenced is no failure"


async def test_the_end_of_a_reply_says_who_made_it_and_how_often_an_answerer_was_asked(seen: Seen) -> None:
    """A filler and a greeting answer nothing; an apology stands for an answer."""
    asked = AttemptBegan(2, 0, speculative=True, answerer="big", voice="he", answerer_variant="b", voice_variant="v")
    settled = ReplySettled("r2", 2, INTENDED, HEARD, interrupted=True, prompt_tokens=120, completion_tokens=9)
    events = await told(
        seen,
        *(started(0, 1, StockPhrase.GREETING), ended(1)),
        *(began(1), AttemptDropped(1, 0.2), asked, FillerSaid(2), started(2, 2), settled),
        *(began(3), AttemptFailed(3, "answerer", "stalled"), started(4, 3, StockPhrase.APOLOGY), ended(3)),
        *(announced(4), ReplySettled("a1", 4, INTENDED, INTENDED, interrupted=False)),
    )
    ends = [event for event in events if isinstance(event, ReplyEnded)]

    assert [(end.kind, end.answerer, end.voice, end.attempts) for end in ends] == [
        ("phrase", "", "", 0),
        ("answer", "big", "he", 2),
        ("phrase", "", "", 1),
        ("announcement", "", "", 0),
    ]
    assert [(end.answerer_variant, end.voice_variant) for end in ends[:2]] == [("", ""), ("b", "v")]
    assert [(end.prompt_tokens, end.completion_tokens) for end in ends[:2]] == [(0, 0), (120, 9)]


async def test_of_several_answerers_the_end_of_a_reply_names_the_one_that_answered(seen: Seen) -> None:
    hedged = AttemptBegan(1, 0, speculative=False, answerer="hedged", voice="he", answerer_variant="both")
    sounded = msgspec.structs.replace(started(1), answered_by="quick")
    (end,) = [event for event in await told(seen, hedged, sounded, ended()) if isinstance(event, ReplyEnded)]

    (llm,) = await seen.spans("llm")
    assert (end.answerer, end.answerer_variant) == ("quick", "both")
    assert dict(llm.attributes or {})["batkol.answerer"] == "quick"


@pytest.mark.parametrize(
    ("voices", "named"),
    [((), "he"), (("",), "he"), (("", "espeak"), "he, espeak"), (("espeak",), "espeak"), (("", "he"), "he, he")],
)
async def test_of_a_voice_and_the_one_behind_it_the_end_of_a_reply_names_those_that_spoke(
    seen: Seen, voices: tuple[str, ...], named: str
) -> None:
    asked = AttemptBegan(1, 0, speculative=False, answerer="big", voice="he")
    settled = msgspec.structs.replace(ended(), voices=voices)
    (end,) = [event for event in await told(seen, asked, started(1), settled) if isinstance(event, ReplyEnded)]

    assert end.voice == named


async def test_an_interruption_is_real_when_its_reply_ends_and_resumed_when_it_goes_on(seen: Seen) -> None:
    seen.tell(began(1), started(1), ReplyCut("r1", 1, HEARD), ReplyContinued("r1", 1, 0))
    assert seen.value("batkol_reply_interruptions_total", kind="real") == 0
    seen.tell(ReplyCut("r1", 1, HEARD), ended(interrupted=True))
    seen.tell(began(2), started(2, 2), ended(2))

    assert seen.value("batkol_reply_interruptions_total", kind="resumed") == 1
    assert seen.value("batkol_reply_interruptions_total", kind="real") == 1


async def test_a_reply_that_the_end_of_the_call_cut_was_not_interrupted_by_the_caller(seen: Seen) -> None:
    seen.tell(began(1), started(1), ended(interrupted=True))

    assert seen.value("batkol_reply_interruptions_total") == 0
    (agent,) = await seen.spans("agent")
    assert dict(agent.attributes or {})["batkol.reply.interrupted"] is False


async def test_latencies_lead_to_the_trace_of_the_newest_utterance_and_the_spans_are_in_it(seen: Seen) -> None:
    first, newest = seen.speak(0), seen.speak(1)
    seen.tell(began(1, 0), AttemptDropped(1, 0.2), began(2, 1))
    for index in range(2, 11):
        seen.speak(index)  # the trace of the first two is forgotten; the attempt knows its own
    seen.tell(started(2), SentenceBegan("r1", 1, 0, INTENDED, 0), ended())

    assert seen.exemplars() == {newest}
    assert first != newest
    agent, llm, tts = [await seen.spans(name) for name in ("agent", "llm", "tts")]
    assert [len(each) for each in (agent, llm, tts)] == [1, 1, 1]
    for span in (*agent, *llm, *tts):
        assert span.context is not None
        assert format_trace_id(span.context.trace_id) == newest


async def test_the_spans_of_a_call_that_ends_in_mid_answer_are_there(seen: Seen) -> None:
    """The conversation settles what is open before the trace is closed; what it did not settle is closed by that."""
    seen.speak(0)
    seen.tell(began(1), started(1), began(2))

    assert [dict(span.attributes or {})["batkol.reply.outcome"] for span in await seen.spans("agent")] == [
        "heard",
        "dropped",
    ]


async def test_nothing_of_what_was_said_is_in_log_metrics_or_spans(seen: Seen) -> None:
    with capture_logs() as lines:
        seen.speak(0)
        seen.tell(began(1), AttemptDropped(1, 0.2), began(2), AttemptFailed(2, "answerer", "empty", first_piece=0.1))
        seen.tell(began(3), FillerSaid(1), started(3), SentenceBegan("r1", 1, 0, INTENDED, 0))
        seen.tell(ReplyCut("r1", 1, HEARD), ended(interrupted=True), started(4, 2, StockPhrase.APOLOGY))
        spans = [each for name in ("utterance", "agent", "llm", "tts", "call") for each in await seen.spans(name)]
    page = seen.metrics.render().decode() + seen.metrics.render_openmetrics().decode()
    told = str(lines) + page + str([(span.name, dict(span.attributes or {}), span.events) for span in spans])

    assert len(spans) == 1 + 3 + 2 + 1 + 1
    assert [word for word in f"{CALLER} {INTENDED}".split() if word in told] == []
    assert IDENTITY.from_[1:] not in told
    assert "7777" not in page


async def test_a_call_without_an_agent_has_no_spans_of_replies(seen: Seen) -> None:
    trace = seen.made.call(IDENTITY, since=lambda _: 0.1, tuning=Tuning, model=lambda: "default")
    trace.close(reason="stop", close_code=1000, gap_ms=0)

    assert trace._replies is None
    assert await seen.spans("agent") == []


async def test_what_is_over_is_forgotten(seen: Seen) -> None:
    for number in range(1, 100):
        seen.tell(began(3 * number), AttemptDropped(3 * number, 0.1))
        seen.tell(began(3 * number + 1), AttemptFailed(3 * number + 1, "voice", "deadline"))
        seen.tell(began(3 * number + 2), started(3 * number + 2, number), ReplyCut(f"r{number}", number, HEARD))
        seen.tell(ended(number, interrupted=True))
        await asyncio.sleep(0)

    spans = seen._observer._spans
    assert (seen._observer._asked, seen._observer._interrupted) == ({}, set())
    assert (spans._attempts, spans._heard, len(spans._past.events)) == ({}, {}, 0)


def tool(outcome: ToolOutcome = ToolOutcome.DONE, **about: Any) -> ToolEnded:
    named = {"turn": 1, "attempt": 1, "name": "book", "arguments": f'{{"for": "{CALLER}"}}', "took_s": 0.2}
    return ToolEnded(**{**named, **about}, outcome=outcome)


async def test_tool_calls_are_published_counted_and_logged_without_their_arguments(seen: Seen) -> None:
    with seen.bus.subscribe() as subscription, capture_logs() as logs:
        seen.tell(began(1), tool())
        seen.tell(tool(ToolOutcome.REFUSED, reason="arguments"), tool(ToolOutcome.TOO_SLOW, took_s=2.0))
        events = [event for event in [await anext(subscription) for _ in range(3)] if isinstance(event, ToolCalled)]

    assert [(event.turn, event.name, event.outcome, event.duration_ms) for event in events] == [
        (1, "book", "done", 200.0), (1, "book", "refused", 200.0), (1, "book", "too_slow", 2000.0),
    ]  # fmt: skip
    assert events[0].arguments == f'{{"for": "{CALLER}"}}'
    for outcome in ("done", "refused", "too_slow"):
        assert seen.value("batkol_tool_calls_total", tool="book", outcome=outcome) == 1
    assert seen.value("batkol_tool_duration_seconds_count") == 2
    assert [line["log_level"] for line in logs] == ["info", "warning", "warning"]
    assert CALLER not in str(logs)


async def test_the_span_of_a_tool_is_under_the_reply_and_has_no_arguments(seen: Seen) -> None:
    trace_id = seen.speak(0)
    seen.tell(began(1), tool())
    seen.tell(started(1), tool(ToolOutcome.FAILED, reason="http_5xx", reply_id="r1"))
    seen.tell(ended())

    before, after = await seen.spans("tool")
    (reply,) = [span for span in seen.exporter.get_finished_spans() if span.name == "agent"]
    assert reply.context is not None
    for span in (before, after):
        assert span.parent is not None
        assert span.parent.span_id == reply.context.span_id
        assert span.attributes is not None
        assert span.attributes["gen_ai.tool.name"] == "book"
        assert CALLER not in str(dict(span.attributes))
    assert format_trace_id(reply.context.trace_id) == trace_id
    assert (before.attributes or {})["gen_ai.operation.name"] == "execute_tool"
    assert (after.attributes or {})["error.type"] == "http_5xx"


async def test_the_span_of_a_tool_whose_attempt_gave_no_sound_is_kept(seen: Seen) -> None:
    seen.speak(0)
    seen.tell(began(1), tool(), AttemptDropped(1, 0.5))
    seen.tell(began(2), tool(attempt=2), AttemptFailed(2, "answerer", "empty"))
    seen.tell(tool(attempt=1))  # which was begun for the first one

    assert len(await seen.spans("tool")) == 3
