"""The run of a comparison: every recognizer hears every sound, several at once, in the order of the sounds.

What was heard is paid for. So a run that is interrupted keeps it, as does one with a defect; and where one recognizer
hears nothing any more, the others are not sent sounds that would not count.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import structlog

from batkol.compare.comparison import HeardSpeech, scored
from batkol.compare.hearing import Hearing
from batkol.compare.known_speech import KnownSpeech
from batkol.compare.recognizers import ComparedRecognizer
from batkol.quantity import quantity
from batkol.recognizers.streaming.errors import NO_STREAM_FREE
from batkol.speech.cooloff import COOL_OFF

log = structlog.get_logger()

OnHeard = Callable[[int, int], None]
"""Is called with how many hearings are done, and how many there are."""

FEWEST_FAILED: Final = 3
"""Sounds in a row that a recognizer does not hear, after which none is asked any more. It takes one more than are heard
at once, for a moment without network hits all of those."""

_BUSY: Final = frozenset({NO_STREAM_FREE, "quota", "rate_limit"})
"""Faults that say nothing of the sound: the account has no room just now."""

_DEFECT: Final = Hearing(fault="defect", why="A defect of this program, and no fault of the recognizer: see the log.")

_NOT_HEARD: Final = Hearing(fault="not_heard", why="The comparison ended before.")


class ComparisonRun(NamedTuple):
    """The sounds that at least one recognizer heard, and in a sentence why there are no more of them, if so."""

    speech: Sequence[HeardSpeech]
    ended_early: str = ""
    interrupted: bool = False


class _Run:
    def __init__(
        self, recognizers: Sequence[ComparedRecognizer], at_once: int, probed: frozenset[int], again_s: float
    ) -> None:
        self._most_failed = max(FEWEST_FAILED, at_once + 1)
        self._failed: Counter[str] = Counter()  # in a row
        self._places = asyncio.Semaphore(at_once)
        self._own: Mapping[str, asyncio.Semaphore] = {
            one.name: asyncio.Semaphore(one.at_once or at_once) for one in recognizers
        }
        self._probed = probed
        self._again_s = again_s
        self.given_up = ""
        """The reason why no further sound is heard, in a sentence."""

    async def hear(self, number: int, speech: KnownSpeech, recognizer: ComparedRecognizer) -> Hearing | None:
        """Hear a sound, and again as a probe if it is chosen for that; None if the run was over before."""
        async with self._own[recognizer.name], self._places:
            if self.given_up:
                return None
            try:
                hearing = await self._hear(number, speech, recognizer)
            except Exception:
                log.exception("[STT] sound could not be heard by a defect of this program", recognizer=recognizer.name)
                hearing = _DEFECT
        self._count(recognizer.name, failed=hearing.fault is not None)
        return hearing

    async def _hear(self, number: int, speech: KnownSpeech, recognizer: ComparedRecognizer) -> Hearing:
        hearing = await recognizer.hear(speech)
        if hearing.fault in _BUSY:
            await asyncio.sleep(self._again_s)
            again = await recognizer.hear(speech)
            hearing = msgspec.structs.replace(again, heard_s=hearing.heard_s + again.heard_s)
        if number in self._probed and recognizer.streams and hearing.fault is None:
            forced, heard_s = await recognizer.force(speech)
            hearing = msgspec.structs.replace(
                hearing,
                latencies=msgspec.structs.replace(hearing.latencies, forced=forced),
                heard_s=hearing.heard_s + heard_s,
            )
        return hearing

    def _count(self, name: str, *, failed: bool) -> None:
        self._failed[name] = self._failed[name] + 1 if failed else 0
        if self._failed[name] >= self._most_failed and not self.given_up:
            sounds = quantity(self._failed[name], "sound")
            self.given_up = f"{name} failed on {sounds} in a row, and no recognizer was sent another one."


async def hear_all(
    speech: Sequence[KnownSpeech],
    recognizers: Sequence[ComparedRecognizer],
    *,
    at_once: int,
    probed: frozenset[int],
    on_heard: OnHeard = lambda _done, _all: None,
    again_s: float = COOL_OFF,
) -> ComparisonRun:
    """Have all recognizers hear all sounds. Cancelling it ends what is under way, and returns what was heard by then.

    All recognizers hear a sound at about the same time, so that a bad hour of the network is everyone's. Sounds whose
    numbers are in `probed` are heard once more by those that stream, which are then made to finish. A recognizer that
    takes no more at once, or in a minute, is asked once more after `again_s`, as calls do.
    """
    run, done, interrupted = _Run(recognizers, at_once, probed, again_s), 0, False
    tasks: list[list[asyncio.Task[Hearing | None]]] = []

    def note(_: asyncio.Task[Hearing | None]) -> None:
        nonlocal done
        done += 1
        on_heard(done, len(speech) * len(recognizers))

    try:
        async with asyncio.TaskGroup() as group:
            for number, each in enumerate(speech):
                tasks.append([group.create_task(run.hear(number, each, one)) for one in recognizers])
                for task in tasks[-1]:
                    task.add_done_callback(note)
    except asyncio.CancelledError:
        interrupted = True
        if (current := asyncio.current_task()) is not None:
            current.uncancel()
    heard = [[None if task.cancelled() else task.result() for task in of_each] for of_each in tasks]
    ended_early = "It was interrupted." if interrupted else run.given_up
    return ComparisonRun(
        [
            scored(each, {one.name: found or _NOT_HEARD for one, found in zip(recognizers, of_each, strict=True)})
            for each, of_each in zip(speech, heard, strict=False)
            if any(found is not None for found in of_each)
        ],
        ended_early if any(found is None for of_each in heard for found in of_each) else "",
        interrupted,
    )


def chosen_probes(speech: Sequence[KnownSpeech], number: int, seed: int) -> frozenset[int]:
    """Return the numbers of the sounds that are heard again by a probe: random ones of those with speech in them."""
    spoken = [at for at, each in enumerate(speech) if each.spans]
    return frozenset(random.Random(seed).sample(spoken, min(number, len(spoken))))  # noqa: S311  not a secret
