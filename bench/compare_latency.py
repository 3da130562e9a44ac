"""Times that `batkol compare` gives, beside those of the doubles themselves: do their medians agree?

    python bench/compare_latency.py --sounds 40

The double notes when each message came and each answer went, by its own clock. It is set to a time from the message
that brings the end of the last word, and a message brings up to 150 ms (a batch) at once. The sample at which a word
ends was spoken 150 ms before the first message came, and so much later as it lies in the sound. `batkol compare` counts
from that moment, by the session's clock, and takes the end of speech from the detector.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import structlog

from batkol.audio.segmenter import SegmenterSettings
from batkol.compare.comparison import HeardSpeech, compared
from batkol.compare.known_speech import KnownSpeech, SpeechSpan
from batkol.compare.recognizers import open_recognizers
from batkol.compare.running import hear_all
from batkol.compare.spans import find_spans
from batkol.settings import Settings
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.soniox.server import SonioxDouble
from batkol.vad.factory import create
from batkol.voices.marked.voice import SpokenAudio, random_utterances, script

NAME, SONIOX = "google-v1/default", "soniox/stt-rt-v5"
PROBES = 10
BATCH_S = 0.15
SET_S = 0.878
SET = DoubleSettings(record=True, final_latency_s=SET_S)


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


def of_setting(streams: Sequence[dict[str, Any]]) -> list[float]:
    """From the message with the end of each stream's last word to the last final, in ms, by the double's records."""
    times = []
    for stream in streams:
        end = stream["words"][-1]["end"] / 8000
        arrived = next(at for at, audio_s in stream["audio_times"] if audio_s >= end)
        times.append((max(answer["at"] for answer in stream["answers"] if answer["final"]) - arrived) * 1000)
    return times


def of_double(streams: Sequence[dict[str, Any]]) -> list[float]:
    """From the end of each stream's last word to the last final, in ms, by the double's own records."""
    times = []
    for stream in streams:
        finals = [answer["at"] for answer in stream["answers"] if answer["final"]]
        spoken = stream["first_audio_at"] - BATCH_S + stream["words"][-1]["end"] / 8000
        times.append((finals[-1] - spoken) * 1000)
    return times


async def measured(speech: Sequence[KnownSpeech]) -> tuple[list[HeardSpeech], list[dict[str, Any]]]:
    async with SpeechDouble(SET) as double, AsyncExitStack() as stack:
        settings = Settings(
            twilio_validate_signatures=False,
            gcp_stt_endpoint=f"127.0.0.1:{await double.start()}",
            gcp_stt_insecure=True,
        )
        recognizers = await open_recognizers([NAME], settings, stack)
        run = await hear_all(speech, recognizers, at_once=4, probed=frozenset())
        return list(run.speech), double.stats()["streams"]


async def forced(detected: Sequence[KnownSpeech], true: Sequence[KnownSpeech]) -> tuple[list[float], list[float]]:
    """The final that a half-close forces, from the true end of its words: by the comparison, and by the double."""
    async with SpeechDouble(SET) as double, AsyncExitStack() as stack:
        settings = Settings(
            twilio_validate_signatures=False,
            gcp_stt_endpoint=f"127.0.0.1:{await double.start()}",
            gcp_stt_insecure=True,
        )
        (recognizer,) = await open_recognizers([NAME], settings, stack)
        found = []
        for each, exact in zip(detected, true, strict=True):
            time_ms, _ = await recognizer.force(each)
            found.append((time_ms or 0.0) + (each.end - exact.end) / 8)
        return found, of_double(double.stats()["streams"])


async def of_soniox(detected: Sequence[KnownSpeech], true: Sequence[KnownSpeech]) -> tuple[list[float], list[float]]:
    """The final that `finalize` brings, from the true end of its words: by the comparison, and by Soniox's double."""
    async with SonioxDouble() as double, AsyncExitStack() as stack:
        settings = Settings(twilio_validate_signatures=False, soniox_url=await double.start(), soniox_api_key="any")
        recognizers = await open_recognizers([SONIOX], settings, stack)
        run = await hear_all(detected, recognizers, at_once=4, probed=frozenset())
        sessions = double.stats()["sessions"]
    by_compare = [
        each.hearings[SONIOX].latencies.finals[-1] + (each.speech.end - exact.end) / 8
        for each, exact in zip(run.speech, true, strict=True)
    ]
    by_double = [
        (each["fins_at"][-1] - (each["first_audio_at"] - BATCH_S + each["words"][-1]["end"] / 8000)) * 1000
        for each in sessions
    ]
    return by_compare, by_double


async def main(count: int) -> None:
    detected, true = sounds(count)
    heard, streams = await measured(detected)
    forced_by_compare, forced_by_double = await forced(detected[:PROBES], true[:PROBES])
    soniox_by_compare, soniox_by_double = await of_soniox(detected, true)
    by_detector = compared(heard, [NAME], {NAME: None}, seed=0)
    again = [_measured_anew(each, exact) for each, exact in zip(heard, true, strict=True)]
    times = by_detector.recognizers[0].times
    print(f"{count} sounds, the latest frame {by_detector.late_ms:.0f} ms late; medians of the final in ms")
    for what, median in (
        ("from the message with the end of speech, as the double is set", SET_S * 1000),
        ("the same, by the double's records", statistics.median(of_setting(streams))),
        ("from the end of speech, by the double's records", statistics.median(of_double(streams))),
        ("from the end of speech, by batkol compare, the words' own end", statistics.median(again)),
        ("from the end of speech, by batkol compare, the detector's end", times["finals"].p50),
        ("right text from the end of speech, by batkol compare, the detector's end", times["right"].p50),
        ("forced by a half-close, by the double's records", statistics.median(forced_by_double)),
        ("forced by a half-close, by batkol compare, the words' own end", statistics.median(forced_by_compare)),
        ("Soniox, by its double's records", statistics.median(soniox_by_double)),
        ("Soniox, by batkol compare, the words' own end", statistics.median(soniox_by_compare)),
    ):
        print(f"{what:<75}{median:6.0f}")


def _measured_anew(heard: HeardSpeech, exact: KnownSpeech) -> float:
    """The final of the same hearing, from the true end of its words."""
    (final,) = heard.hearings[NAME].latencies.finals
    return final + (heard.speech.end - exact.end) / 8


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sounds", type=int, default=40)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(main(parser.parse_args().sounds))
