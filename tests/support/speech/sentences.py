"""The dispatcher's plain examples in seconds: one sentence from 1 s to 3 s, the next from 4 s."""

from __future__ import annotations

from batkol.speech.results import Transcript, Word
from batkol.speech.utterance import Mode, Utterance
from batkol.speech.utterances import Utterances, UtteranceTimeouts

SECOND = 8000
PRE_ROLL = 2400
HANG_OVER = 0.48  # seconds: when silence is known, speech has been over for so long


def final(text: str, start_s: float, end_s: float, *, at: tuple[float, ...] = (), rpc: int = 0) -> Transcript:
    """A final, with word times if it is told where each word begins (200 ms each)."""
    words = tuple(
        Word(word, int(where * SECOND), int((where + 0.2) * SECOND))
        for word, where in zip(text.split(), at, strict=bool(at))
    )
    return Transcript(text, int(start_s * SECOND), int(end_s * SECOND), final=True, words=words, rpc=rpc)


def interim(text: str, start_s: float, end_s: float, *, rpc: int = 0) -> Transcript:
    return Transcript(text, int(start_s * SECOND), int(end_s * SECOND), final=False, stability=0.9, rpc=rpc)


def begin(utterances: Utterances, at_s: float, mode: Mode = Mode.STREAMING) -> Utterance:
    return utterances.begin(int(at_s * SECOND) - PRE_ROLL, int(at_s * SECOND), mode)


def fall_silent(utterances: Utterances, at_s: float) -> list[object]:
    now = at_s + HANG_OVER
    return list(utterances.fall_silent(int(at_s * SECOND), int(now * SECOND), now))


def spoken(*heard: Transcript, mode: Mode = Mode.STREAMING) -> tuple[Utterances, Utterance]:
    """A sentence from 1 s to 3 s, during which `heard` came."""
    utterances = Utterances(UtteranceTimeouts())
    utterance = begin(utterances, 1, mode)
    for result in heard:
        utterances.dispatch(result)
    fall_silent(utterances, 3)
    return utterances, utterance
