"""What must hold of the early text of any call, and how much of it was in vain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from batkol.speech.sameness import same, spoken
from batkol.speech.utterance import Utterance
from batkol.transcription.events import (
    FinalReady,
    Interim,
    Quiet,
    SpeechResumed,
    SpeechStopped,
    Tentative,
    UtteranceOpened,
    WithdrawalReason,
    Withdrawn,
)


@dataclass
class EarlyTextCheck:
    """Goes through what a call's recognition told, and asserts what an agent relies on."""

    standing: Tentative | None = None
    spoken: Utterance | None = None
    quiet: bool = False
    attempts: dict[int, int] = field(default_factory=dict)  # by utterance
    withdrawn: int = 0
    confirmed: int = 0
    finals: set[int] = field(default_factory=set)
    interims: dict[int, str] = field(default_factory=dict)

    def follow(self, events: Sequence[object]) -> EarlyTextCheck:
        for event in events:
            self.observe(event)
        assert self.standing is None, "a call leaves no tentative behind"
        return self

    def observe(self, event: object) -> None:
        match event:
            case UtteranceOpened(utterance, decision) if decision is not None:
                assert self.standing is None, "the caller speaks"
                self.spoken, self.quiet = utterance, False
            case Quiet(utterance) | SpeechStopped(utterance):
                assert utterance is self.spoken
                self.quiet = True
            case SpeechResumed(utterance):
                assert utterance is self.spoken
                self.quiet = False
            case Interim(utterance, text):
                assert utterance.index not in self.finals
                self.interims[utterance.index] = text
            case Tentative():
                self._stand(event)
            case Withdrawn():
                self._fall(event)
            case FinalReady(utterance, text, confirms):
                self._end(utterance, text, confirms)

    def _stand(self, event: Tentative) -> None:
        index = event.utterance.index
        assert self.standing is None, "at most one stands"
        assert index not in self.finals, "never after the final"
        assert event.utterance is self.spoken
        assert self.quiet
        assert spoken(event.text)
        assert event.text == self.interims[index], "an observer of interims has seen it"
        self.attempts[index] = self.attempts.get(index, 0) + 1
        assert event.number == self.attempts[index]
        self.standing = event

    def _fall(self, event: Withdrawn) -> None:
        assert self.standing is not None
        assert (event.utterance, event.number) == (self.standing.utterance, self.standing.number)
        if event.reason is WithdrawalReason.TEXT:
            assert not same(self.standing.text, self.interims[event.utterance.index])
        self.standing = None
        self.withdrawn += 1

    def _end(self, utterance: Utterance, text: str, confirms: int | None) -> None:
        stands = self.standing is not None and self.standing.utterance is utterance
        if stands:
            assert self.standing is not None
            agrees = same(self.standing.text, text)
            assert confirms == (self.standing.number if agrees else None)
            self.confirmed += agrees
            self.standing = None
        else:
            assert confirms is None
        self.finals.add(utterance.index)
