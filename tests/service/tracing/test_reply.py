"""The spans of one call's replies, told by hand; the clock stands where the test puts it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, TraceFlags

from batkol.conversation.events import ReplyLatency
from batkol.events.identity import Identity
from batkol.live.tuning import Tuning
from batkol.tracing.facts import CallFacts
from batkol.tracing.peer import Peer
from batkol.tracing.reply import KEPT, ReplyTraces
from batkol.tracing.reply_spans import AttemptAsked, FirstSound, ReplyFault
from batkol.tracing.tracing import Tracing
from support.telemetry.traces import environment

MS = 10**6
SPLIT = ReplyLatency(total=0.74, text=0.21, first_token=0.33, first_piece=0.02, first_sound=0.12, commit=0.06)
CALL = SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
UNSAMPLED = SpanContext(2, 2, is_remote=False, trace_flags=TraceFlags(0))
INTENDED, HEARD = "שלום, במה אפשר לעזור היום", "שלום, במה"


def root(utterance: int) -> SpanContext:
    number = 100 + utterance
    return SpanContext(number, number, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


@dataclass
class Told:
    """The replies of one call, and the spans that were written. `at` in milliseconds."""

    made: Tracing
    exporter: InMemorySpanExporter
    at: int = 10_000
    transcripts: bool = False
    answerer: Peer = field(default_factory=Peer)
    roots: dict[int, SpanContext] = field(default_factory=lambda: {index: root(index) for index in range(4)})
    replies: ReplyTraces = field(init=False)

    def __post_init__(self) -> None:
        facts = CallFacts(
            identity=Identity(call_sid="CA1", stream_sid="MZ1", account_sid="AC1", agent="reception"),
            tuning=Tuning,
            model=lambda: "default",
            server={},
            flags_provider="live",
            transcripts=self.transcripts,
            answerers={"default": self.answerer.attributes},
        )
        self.replies = ReplyTraces(
            self.made._writer, facts, call=CALL, now=lambda: self.at * MS, root_of=self.roots.get
        )

    def ask(self, attempt: int, utterance: int = 0, *, speculative: bool = True) -> None:
        self.replies.asked(AttemptAsked(attempt, utterance, speculative, "openai", "espeak"))

    def sound(self, attempt: int, turn: int = 1, kind: str = "answer", split: ReplyLatency | None = SPLIT) -> str:
        reply_id = f"MZ1-r{turn}"
        answers = kind in {"answer", "apology", "repeat"}
        self.replies.sounded(FirstSound(reply_id, turn, attempt, kind, answers, None if kind != "answer" else split))
        return reply_id

    async def spans(self, name: str = "") -> list[ReadableSpan]:
        await self.made.flush()
        return [span for span in self.exporter.get_finished_spans() if span.name.startswith(name)]


@pytest.fixture
async def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
async def made(exporter: InMemorySpanExporter) -> AsyncIterator[Tracing]:
    with environment():
        made = Tracing(exporters=[exporter])
        yield made
        await made.close()


@pytest.fixture
def told(made: Tracing, exporter: InMemorySpanExporter) -> Told:
    return Told(made, exporter)


def times(span: ReadableSpan) -> tuple[float, float]:
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time / MS, span.end_time / MS


def said(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def parent(span: ReadableSpan) -> tuple[int, int]:
    assert span.parent is not None
    return span.parent.trace_id, span.parent.span_id


def ids(span: ReadableSpan) -> tuple[int, int]:
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


async def test_an_answer_is_three_spans_that_split_the_wait_in_the_trace_of_the_utterance(told: Told) -> None:
    told.ask(1, utterance=2)
    told.at += 530
    told.replies.ended(told.sound(1), INTENDED, INTENDED)

    (agent,), (llm,), (tts,) = await told.spans("agent"), await told.spans("llm"), await told.spans("tts")
    assert len(await told.spans()) == 3
    assert parent(agent) == (102, 102)
    assert parent(llm) == parent(tts) == ids(agent)
    assert times(agent) == (10_530 - 740, 10_530)
    assert times(llm) == (10_000, 10_350), "from the request to the first piece"
    assert times(tts) == (10_350, 10_470), "from there to the voice's sound, which waits for the commit"
    assert {span.status.status_code for span in (agent, llm, tts)} == {StatusCode.UNSET}


async def test_the_attributes_say_what_was_asked_of_whom_and_what_came_of_it(
    made: Tracing, exporter: InMemorySpanExporter
) -> None:
    told = Told(made, exporter, answerer=Peer("https://llm.example:8443/v1", "gpt-4.1"))
    told.ask(1, utterance=2)
    told.replies.ended(told.sound(1), INTENDED, HEARD)

    (agent,), (llm,), (tts,) = await told.spans("agent"), await told.spans("llm"), await told.spans("tts")
    assert said(agent) == {
        "batkol.call.sid": "CA1",
        "batkol.stream.sid": "MZ1",
        "batkol.agent": "reception",
        "gen_ai.agent.name": "reception",
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.conversation.id": "CA1",
        "batkol.utterance.id": "CA1-2",
        "batkol.reply.id": "MZ1-r1",
        "batkol.reply.turn": 1,
        "batkol.reply.kind": "answer",
        "batkol.reply.outcome": "heard",
        "batkol.reply.attempt": 1,
        "batkol.reply.speculative": True,
        "batkol.reply.attempts_dropped": 0,
        "batkol.reply.latency_ms": 740,
        "batkol.reply.text_ms": 210,
        "batkol.reply.first_token_ms": 330,
        "batkol.reply.first_piece_ms": 20,
        "batkol.reply.first_sound_ms": 120,
        "batkol.reply.commit_ms": 60,
        "batkol.reply.interrupted": False,
        "batkol.reply.resumed": 0,
        "batkol.reply.words": 5,
        "batkol.reply.words_heard": 2,
    }
    assert said(llm) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4.1",
        "gen_ai.request.stream": True,
        "gen_ai.response.time_to_first_chunk": 0.33,
        "batkol.answerer.variant": "default",
        "server.address": "llm.example",
        "server.port": 8443,
        "batkol.answerer": "openai",
    }
    assert said(tts) == {
        "gen_ai.operation.name": "text_to_speech",
        "batkol.voice": "espeak",
        "batkol.voice.variant": "default",
    }
    assert (llm.kind, tts.kind) == (SpanKind.CLIENT, SpanKind.INTERNAL), "the voice is in this process"


async def test_attempts_that_were_thrown_away_are_events_of_the_reply_that_follows(told: Told) -> None:
    told.ask(1, utterance=0)
    told.at += 200
    told.replies.dropped(1, 0.2)
    told.replies.refused()
    told.ask(2, utterance=1)
    told.replies.filler()
    told.replies.ended(told.sound(2), INTENDED, INTENDED)
    told.ask(3, utterance=2)
    told.replies.ended(told.sound(3, turn=2), INTENDED, INTENDED)

    first, second = await told.spans("agent")
    assert [event.name for event in first.events] == ["attempt.dropped", "speculation.refused", "filler.said"]
    assert first.events[0].timestamp == 10_200 * MS
    assert dict(first.events[0].attributes or {}) == {
        "batkol.reply.attempt": 1,
        "batkol.reply.speculative": True,
        "batkol.utterance.id": "CA1-0",
        "batkol.attempt.asked_ms": 200,
    }
    assert parent(first) == (101, 101), "the newest utterance of the turn"
    assert [said(span)["batkol.reply.attempts_dropped"] for span in (first, second)] == [1, 0]
    assert second.events == ()
    assert len(await told.spans("llm")) == 2, "of the attempts that were heard"


async def test_the_events_between_two_replies_are_bounded_and_their_count_is_not(told: Told) -> None:
    for number in range(1, KEPT + 11):
        told.ask(number)
        told.replies.dropped(number, 0.1)
    told.ask(99)
    told.replies.ended(told.sound(99), INTENDED, INTENDED)

    (agent,) = await told.spans("agent")
    assert said(agent)["batkol.reply.attempts_dropped"] == KEPT + 10
    assert [dict(event.attributes or {})["batkol.reply.attempt"] for event in agent.events] == [*range(11, KEPT + 11)]


async def test_an_attempt_that_gives_no_sound_is_an_error_of_its_own_from_the_asking_on(told: Told) -> None:
    told.ask(1)
    told.at += 800
    told.replies.failed(1, ReplyFault("answerer", "no_first_token"), has_sound=False, reply_id="")
    told.ask(2, speculative=False)
    told.replies.ended(told.sound(2), INTENDED, INTENDED)

    (failed, heard), (llm, _) = await told.spans("agent"), await told.spans("llm")
    assert times(failed) == times(llm) == (10_000, 10_800)
    assert parent(llm) == ids(failed)
    for span in (failed, llm):
        assert (span.status.status_code, span.status.description) == (
            StatusCode.ERROR,
            "the answerer failed (no_first_token)",
        )
        assert said(span)["error.type"] == "no_first_token"
    assert said(failed)["batkol.reply.outcome"] == "failed"
    assert said(failed)["batkol.reply.failed_part"] == "answerer"
    assert (parent(failed), parent(heard)) == ((100, 100), (100, 100)), "both in the trace of the utterance"
    assert len(await told.spans("tts")) == 1


async def test_a_voice_that_gives_no_sound_fails_after_the_answerer_did_its_part(told: Told) -> None:
    told.ask(1)
    told.at += 900
    told.replies.failed(1, ReplyFault("voice", "deadline", first_piece=0.35), has_sound=False, reply_id="")

    (agent,), (llm,), (tts,) = await told.spans("agent"), await told.spans("llm"), await told.spans("tts")
    assert (times(llm), times(tts)) == ((10_000, 10_350), (10_350, 10_900))
    assert [span.status.is_ok for span in (agent, llm, tts)] == [False, True, False]


async def test_a_voice_that_fails_before_it_had_text_has_the_time_from_the_asking(told: Told) -> None:
    told.ask(1)
    told.at += 100
    told.replies.failed(1, ReplyFault("voice", "refused"), has_sound=False, reply_id="")

    (tts,) = await told.spans("tts")
    assert times(tts) == (10_000, 10_100)
    assert await told.spans("llm") == []


@pytest.mark.parametrize("heard_before", [False, True])
async def test_an_answer_that_broke_off_is_heard_and_an_error(told: Told, *, heard_before: bool) -> None:
    fault = ReplyFault("answerer", "cut_off", first_piece=0.2)
    told.ask(1)
    if not heard_before:
        told.replies.failed(1, fault, has_sound=True, reply_id="")
        assert await told.spans() == []
    reply_id = told.sound(1)
    if heard_before:
        told.replies.failed(1, fault, has_sound=True, reply_id=reply_id)
    told.replies.ended(reply_id, INTENDED, INTENDED)

    (agent,) = await told.spans("agent")
    assert said(agent)["batkol.reply.outcome"] == "heard"
    assert said(agent)["error.type"] == "cut_off"
    assert not agent.status.is_ok


async def test_an_attempt_that_broke_off_and_was_thrown_away_is_no_error(told: Told) -> None:
    told.ask(1)
    told.replies.failed(1, ReplyFault("answerer", "cut_off"), has_sound=True, reply_id="")
    told.replies.dropped(1, 0.5)
    told.replies.close()

    (agent,) = await told.spans()
    assert said(agent)["batkol.reply.outcome"] == "dropped"
    assert agent.status.is_ok


async def test_an_interruption_and_a_resumption_are_told_of_their_reply(told: Told) -> None:
    told.ask(1)
    first = told.sound(1)
    told.replies.interrupted(first)
    told.replies.resumed(first)
    told.replies.interrupted(first)
    told.ask(2)
    second = told.sound(2, turn=2)
    told.replies.interrupted(second)
    told.replies.resumed(second)
    told.replies.ended(first, INTENDED, HEARD)
    told.replies.ended(second, INTENDED, INTENDED)

    assert [
        (said(span)["batkol.reply.interrupted"], said(span)["batkol.reply.resumed"])
        for span in await told.spans("agent")
    ] == [(True, 1), (False, 1)]


async def test_a_greeting_is_under_the_call_from_its_start_and_an_idle_prompt_a_moment(told: Told) -> None:
    told.at += 300
    told.replies.ended(told.sound(1, kind="greeting"), INTENDED, INTENDED)
    told.at += 10_000
    told.replies.ended(told.sound(2, turn=2, kind="idle"), INTENDED, INTENDED)

    greeting, idle = await told.spans()
    assert (greeting.name, said(greeting)["batkol.reply.kind"]) == ("agent", "greeting")
    assert (parent(greeting), parent(idle)) == ((1, 1), (1, 1))
    assert times(greeting) == (10_000, 10_300)
    assert times(idle) == (20_300, 20_300)
    assert "batkol.reply.latency_ms" not in said(greeting)


async def test_an_apology_is_in_the_trace_of_what_it_apologizes_for(told: Told) -> None:
    told.ask(1, utterance=3)
    told.at += 3000
    told.replies.dropped(1, 3.0)
    told.replies.ended(told.sound(2, kind="apology"), INTENDED, INTENDED)

    (agent,) = await told.spans()
    assert parent(agent) == (103, 103)
    assert times(agent) == (10_000, 13_000), "since the answerer was asked"
    assert said(agent)["batkol.reply.attempts_dropped"] == 1


async def test_an_idle_prompt_does_not_answer_what_was_thrown_away_before(told: Told) -> None:
    told.ask(1)
    told.replies.dropped(1, 0.2)
    told.at += 10_000
    told.replies.ended(told.sound(2, turn=2, kind="idle"), INTENDED, INTENDED)

    (agent,) = await told.spans()
    assert parent(agent) == (1, 1)
    assert [event.name for event in agent.events] == ["attempt.dropped"]


async def test_a_plea_to_repeat_that_no_attempt_preceded_is_under_the_call(told: Told) -> None:
    told.replies.ended(told.sound(1, kind="repeat"), INTENDED, INTENDED)

    (agent,) = await told.spans()
    assert parent(agent) == (1, 1)


async def test_the_end_of_the_call_ends_what_is_open(told: Told) -> None:
    told.ask(1)
    told.sound(1)
    told.ask(2, utterance=1)
    told.at += 400
    told.replies.dropped(2, 0.4)
    told.ask(3, utterance=2)
    told.at += 100
    told.replies.close()
    told.replies.close()

    heard, unheard = await told.spans("agent")
    assert said(heard)["batkol.reply.outcome"] == "heard"
    assert said(unheard)["batkol.reply.outcome"] == "dropped"
    assert said(unheard)["batkol.reply.attempts_dropped"] == 2
    assert parent(unheard) == (102, 102)
    assert times(unheard) == (10_000, 10_500)


async def test_an_utterance_that_nobody_knows_any_more_leaves_its_reply_to_the_call(told: Told) -> None:
    told.ask(1, utterance=50)
    told.replies.ended(told.sound(1), INTENDED, INTENDED)

    (agent,) = await told.spans("agent")
    assert parent(agent) == (1, 1)


async def test_a_trace_is_whole_or_not_there(made: Tracing, exporter: InMemorySpanExporter) -> None:
    told = Told(made, exporter, roots={0: UNSAMPLED})
    told.ask(1)
    told.replies.ended(told.sound(1), INTENDED, INTENDED)
    told.ask(2)
    told.replies.failed(2, ReplyFault("answerer", "unavailable"), has_sound=False, reply_id="")

    assert await told.spans() == []


async def test_an_answer_to_words_that_came_before_the_last_sample_begins_with_its_request(told: Told) -> None:
    """Asked in a pause; the caller breathed, so the last sample came after it."""
    told.ask(1)
    split = ReplyLatency(total=0.3, text=-0.2, first_token=0.3, first_piece=0.0, first_sound=0.1, commit=0.1)
    told.replies.ended(told.sound(1, split=split), INTENDED, INTENDED)

    (agent,), (llm,) = await told.spans("agent"), await told.spans("llm")
    assert times(agent) == (9500, 10_000)
    assert times(llm) == (9500, 9800)


@pytest.mark.parametrize("allowed", [False, True])
async def test_the_words_are_there_only_where_transcripts_are_allowed(
    made: Tracing, exporter: InMemorySpanExporter, *, allowed: bool
) -> None:
    told = Told(made, exporter, transcripts=allowed)
    told.ask(1)
    told.replies.dropped(1, 0.1)
    told.ask(2)
    told.replies.failed(2, ReplyFault("voice", "deadline"), has_sound=False, reply_id="")
    told.ask(3)
    reply_id = told.sound(3)
    told.replies.interrupted(reply_id)
    told.replies.ended(reply_id, INTENDED, HEARD)

    everything = str([(span.name, said(span), span.events, span.status.description) for span in await told.spans()])
    (agent,) = [span for span in await told.spans("agent") if "batkol.reply.id" in said(span)]
    found = said(agent)
    assert (found.get("batkol.reply.intended"), found.get("batkol.reply.heard")) == (
        (INTENDED, HEARD) if allowed else (None, None)
    )
    assert any("א" <= letter <= "ת" for letter in everything) is allowed


async def test_without_a_collector_nothing_is_made() -> None:
    told = Told(Tracing(), InMemorySpanExporter())
    told.ask(1)
    told.replies.ended(told.sound(1), INTENDED, INTENDED)
    told.ask(2)
    told.replies.failed(2, ReplyFault("answerer", "unavailable"), has_sound=False, reply_id="")
    told.replies.close()

    assert await told.spans() == []
