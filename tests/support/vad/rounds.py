"""One call's detection by the rounds of the service, without its clock and its thread."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from batkol.audio.ring import Ring
from batkol.audio.segmenter import SegmenterSettings, SpeechEvent
from batkol.vad.batch import score
from batkol.vad.engine import VadEngine
from batkol.vad.session import VadSession


class _Host:
    """A scheduler that is never called: nothing finishes and nothing fails."""

    def wake(self) -> None:
        raise AssertionError("nothing finishes")

    def count_failure(self) -> None:
        raise AssertionError("nothing fails")


def in_rounds(
    engine: VadEngine, audio: bytes, settings: SegmenterSettings, pieces: Sequence[int] = (480,)
) -> tuple[list[SpeechEvent], int]:
    """Return the events of a call that comes in pieces of so many samples, a round after each, and in how many rounds
    levels were measured.
    """
    ring, events, measured, at = Ring(capacity=10 * 8000), list[SpeechEvent](), 0, 0
    session = VadSession(_Host(), ring, events.append, settings)
    slot = engine.open()
    sizes = cycle(pieces)
    while at < len(audio) or session.heard + engine.window <= ring.end:
        piece = audio[at : at + next(sizes)]
        ring.append(piece)
        at += len(piece)
        part = session.gather(slot, engine.window)
        scores = score(engine, [part])
        measured += len(scores.levels)
        session.append_scores(scores.probabilities[0], part, engine.window, scores.levels.get(slot))
    engine.close(slot)
    return events, measured
