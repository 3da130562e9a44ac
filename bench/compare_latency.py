"""Times that `batkol compare` gives, beside those of the double itself: do their medians agree?

    python bench/compare_latency.py --sounds 40

The double notes when each message came and each answer went, by its own clock. The sample at which a word ends was
spoken 150 ms (a batch) before the first message came, and so much later as it lies in the sound. `batkol compare`
counts from the same moment, by the session's clock, and takes the end of speech from the detector.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from batkol.audio.segmenter import SegmenterSettings
from batkol.compare.comparison import HeardSpeech, compared
from batkol.compare.known_speech import KnownSpeech, SpeechSpan
from batkol.compare.recognizers import open_recognizers
from batkol.compare.running import hear_all
from batkol.compare.spans import find_spans
from batkol.settings import Settings
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.google.settings import DoubleSettings
from batkol.vad.factory import create
from batkol.voices.marked.voice import SpokenAudio, random_utterances, script

NAME = "google-v1/default"
BATCH_S = 0.15


def sounds(count: int) -> tuple[list[KnownSpeech], list[KnownSpeech]]:
    """The same sounds twice: with the detector's spans, and with those of the words themselves."""
    engine, detected, true = create("silero"), [], []
    for number, words in enumerate(random_utterances(3, count, (3, 6))):
        audio = script((words,), lead_ms=300, tail_ms=100)
        name = f"{number}.wav"
        found = find_spans(audio.mulaw, engine, SegmenterSettings())
        detected.append(KnownSpeech(name, name, audio.text, audio.mulaw, found))
        true.append(KnownSpeech(name, name, audio.text, audio.mulaw, (_span(audio),)))
    return detected, true


def _span(audio: SpokenAudio) -> SpeechSpan:
    return SpeechSpan(audio.words[0].start, audio.words[-1].end, audio.words[-1].end + 480 * 8)


def of_double(streams: Sequence[dict[str, Any]]) -> list[float]:
    """From the end of each stream's last word to the last final, in ms, by the double's own records."""
    times = []
    for stream in streams:
        finals = [answer["at"] for answer in stream["answers"] if answer["final"]]
        spoken = stream["first_audio_at"] - BATCH_S + stream["words"][-1]["end"] / 8000
        times.append((finals[-1] - spoken) * 1000)
    return times


async def measured(speech: Sequence[KnownSpeech]) -> tuple[list[HeardSpeech], list[float]]:
    async with SpeechDouble(DoubleSettings(record=True)) as double, AsyncExitStack() as stack:
        settings = Settings(
            twilio_validate_signatures=False,
            gcp_stt_endpoint=f"127.0.0.1:{await double.start()}",
            gcp_stt_insecure=True,
        )
        recognizers = await open_recognizers([NAME], settings, stack)
        heard = await hear_all(speech, recognizers, at_once=4, probed=frozenset())
        return heard, of_double(double.stats()["streams"])


async def main(count: int) -> None:
    detected, true = sounds(count)
    heard, by_double = await measured(detected)
    by_detector = compared(heard, [NAME], {NAME: None}, seed=0)
    again = [_measured_anew(each, exact) for each, exact in zip(heard, true, strict=True)]
    print(f"{count} sounds, the latest frame {by_detector.late_ms:.0f} ms late; medians in ms from the end of speech")
    print(f"final, by the double's records                     {statistics.median(by_double):6.0f}")
    print(f"final, by batkol compare, the words' own end       {statistics.median(again):6.0f}")
    times = by_detector.recognizers[0].times
    print(f"final, by batkol compare, the detector's end       {times['finals'].p50:6.0f}")
    print(f"right text, by batkol compare, the detector's end  {times['right'].p50:6.0f}")


def _measured_anew(heard: HeardSpeech, exact: KnownSpeech) -> float:
    """The final of the same hearing, from the true end of its words."""
    (final,) = heard.hearings[NAME].latencies.finals
    return final + (heard.speech.end - exact.end) / 8


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sounds", type=int, default=40)
    asyncio.run(main(parser.parse_args().sounds))
