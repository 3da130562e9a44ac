"""Partials of several utterances at once, each with a debounce of its own."""

from __future__ import annotations

from batkol.speech.partials import Due, Partials
from batkol.speech.utterance import Mode, Utterance


def utterance(index: int) -> Utterance:
    return Utterance(index=index, begin=0, speech_at=0, mode=Mode.STREAMING)


def test_each_utterance_has_its_own_window() -> None:
    partials, first, second = Partials(window=0.18), utterance(0), utterance(1)

    assert partials.offer(first, "שלום", 0.5, now=1.0) == Due(first, "שלום", 0.5)
    assert partials.offer(second, "תודה", 0.9, now=1.05) == Due(second, "תודה", 0.9)
    assert partials.offer(first, "שלום לך", 0.6, now=1.1) is None
    assert partials.deadline == 1.18
    assert partials.tick(1.18) == [Due(first, "שלום לך", 0.6)]
    assert partials.deadline is None


def test_a_final_forgets_what_waits() -> None:
    partials, only = Partials(window=0.18), utterance(0)
    partials.offer(only, "שלום", 0.0, now=1.0)
    partials.offer(only, "שלום לך", 0.0, now=1.01)

    partials.forget(only)

    assert partials.deadline is None
    assert partials.tick(9.0) == []


def test_a_new_window_holds_for_what_waits_too() -> None:
    partials, only = Partials(window=2.0), utterance(0)
    partials.offer(only, "שלום", 0.0, now=1.0)
    partials.offer(only, "שלום לך", 0.0, now=1.01)

    partials.tune(0.1)

    assert partials.deadline == 1.1
