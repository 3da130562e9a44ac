"""The run of a comparison: every recognizer hears every sound, several at once, in the order of the sounds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

import msgspec

from batkol.compare.comparison import HeardSpeech, scored
from batkol.compare.hearing import Hearing
from batkol.compare.known_speech import KnownSpeech
from batkol.compare.recognizers import ComparedRecognizer

OnHeard = Callable[[int, int], None]
"""Is called with how many hearings are done, and how many there are."""


async def hear_all(
    speech: Sequence[KnownSpeech],
    recognizers: Sequence[ComparedRecognizer],
    *,
    at_once: int,
    probed: frozenset[str],
    on_heard: OnHeard = lambda _done, _all: None,
) -> list[HeardSpeech]:
    """Have all recognizers hear all sounds. Cancelling it ends the hearings under way, and their results are lost.

    All recognizers hear a sound at about the same time, so that a bad hour of the network is everyone's. Sounds whose
    names are in `probed` are heard once more by those that stream, which are then made to finish.
    """
    places = asyncio.Semaphore(at_once)
    done = 0

    async def hear(each: KnownSpeech, recognizer: ComparedRecognizer) -> Hearing:
        nonlocal done
        async with places:
            hearing = await recognizer.hear(each)
            if each.name in probed and recognizer.streams and hearing.fault is None:
                forced, heard_s = await recognizer.force(each)
                hearing = msgspec.structs.replace(
                    hearing,
                    latencies=msgspec.structs.replace(hearing.latencies, forced=forced),
                    heard_s=hearing.heard_s + heard_s,
                )
        done += 1
        on_heard(done, len(speech) * len(recognizers))
        return hearing

    async with asyncio.TaskGroup() as tasks:
        hearings = [
            [tasks.create_task(hear(each, one), name="compare.hearing") for one in recognizers] for each in speech
        ]
    return [
        scored(each, {one.name: task.result() for one, task in zip(recognizers, of_each, strict=True)})
        for each, of_each in zip(speech, hearings, strict=True)
    ]


def chosen_probes(speech: Sequence[KnownSpeech], number: int, seed: int) -> frozenset[str]:
    """Return the names of the sounds that are heard again by a probe: random ones of those with speech in them."""
    spoken = [each.name for each in speech if each.spans]
    return frozenset(random.Random(seed).sample(spoken, min(number, len(spoken))))  # noqa: S311  not a secret
