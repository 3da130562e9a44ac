"""Any call through the policy, in virtual time with timers late and in random order: every word has one place."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import pytest
import structlog
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from batkol.audio.ring import Ring
from batkol.audio.segmenter import PauseEvent, SegmentQuiet, SegmentResumed
from batkol.backoff import Backoff
from batkol.events.order import disorder
from batkol.flags.flag import DecisionSource
from batkol.flags.flags import Decision
from batkol.live.tuning import Tuning
from batkol.recognizers.google.channels import Channels
from batkol.recognizers.streaming.events import StreamOpening
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.speech.utterance import Source
from batkol.speech.utterances import UtteranceTimeouts
from batkol.transcription.events import SpeechStopped
from batkol.transcription.policy import Transcription
from batkol.transcription.recognizers import Recognizers
from batkol.transcription.streaming_step import StreamingStep
from support.events.published import of_recognition
from support.google.memory_wire import memory_channels
from support.google.scripted import ScriptedGoogle
from support.google.streaming import google_recognizer
from support.speech.policy_call import HANG_OVER, PRE_ROLL, QUIET, Told
from support.speech.random_call import FRAME, MISHEARD, MS, Speech, UntidyFallback, UntidyGoogle, random_speech
from support.speech.tentatives import EarlyTextCheck
from support.time.virtual import in_virtual_time

LATE_S: Final = 0.03
"""How late a timer may be."""

FALLBACK_S: Final = 1.0
"""The longest that the fallback takes for an answer."""

LONGEST_WAIT_S: Final = UtteranceTimeouts().give_up + FALLBACK_S + 20 * LATE_S
"""From the end of speech to its final: until the stream is given up, and the other answer."""


@dataclass
class Clocked(Told):
    """Also keeps when each utterance fell silent and had its final, and the streams in order."""

    silent_s: dict[int, float] = field(default_factory=dict)
    final_s: dict[int, float] = field(default_factory=dict)

    def observe(self, event: object) -> None:
        now, before = asyncio.get_running_loop().time(), len(self.texts)
        if isinstance(event, SpeechStopped):
            self.silent_s[event.utterance.index] = now
        super().observe(event)
        if len(self.texts) > before:
            self.final_s[max(self.texts, key=lambda index: list(self.texts).index(index))] = now

    def base(self, number: int) -> int:
        """Where the stream of that number, from 0, begins in the call."""
        return self.of(StreamOpening)[number].stream.passage.base


@dataclass
class RandomCall:
    """One call by one seed."""

    seed: int
    told: Clocked = field(default_factory=Clocked)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)
        self.speech: Speech = random_speech(self.draw)
        self.on = self.draw.random() < 0.85
        self.flips = self.draw.random() < 0.3
        self.ring = Ring(capacity=80 * 8000)
        self.google = UntidyGoogle(self.speech, self.draw, self.told.base, deaths=self.draw.choice([0, 2, 6]))

    async def run(self) -> None:
        google = ScriptedGoogle(self.google.serve)
        delay = self.draw.choice([0.0, 0.02, 0.2])
        wire = memory_channels(google.handlers(), delay=lambda: self.draw.uniform(0, delay))
        async with asyncio.timeout(600), wire as channels:
            policy = self._policy(channels)
            async with asyncio.TaskGroup() as tasks:
                policy.begin(tasks)
                policy.start()
                await self._speak(policy)
                await policy.finish()
            assert channels.streams == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    def _policy(self, channels: Channels) -> Transcription:
        rotate = self.draw.choice([240.0, 3.0])
        options = StreamingOptions(on_written=lambda *_: None, attempts=self.draw.randint(1, 2))
        google = google_recognizer(channels, rotate=(rotate, rotate + 1.5))
        recognizers = Recognizers(
            streaming=(StreamingStep(google, stands_with_single=True),),
            options=options,
            fallbacks=((Source.SINGLE, UntidyFallback(self.speech, self.draw, slowest_s=FALLBACK_S)),),
            punctuate=str,
            late=Backoff(first_s=0.1, longest_s=0.1),
        )
        return Transcription(
            ring=self.ring,
            recognizers=recognizers,
            decide=lambda: Decision(self.on, "on" if self.on else "off", "STATIC", DecisionSource.FLAG),
            tuning=Tuning(partial_debounce_ms=self.draw.choice([0, 150])),
            observe=self.told.observe,
            log=structlog.get_logger(),
        )

    async def _speak(self, policy: Transcription) -> None:
        """Two frames at a time, and what the detector makes of them."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        starts = {u[0].start + 96 * MS: max(0, u[0].start - PRE_ROLL) for u in self.speech.utterances}
        ends = {u[-1].end + HANG_OVER: u[-1].end for u in self.speech.utterances}
        pauses = self._pauses()
        stops_at = self.speech.ends if self.draw.random() < 0.7 else self.speech.utterances[-1][-1].end
        for at in range(0, stops_at, 2 * FRAME):
            until = at + 2 * FRAME
            await asyncio.sleep(max(0.0, begun + until / 8000 - loop.time()))
            self.ring.append(self.speech.audio(at, until))
            policy.append(until)
            for known in [known for known in starts if known <= until]:
                if self.flips and self.draw.random() < 0.3:
                    self.on = not self.on
                policy.speech_started(starts.pop(known), known - 96 * MS)
            for known in [known for known in pauses if known <= until]:
                policy.speech_paused(pauses.pop(known))
            for known in [known for known in ends if known <= until]:
                policy.speech_ended(ends.pop(known), until)

    def _pauses(self) -> dict[int, PauseEvent]:
        """Return what the detector finds inside the utterances, by the sample at which it knows."""
        found: dict[int, PauseEvent] = {}
        for utterance in self.speech.utterances:
            for word, following in pairwise((*utterance, None)):
                assert word is not None
                if following is None or following.start - word.end >= QUIET:
                    found[word.end + QUIET] = SegmentQuiet(word.end, word.end + QUIET)
                    if following is not None:
                        found[following.start + 32 * MS] = SegmentResumed(following.start, following.start + 32 * MS)
        return found

    # -- what must hold ------------------------------------------------------------------------------------------------

    @property
    def record(self) -> list[str]:
        """The text of each utterance in the end, in order of time."""
        texts = {**self.told.texts, **dict(self.told.revisions)}
        return [texts[index] for index in sorted(texts)]

    def check(self) -> None:
        said = [" ".join(word.text for word in utterance) for utterance in self.speech.utterances]
        assert set(self.told.texts) == set(range(len(said)))
        if self.google.silent:  # what such a stream heard may be lost, but nothing is doubled or in the wrong place
            for text, truth in zip(self.record, said, strict=True):
                words = iter(truth.split())
                assert all(word in words for word in text.split() if word != MISHEARD), (text, truth)
        else:
            assert self.record == said
        for index in self.told.texts:
            kinds = [kind for kind, of in self.told.story if of == index]
            assert (kinds[0], kinds[-1], kinds.count("silent")) == ("started", "final", 1)
            waited = self.told.final_s[index] - self.told.silent_s[index]
            assert waited <= LONGEST_WAIT_S, f"utterance {index} waited {waited:.2f} s"
        EarlyTextCheck().follow(self.told.events)
        assert disorder(of_recognition(self.told.events)) == []
        asked = {index for index, _, _ in self.told.answers}
        by_stream = [index for index in self.told.texts if index not in asked]
        assert by_stream == sorted(by_stream)


def call(seed: int, *, late_s: float = LATE_S) -> RandomCall:
    played = RandomCall(seed)
    with capture_logs():
        in_virtual_time(played.run(), random.Random(seed), late_s)
    return played


@settings(max_examples=25)
@given(st.integers(0, 2**32))
@example(18)  # a stream dies while an utterance waits for it
@example(35)  # a partial waits for its time when the final comes
@example(65)  # the session is lost while an utterance waits for its final
@example(696)  # a stream dies before the last word of an utterance that its finals have closed already
def test_every_utterance_has_one_final_and_every_word_its_place(seed: int) -> None:
    played = call(seed)

    assert sorted(played.told.texts) == list(range(len(played.speech.utterances)))
    played.check()


@pytest.mark.nightly
@given(st.integers(0, 2**32))
def test_so_it_is_in_a_thousand_calls(seed: int) -> None:
    played = call(seed)

    assert sorted(played.told.texts) == list(range(len(played.speech.utterances)))
    played.check()
