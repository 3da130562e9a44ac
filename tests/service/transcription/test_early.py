"""The early text of a call: what is observed, and what is not observed twice."""

from __future__ import annotations

from batkol.audio.segmenter import SegmentLasted, SegmentQuiet, SegmentResumed
from batkol.speech.utterance import Mode, Utterance
from batkol.transcription.early import EarlyText
from batkol.transcription.events import (
    Interim,
    Quiet,
    SpeechLasted,
    SpeechResumed,
    Tentative,
    WithdrawalReason,
    Withdrawn,
)
from support.speech.observer import Observed

END = 24_000


def begun() -> tuple[EarlyText, Utterance, Observed]:
    said, observed = Utterance(index=0, begin=8000, speech_at=10_400, mode=Mode.STREAMING, covered=8000), Observed()
    early = EarlyText(observed.observe)
    early.begin(said)
    return early, said, observed


def test_a_result_that_changes_nothing_is_not_told() -> None:
    early, said, observed = begun()
    for text, end in (("שלום", 16_000), ("שלום", 16_000), ("שלום", 16_800), ("שלום לך", 16_800)):
        said.update_interim(text, end, 0)
        early.update(said, 2.0)

    assert observed.events == [
        Interim(said, "שלום", 16_000, settled=False),
        Interim(said, "שלום", 16_800, settled=False),
        Interim(said, "שלום לך", 16_800, settled=False),
    ]


def test_text_that_finals_alone_make_up_is_settled_and_none_is_not() -> None:
    early, said, observed = begun()
    said.update_interim("שלום", 16_000, 0)
    early.update(said, 2.0)
    said.settle("", 16_000)
    early.update(said, 2.1)
    said.settle("שלום", 16_000)
    early.update(said, 2.2)

    assert [(event.text, event.settled) for event in observed.of(Interim)] == [
        ("שלום", False),
        ("", False),
        ("שלום", True),
    ]


def test_a_pause_is_told_before_what_follows_from_it() -> None:
    early, said, observed = begun()
    said.update_interim("שלום", END, 0)
    early.pause(said, SegmentLasted(20_000, 20_000), 2.5)
    early.pause(said, SegmentQuiet(END, END + 512), 3.0)
    early.pause(said, SegmentResumed(END + 800, END + 1056), 3.1)

    assert observed.events == [
        SpeechLasted(said, 20_000),
        Quiet(said, END),
        Tentative(said, 1, "שלום", END),
        SpeechResumed(said, END + 800),
        Withdrawn(said, 1, WithdrawalReason.SPEECH),
    ]
