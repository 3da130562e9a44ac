import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from batkol.errors import UpstreamError
from batkol.recognizers.google.channels import Channels
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.speech.breaker import Breaker, BreakerState
from batkol.speech.punctuation import punctuate
from batkol.speech.utterance import Source
from batkol.status import BreakerStatus
from batkol.telemetry.metrics import Metrics
from batkol.transcription.health import Health
from batkol.transcription.recognizers import Recognizers
from batkol.transcription.vendor_check import ASK_EVERY
from support.google.streaming import google_step
from support.time.waiting import until

pytestmark = pytest.mark.virtual_time

REFUSED = UpstreamError("who are you", reason="unauthenticated", retryable=False)
WRONG = UpstreamError("no such language", reason="invalid_argument", retryable=False)
AWAY = UpstreamError("try later", reason="unavailable", retryable=True)


@dataclass
class Google:
    """Answers a check as it is told to."""

    error: UpstreamError | None = None
    asked: int = 0
    answering: asyncio.Event = field(default_factory=asyncio.Event)

    async def recognize(self, audio: bytes) -> str:
        self.asked += 1
        await self.answering.wait()
        if self.error is not None:
            raise self.error
        return ""


@dataclass
class Clinic:
    health: Health
    recognizers: Recognizers
    google: Google
    channels: Channels

    @property
    def streaming(self) -> Breaker:
        return self.recognizers.streaming[0].breaker

    def of(self, source: Source) -> Breaker:
        return self.recognizers.breakers[source]

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()


@asynccontextmanager
async def clinic(
    error: UpstreamError | None = None, *, whisper: bool = False, at_start: bool = False, answering: bool = True
) -> AsyncIterator[Clinic]:
    google = Google(error)
    if answering:
        google.answering.set()
    channels = Channels(endpoint="127.0.0.1:9", insecure=True, limit=7)
    sources = (Source.SINGLE, Source.WHISPER) if whisper else (Source.SINGLE,)
    recognizers = Recognizers(
        streaming=google_step(channels),
        options=StreamingOptions(on_written=lambda *_: None),
        fallbacks=tuple((s, google) for s in sources),
        punctuate=punctuate,
    )
    health = Health(recognizers, google, check_at_start=at_start)
    task = asyncio.create_task(health.run())
    try:
        yield Clinic(health, recognizers, google, channels)
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_while_google_has_not_answered_the_check_the_pod_is_starting() -> None:
    async with clinic(at_start=True, answering=False) as up:
        await until(lambda: up.google.asked)
        assert up.health.why_not_ready() == "starting"

        up.google.answering.set()

        await until(lambda: up.health.why_not_ready() is None)
        assert (up.google.asked, up.health.degraded()) == (1, None)


async def test_wrong_credentials_show_before_the_first_call_and_so_does_their_mending() -> None:
    async with clinic(REFUSED, at_start=True) as up:
        await asyncio.sleep(2 * ASK_EVERY + 1)
        assert up.google.asked == 3
        assert up.health.why_not_ready() == "recognizer: unauthenticated"
        assert up.health.degraded() == "streaming: unauthenticated, single: unauthenticated"

        up.google.error = None
        await asyncio.sleep(ASK_EVERY)

        assert up.health.why_not_ready() is None
        assert up.streaming.state is up.of(Source.SINGLE).state is BreakerState.CLOSED
        await asyncio.sleep(24 * 3600)
        assert up.google.asked == 4


@pytest.mark.real_time
async def test_by_a_real_clock_the_first_answer_makes_the_pod_ready() -> None:
    async with clinic(REFUSED, at_start=True, answering=False) as up:
        await until(lambda: up.google.asked)
        up.google.error = None
        up.google.answering.set()
        await until(lambda: up.health.why_not_ready() is None)
        assert up.streaming.state is BreakerState.CLOSED


async def test_where_whisper_can_answer_the_pod_is_ready_without_google() -> None:
    async with clinic(REFUSED, at_start=True, whisper=True) as up:
        await until(lambda: up.health.why_not_ready() is None)

        assert up.health.degraded() == "streaming: unauthenticated, single: unauthenticated"


async def test_where_whisper_refuses_us_too_it_may_be_tried_by_a_call_after_its_rest() -> None:
    async with clinic(REFUSED, at_start=True, whisper=True) as up:
        up.of(Source.WHISPER).fail(up.now, "http_error", grave=True)
        await until(lambda: up.health.why_not_ready() == "recognizer: unauthenticated")

        up.of(Source.WHISPER).succeed(up.now)
        up.of(Source.WHISPER).fail(up.now - 11, "http_error", grave=True)

        assert up.health.why_not_ready() is None


async def test_a_google_that_is_away_at_start_keeps_nobody_waiting() -> None:
    async with clinic(AWAY, at_start=True) as up:
        await until(lambda: up.google.asked)
        await until(lambda: up.health.why_not_ready() is None)

        assert up.health.degraded() == "google: unavailable"
        assert up.of(Source.SINGLE).state is BreakerState.CLOSED


async def test_a_google_that_was_away_at_start_is_asked_until_it_answers_and_each_news_is_one_line() -> None:
    with capture_logs() as lines:
        async with clinic(AWAY, at_start=True) as up:
            await asyncio.sleep(10 * ASK_EVERY + 1)
            assert up.google.asked == 11
            assert up.health.check_status().state == "no_answer"

            up.google.error = None
            await asyncio.sleep(24 * 3600)

            assert up.google.asked == 12
            assert up.health.check_status().state == "accepted"
            assert up.health.degraded() is None

    assert [line["log_level"] for line in lines] == ["warning", "info"]
    assert lines[0]["said"] == "try later"


async def test_the_words_of_a_refusal_are_those_of_the_newest_one() -> None:
    billing = UpstreamError("billing is off", reason="permission_denied", retryable=False, remedy="Pay.")
    async with clinic(REFUSED, at_start=True) as up:
        await asyncio.sleep(1)
        assert up.health.words() == {"said": "who are you"}

        up.google.error = billing
        await asyncio.sleep(ASK_EVERY)

        assert up.health.words() == {"said": "billing is off", "remedy": "Pay."}
        assert up.health.why_not_ready() == "recognizer: permission_denied"
        assert up.health.status()["streaming"].remedy == "Pay."
        up.google.error = None
        await asyncio.sleep(ASK_EVERY)
        assert up.health.words() == {}


async def test_a_check_that_was_never_asked_says_so() -> None:
    async with clinic() as up:
        assert (up.health.check_status().state, up.health.check_status().at) == ("not_asked", None)


async def test_a_request_refused_for_what_it_asks_says_nothing_of_streams() -> None:
    async with clinic(WRONG, at_start=True) as up:
        await until(lambda: up.of(Source.SINGLE).state is BreakerState.OPEN)

        assert up.health.why_not_ready() is None
        assert up.health.degraded() == "single: invalid_argument"
        up.streaming.fail(up.now, "invalid_argument", grave=True)
        assert up.health.why_not_ready() == "recognizer: invalid_argument"


async def test_what_calls_are_refused_is_asked_for_until_it_is_not() -> None:
    async with clinic(REFUSED) as up:
        for breaker in (up.streaming, up.of(Source.SINGLE)):
            breaker.fail(up.now, "unauthenticated", grave=True)
        assert up.health.why_not_ready() == "recognizer: unauthenticated"
        await asyncio.sleep(10 * ASK_EVERY + 1)
        assert up.google.asked == 10

        up.google.error = None
        await asyncio.sleep(ASK_EVERY)

        assert up.health.why_not_ready() is None


async def test_streams_alone_refused_are_left_to_the_next_call() -> None:
    """A request is asked once, to know whether it is us; its answer says nothing of streams."""
    async with clinic() as up:
        up.streaming.fail(up.now, "invalid_argument", grave=True)
        await asyncio.sleep(10 * ASK_EVERY)

        assert up.google.asked == 1
        assert up.streaming.state is BreakerState.OPEN
        assert up.health.why_not_ready() is None


async def test_what_only_keeps_failing_is_not_asked_for() -> None:
    async with clinic(AWAY) as up:
        for _ in range(5):
            up.streaming.fail(up.now, "unavailable")
            up.of(Source.SINGLE).fail(up.now, "unavailable")
        await asyncio.sleep(10 * ASK_EVERY)

        assert up.google.asked == 0
        assert up.health.why_not_ready() is None
        assert up.health.degraded() == "streaming: unavailable, single: unavailable"


async def test_the_status_has_each_step_in_the_order_of_asking() -> None:
    async with clinic(whisper=True) as up:
        before = datetime.now(UTC)
        for _ in range(5):
            up.of(Source.WHISPER).fail(up.now, "deadline")
        status = up.health.status()

    assert list(status) == ["streaming", "single", "whisper"]
    assert status["single"] == BreakerStatus(state="closed")
    whisper = status["whisper"]
    assert (whisper.state, whisper.reason) == ("open", "deadline")
    assert 9 < (whisper.retry_in_s or 0) <= 10
    assert abs((datetime.fromisoformat(whisper.since or "") - before).total_seconds()) < 5


async def test_each_transition_is_one_line_in_the_log() -> None:
    async with clinic() as up:
        with capture_logs() as lines:
            single = up.of(Source.SINGLE)
            for _ in range(9):
                single.fail(up.now, "unavailable")
            assert single.allows(up.now + 11)
            single.succeed(up.now)
            up.streaming.fail(up.now, "permission_denied", grave=True)
            up.google.error = REFUSED

    assert [(line["log_level"], line["step"]) for line in lines] == [
        ("warning", "single"),
        ("info", "single"),
        ("info", "single"),
        ("error", "streaming"),
    ]
    assert lines[0]["reason"] == "unavailable"
    assert "correct the credentials or the configuration" in lines[-1]["remedy"]


@pytest.mark.real_time
@pytest.mark.parametrize("held", [True, False])
async def test_the_gauges_say_what_is_held_back_and_what_is_under_way(held: bool) -> None:
    async with clinic() as up:
        metrics = Metrics()
        up.health.expose(metrics, up.channels)
        if held:
            up.of(Source.SINGLE).fail(up.now, "unauthenticated", grave=True)
        with up.channels.lease(), up.channels.borrow():
            page = metrics.render().decode()
        await up.channels.close()
        metrics.close()

    assert f'step="single"}} {float(held)}' in page
    assert 'step="streaming"} 0.0' in page
    lines = {line.split("{")[0].split()[0]: line.split()[-1] for line in page.splitlines()}
    assert lines["batkol_google_streams"] == "1.0"
    assert lines["batkol_google_requests"] == "1.0"
    assert lines["batkol_google_streams_limit"] == "7.0"
    assert lines["batkol_recognizer_streams_limit"] == "0.0", "the scripted recognizer has none"


async def test_a_death_in_the_middle_of_asking_does_not_end_the_asking() -> None:
    async with clinic(REFUSED, at_start=True) as up:
        await asyncio.sleep(ASK_EVERY + 1)
        assert up.google.asked == 2
    assert up.health.why_not_ready() == "recognizer: unauthenticated"

    up.google.error = None
    again = asyncio.create_task(up.health.run())
    await asyncio.sleep(ASK_EVERY + 1)
    assert up.health.why_not_ready() is None
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)
