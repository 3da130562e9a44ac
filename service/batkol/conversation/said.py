"""The caller's side of a turn: the utterances that no reply has answered yet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from batkol.speech.lexicon import Ending, Lexicon, ending
from batkol.speech.sameness import same


@dataclass(slots=True)
class SaidUtterance:
    """One utterance. Times in seconds of the turn's clock."""

    text: str = ""
    begun: float = 0.0
    paused: float = -math.inf  # the last sample before the pause of the moment
    stopped: float | None = None  # when the end of speech was known; None while the detector hears speech
    settled: bool = False  # its final is there
    changed: bool = False  # its newest correction says something else
    lasted: bool = False  # as long as an interruption
    unjudged: bool = False  # it lasted, and its newest word was too short to tell what it is
    echo: bool = False  # all of its text is part of what the caller heard then: the line may have returned it
    answered: int = 0  # words at its beginning that a reply has answered

    @property
    def fresh(self) -> str:
        """The text without the words that a reply has answered."""
        return " ".join(self.text.split()[self.answered :])


class Correction(NamedTuple):
    """The words of a turn that a reply has answered, before and after a late result."""

    before: str
    text: str


class CallerTurn:
    """The utterances of the turn, in order of their index. Pure; nothing here has a clock."""

    __slots__ = ("_answered", "_said", "wordless")

    def __init__(self) -> None:
        self._said: dict[int, SaidUtterance] = {}
        self.wordless: int | None = None
        """The newest utterance, if its final had no word."""
        self._answered: dict[int, tuple[int, str]] = {}  # of the newest reply: words answered before, and by it

    def begin(self, utterance: int, now: float) -> SaidUtterance:
        """Return the utterance's entry, a new one if there is none. One that begins again is spoken again."""
        self.wordless = None
        if utterance not in self._said:
            self._said[utterance] = SaidUtterance(begun=now)
            self._said = dict(sorted(self._said.items()))
        said = self._said[utterance]
        said.stopped, said.settled = None, False
        return said

    def get(self, utterance: int) -> SaidUtterance | None:
        """Return the entry; None for an utterance that was answered or dropped."""
        return self._said.get(utterance)

    def drop(self, utterance: int) -> None:
        """Forget an utterance that is no part of a turn."""
        self._said.pop(utterance, None)

    def drop_wordless(self, lexicon: Lexicon, *, since: float) -> None:
        """Forget the utterances that are over and had no telling word, unless they began at `since` or later.

        An echo has none. Of one that is not over, the words that follow are kept.
        """
        for said in self._said.values():
            if said.echo and said.begun < since:
                said.answered = len(said.text.split())
        kept = {
            index: said
            for index, said in self._said.items()
            if said.stopped is None or not said.settled or said.begun >= since or lexicon.telling(said.fresh)
        }
        self._said = kept

    def answer(self) -> None:
        """A reply to all of it is heard. Speech that goes on is kept, for words that follow; late results correct."""
        self._answered = {index: (said.answered, said.fresh) for index, said in self._said.items() if said.fresh}
        self._said = {index: said for index, said in self._said.items() if said.stopped is None}
        for said in self._said.values():
            said.answered = len(said.text.split())

    def correct(self, utterance: int, text: str) -> Correction | None:
        """Take the late text of an utterance that the newest reply has answered; None if it says nothing else."""
        earlier, words = self._answered.get(utterance, (0, ""))
        fresh = " ".join(text.split()[earlier:])
        if not words or not fresh or same(words, fresh):
            return None
        before = self._answered_text
        self._answered[utterance] = (earlier, fresh)
        return Correction(before, self._answered_text)

    @property
    def _answered_text(self) -> str:
        return " ".join(words for _, words in self._answered.values())

    @property
    def text(self) -> str:
        """The words of the turn so far."""
        return " ".join(text for said in self._said.values() if (text := said.fresh))

    @property
    def talking(self) -> bool:
        """Whether the detector hears speech."""
        return any(said.stopped is None for said in self._said.values())

    @property
    def open(self) -> bool:
        """Whether the final of an utterance is still to come."""
        return any(not said.settled and not said.answered for said in self._said.values())

    @property
    def begun_of_lasting(self) -> float | None:
        """Begin of speech that goes on and has lasted as long as an interruption; None if there is none."""
        return min((said.begun for said in self._said.values() if said.lasted and said.stopped is None), default=None)

    @property
    def stopped(self) -> float | None:
        """Time at which the newest end of speech was known."""
        return max((said.stopped for said in self._said.values() if said.stopped is not None), default=None)

    @property
    def ending(self) -> Ending:
        """Judgement on what follows the text, by its end."""
        return ending(self.text)

    def __bool__(self) -> bool:
        return bool(self._said)
