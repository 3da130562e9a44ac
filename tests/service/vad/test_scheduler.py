"""One listener for all calls: the same decisions as alone, off the event loop, bounded, and gone at the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import numpy as np
import pytest

from batkol.audio import mulaw
from batkol.audio.level import window_levels
from batkol.audio.ring import Ring
from batkol.audio.segmenter import Segmenter, SegmenterSettings, SpeechEnded, SpeechEvent, SpeechStarted
from batkol.supervision.tasks import Tasks
from batkol.vad.engine import EngineName, VadEngine
from batkol.vad.factory import create
from batkol.vad.scheduler import VadScheduler
from batkol.voices.marked import voice
from support.process.killing import cancel
from support.vad.level_engine import LOUD, LevelEngine

SETTINGS = SegmenterSettings(quiet_ms=60_000, lasting_ms=600_000)
"""Starts and ends, and nothing in between."""

QUIET = mulaw.silence(8000)
SOON = 0.001  # seconds between rounds


@pytest.fixture
async def engine() -> AsyncIterator[LevelEngine]:
    engine = LevelEngine()
    yield engine
    engine.may_go_on.set()


@pytest.fixture
async def listener(engine: LevelEngine) -> AsyncIterator[VadScheduler]:
    listener = VadScheduler(engine, interval=SOON)
    yield listener
    engine.may_go_on.set()
    await listener.aclose()


def ring(audio: bytes = b"") -> Ring:
    ring = Ring(capacity=60 * 8000)
    ring.append(audio)
    return ring


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(SOON)


def alone(engine: VadEngine, audio: bytes) -> list[SpeechEvent]:
    """Return what one call gets by itself, the call's last window filled with silence."""
    padded = audio + mulaw.silence(-len(audio) % engine.window)
    levels = window_levels(padded, engine.window)
    segmenter, slot = Segmenter(SegmenterSettings()), engine.open()
    events: list[SpeechEvent] = []
    for at in range(0, len(padded), engine.window):
        [[probability]] = engine.score([slot], [padded[at : at + engine.window]])
        end = min(at + engine.window, len(audio))
        level = levels[at // engine.window] * engine.window / (end - at)
        events += segmenter.append_score(probability, at, end, level=level)
    return events + list(segmenter.flush(len(audio)))


async def test_speech_is_heard_as_it_comes(listener: VadScheduler) -> None:
    events: list[SpeechEvent] = []
    audio = ring(QUIET)
    ear = listener.open(audio, events.append, SETTINGS)
    await until(lambda: ear.heard == 8000 // 256 * 256)
    assert events == []

    audio.append(LOUD)
    await until(lambda: len(events) == 1)
    assert ear.speaking

    audio.append(QUIET)
    await until(lambda: len(events) == 2)
    assert not ear.speaking
    assert [type(event) for event in events] == [SpeechStarted, SpeechEnded]
    assert events[1].at == 16128  # 16,000 and what is left of its window


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        (EngineName.WEBRTC, 20),
        (EngineName.SILERO, 5),
        pytest.param(EngineName.SILERO, 20, marks=pytest.mark.nightly),
    ],
)
async def test_many_ears_at_once_decide_as_one_alone(name: EngineName, calls: int) -> None:
    """Different calls ten times each, in chunks of every size, opened in two orders."""
    said = [voice.script(voice.random_utterances(seed, 2, (1, 2)), tail_ms=700).mulaw for seed in range(calls)]
    expected = [alone(create(name), audio) for audio in said]
    assert sum(map(len, expected)) >= 3.5 * calls

    for order in (range(10 * calls), range(10 * calls - 1, -1, -1)):
        listener = VadScheduler(create(name), interval=SOON)
        rings = {index: ring() for index in order}
        heard: dict[int, list[SpeechEvent]] = {index: [] for index in order}
        ears = {index: listener.open(rings[index], heard[index].append) for index in order}
        draw = np.random.default_rng(1)
        while any(rings[index].end < len(said[index % calls]) for index in order):
            for index in order:
                at = rings[index].end
                rings[index].append(said[index % calls][at : at + int(draw.integers(4000))])
            await asyncio.sleep(0)
        await asyncio.gather(*(ear.finish() for ear in ears.values()))

        assert all(heard[index] == expected[index % calls] for index in order)
        assert listener.status().mean_batch > 2.5 * calls
        await listener.aclose()


async def test_the_model_never_runs_on_the_loop_and_the_loop_never_waits(
    engine: LevelEngine, listener: VadScheduler
) -> None:
    engine.may_go_on.clear()
    ear = listener.open(ring(LOUD), lambda _: None)
    await until(lambda: bool(engine.threads))

    for _ in range(50):
        await asyncio.sleep(0)  # would not return if the loop waited for the engine
    assert ear.heard == 0

    engine.may_go_on.set()
    await until(lambda: ear.heard > 0)
    assert len(engine.threads) == 1
    assert threading.current_thread().name not in engine.threads


async def test_a_stalled_engine_gives_up_old_audio_and_counts_it(engine: LevelEngine, listener: VadScheduler) -> None:
    engine.may_go_on.clear()
    audio = ring(LOUD)
    events: list[SpeechEvent] = []
    ear = listener.open(audio, events.append, SETTINGS)
    await until(lambda: bool(engine.threads))
    for _ in range(9):
        audio.append(LOUD)
    engine.may_go_on.set()
    await until(lambda: audio.end - ear.heard < 256)

    assert 7_900 <= listener.status().skipped_ms <= 8_100
    assert [type(event) for event in events] == [SpeechStarted, SpeechEnded, SpeechStarted]


async def test_an_engine_that_is_a_little_behind_gives_up_nothing(engine: LevelEngine, listener: VadScheduler) -> None:
    engine.may_go_on.clear()
    audio = ring(LOUD)
    ear = listener.open(audio, lambda _: None)
    await until(lambda: bool(engine.threads))
    for _ in range(4):
        audio.append(LOUD)
    engine.may_go_on.set()
    await until(lambda: audio.end - ear.heard < 256)

    assert listener.status().skipped_ms == 0


async def test_when_the_engine_fails_webrtc_goes_on_without_a_gap(engine: LevelEngine, listener: VadScheduler) -> None:
    said = voice.script(voice.random_utterances(3, 2, 1)).mulaw
    assert len(said) < 5 * 8000
    engine.broken = True
    events: list[SpeechEvent] = []
    ear = listener.open(ring(said), events.append)
    await ear.finish()

    assert events == alone(create("webrtc"), said)
    status = listener.status()
    assert (status.engine, status.fallen_back, status.failures) == (EngineName.WEBRTC, True, 1)


async def test_when_the_fallback_fails_too_a_call_can_still_end(engine: LevelEngine) -> None:
    engine.broken = True
    listener = VadScheduler(engine, fallback=lambda: engine, interval=SOON)
    ear = listener.open(ring(LOUD), lambda _: None)
    await until(lambda: listener.status().failures > 2)

    async with asyncio.timeout(20):
        assert await ear.finish() == ()
    await listener.aclose()


async def test_a_call_that_raises_does_not_deafen_the_others(listener: VadScheduler) -> None:
    def crash(event: SpeechEvent) -> None:
        raise RuntimeError("a bug in a call")

    events: list[SpeechEvent] = []
    crashing = listener.open(ring(LOUD), crash, SETTINGS)
    sound = listener.open(ring(LOUD), events.append, SETTINGS)
    await asyncio.gather(crashing.finish(), sound.finish())

    assert len(events) == 2
    assert listener.status().failures == 2


async def test_settings_change_during_a_call(listener: VadScheduler) -> None:
    events: list[SpeechEvent] = []
    audio = ring(LOUD + QUIET[:1600])
    ear = listener.open(audio, events.append, replace(SETTINGS, silence_ms=5000))
    await until(lambda: ear.heard > 9000)
    assert len(events) == 1

    ear.tune(replace(SETTINGS, silence_ms=200))
    audio.append(QUIET[:800])
    await until(lambda: len(events) == 2)


async def test_finishing_scores_the_last_part_of_a_window_and_ends_what_is_open(listener: VadScheduler) -> None:
    """1,000 samples are three windows and 232 samples; all of it is speech."""
    events: list[SpeechEvent] = []
    audio = ring()
    ear = listener.open(audio, events.append, SETTINGS)
    audio.append(LOUD[:1000])

    assert await ear.finish() == tuple(events)
    assert events == [
        SpeechStarted(at=0, speech_at=0, decided_at=768),
        SpeechEnded(at=1000, decided_at=1000),
    ]
    assert ear.heard == 1000
    assert await ear.finish() == tuple(events)


async def test_finishing_an_ear_that_heard_nothing_is_at_once(listener: VadScheduler) -> None:
    assert await listener.open(ring(), lambda _: None).finish() == ()


async def test_a_cancelled_finish_still_finishes(engine: LevelEngine, listener: VadScheduler) -> None:
    engine.may_go_on.clear()
    events: list[SpeechEvent] = []
    ear = listener.open(ring(LOUD), events.append, SETTINGS)
    finishing = asyncio.create_task(ear.finish())
    await until(lambda: bool(engine.threads))
    finishing.cancel()
    engine.may_go_on.set()

    await until(lambda: ear.closed)
    assert len(events) == 2


async def test_closing_ends_what_is_open_and_hears_no_more(engine: LevelEngine, listener: VadScheduler) -> None:
    events: list[SpeechEvent] = []
    audio = ring(LOUD)
    ear = listener.open(audio, events.append, SETTINGS)
    await until(lambda: len(events) == 1)
    engine.may_go_on.clear()
    engine.threads.clear()
    audio.append(LOUD)
    await until(lambda: bool(engine.threads))
    ear.close()
    ear.close()
    engine.may_go_on.set()
    await until(lambda: engine.slots_out == 0)  # given back behind the round that was under way

    assert listener.status().ears == 0
    assert [type(event) for event in events] == [SpeechStarted, SpeechEnded]
    assert await ear.finish() == ()


async def test_the_task_and_the_slots_are_gone_when_the_last_ear_is(
    engine: LevelEngine, listener: VadScheduler
) -> None:
    before = asyncio.all_tasks()
    ears = [listener.open(ring(LOUD), lambda _: None) for _ in range(5)]
    assert len(asyncio.all_tasks() - before) == 1
    await asyncio.gather(*(ear.finish() for ear in ears))

    await until(lambda: asyncio.all_tasks() == before)
    assert engine.slots_out == 0


async def test_listening_begins_again_with_the_next_call(listener: VadScheduler) -> None:
    for _ in range(3):
        events: list[SpeechEvent] = []
        await listener.open(ring(LOUD), events.append, SETTINGS).finish()
        assert len(events) == 2


async def test_closing_the_listener_closes_its_ears_and_task(engine: LevelEngine) -> None:
    before = asyncio.all_tasks()
    listener = VadScheduler(engine, interval=60)
    ears = [listener.open(ring(LOUD), lambda _: None) for _ in range(3)]
    await asyncio.sleep(0)
    await listener.aclose()

    assert all(ear.closed for ear in ears)
    assert asyncio.all_tasks() == before
    assert engine.slots_out == 0


async def test_closing_does_not_wait_for_ever_for_a_thread_that_hangs(engine: LevelEngine) -> None:
    before = asyncio.all_tasks()
    engine.may_go_on.clear()
    listener = VadScheduler(engine, interval=SOON, closing_s=0.05)
    listener.open(ring(LOUD), lambda _: None)
    await until(lambda: bool(engine.threads))

    await listener.aclose()
    assert asyncio.all_tasks() == before


async def test_a_call_whose_sound_cannot_be_fetched_does_not_deafen_the_others(listener: VadScheduler) -> None:
    def crash() -> None:
        raise RuntimeError("a bug in a call")

    events: list[SpeechEvent] = []
    broken, sound = listener.open(ring(LOUD), lambda _: None), listener.open(ring(LOUD), events.append, SETTINGS)
    broken.refresh = crash
    await asyncio.gather(broken.finish(), sound.finish())

    assert len(events) == 2
    assert listener.status().failures == 1


async def test_a_listener_that_is_cancelled_goes_on_where_it_was(engine: LevelEngine) -> None:
    """While the engine is at work: its slots may not be touched until it is done."""
    tasks = Tasks()
    listener = VadScheduler(engine, interval=SOON, tasks=tasks)
    engine.may_go_on.clear()
    events: list[SpeechEvent] = []
    audio = ring(LOUD)
    ear = listener.open(audio, events.append, SETTINGS)
    await until(lambda: bool(engine.threads))
    assert cancel("listener") == 1
    await until(lambda: tasks.status()["listener"].deaths == 1 and tasks.status()["listener"].state == "running")
    late = listener.open(ring(LOUD), lambda _: None)
    await asyncio.sleep(0)
    assert engine.slots_out == 1
    engine.may_go_on.set()
    audio.append(QUIET)
    await asyncio.gather(ear.finish(), late.finish())

    assert [type(event) for event in events] == [SpeechStarted, SpeechEnded]
    assert ear.heard == audio.end
    await listener.aclose()


async def test_a_detector_and_a_fallback_that_both_fail_are_deaths_and_the_words_wait(engine: LevelEngine) -> None:
    tasks = Tasks()
    listener = VadScheduler(engine, fallback=lambda: engine, interval=SOON, tasks=tasks)
    engine.broken = True
    events: list[SpeechEvent] = []
    ear = listener.open(ring(LOUD), events.append, SETTINGS)
    await until(lambda: tasks.why_not_ready() == "keeps dying: listener")
    engine.broken = False
    await ear.finish()

    assert [type(event) for event in events] == [SpeechStarted, SpeechEnded]
    await listener.aclose()
