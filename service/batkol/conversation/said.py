"""The caller's side of a turn: the utterances that no reply has answered yet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from batkol.speech.lexicon import Ending, Lexicon, ending
from batkol.speech.sameness import same

_MOST_ASIDE: Final = 16
"""Utterances whose finals or corrections may have words; the oldest go first. A recognizer may owe several finals."""


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
    overheard: bool = False  # it was set aside as speech during a reply: only telling words of it count
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

    __slots__ = ("_answered", "_aside", "_finals_due", "_said", "passed_over")

    def __init__(self) -> None:
        self._said: dict[int, SaidUtterance] = {}
        self._aside: dict[int, SaidUtterance] = {}  # those whose final had no word that counts, by its time
        self._finals_due: set[int] = set()  # utterances that the newest reply has answered before their final
        # Of the newest reply: words answered before, and by it. With earlier utterances of which no word is known.
        self._answered: dict[int, tuple[int, str]] = {}
        self.passed_over = False
        """Whether the words that late results correct wait for an announcement: no reply has answered them."""

    def begin(self, utterance: int, now: float) -> SaidUtterance:
        """Return the utterance's entry, a new one if there is none. One that begins again is spoken again."""
        self._aside.pop(utterance, None)
        if utterance not in self._said:
            self._insert(utterance, SaidUtterance(begun=now))
        said = self._said[utterance]
        said.stopped, said.settled = None, False
        return said

    def _insert(self, utterance: int, said: SaidUtterance) -> None:
        self._said[utterance] = said
        self._said = dict(sorted(self._said.items()))

    def get(self, utterance: int) -> SaidUtterance | None:
        """Return the entry; None for an utterance that was answered or dropped."""
        return self._said.get(utterance)

    def drop(self, utterance: int) -> None:
        """Forget an utterance that is no part of a turn."""
        self._said.pop(utterance, None)

    def set_aside(self, utterance: int, *, overheard: bool) -> None:
        """Forget an utterance of which no word that counts is known, unless a late result has some (`recall`)."""
        if (said := self._said.pop(utterance, None)) is None or said.echo:
            return
        said.overheard = overheard
        self._aside[utterance] = said
        while len(self._aside) > _MOST_ASIDE:
            del self._aside[next(iter(self._aside))]

    def recall(self, utterance: int, text: str, lexicon: Lexicon, now: float) -> bool:
        """Take the late text of an utterance that was set aside: with words that count it is part of the turn."""
        said = self._aside.get(utterance)
        if said is None:
            return False
        fresh = " ".join(text.split()[said.answered :])
        if not fresh or (said.overheard and not lexicon.telling(fresh)):
            return False
        del self._aside[utterance]
        said.text, said.changed, said.stopped, said.settled = text, True, now, True
        self._insert(utterance, said)
        return True

    def drop_wordless(self, lexicon: Lexicon, *, since: float) -> None:
        """Forget the utterances that are over and had no telling word, unless they began at `since` or later.

        An echo has none. Of one that is not over, the words that follow are kept.
        """
        for said in self._said.values():
            if said.echo and said.begun < since:
                said.answered = len(said.text.split())
        for index, said in tuple(self._said.items()):
            over = said.stopped is not None and said.settled
            if over and said.begun < since and not lexicon.telling(said.fresh):
                self.set_aside(index, overheard=True)

    def answer(self, *, spoken: bool = False, passed_over: bool = False) -> None:
        """A reply to all of it is heard, or none will come. Speech that goes on is kept; late results correct.

        So is, with `spoken`, what is over and of which no word is known yet: the reply says nothing to it. Otherwise
        nothing more of it is waited for.
        """
        self.passed_over = passed_over
        words = {index: (said.answered, said.fresh) for index, said in self._said.items() if said.fresh}
        if words:  # a reply to nothing, such as a question to a silent caller, answers no words that come later
            words |= {index: (said.answered, "") for index, said in self._aside.items() if not said.overheard}
            self._aside = {index: said for index, said in self._aside.items() if said.overheard}
            wordless = [(index, known) for index, known in self._answered.items() if not known[1]]  # still
            self._answered = dict(sorted((dict(wordless[-_MOST_ASIDE:]) | words).items()))
        over = {index: said for index, said in self._said.items() if said.stopped is not None}
        self._finals_due = {index for index, said in over.items() if said.fresh and not said.settled}
        for index, said in over.items():
            if said.fresh:
                self.drop(index)
            elif said.settled or not spoken:
                self.set_aside(index, overheard=said.settled)
        for said in self._said.values():
            said.answered = len(said.text.split())

    def correct(self, utterance: int, text: str) -> Correction | None:
        """Take the late text of an utterance that the newest reply has answered; None if it says nothing else.

        One of the same turn whose final had no word may have some by now.
        """
        if utterance not in self._answered:
            return None
        earlier, words = self._answered[utterance]
        fresh = " ".join(text.split()[earlier:])
        if not fresh or same(words, fresh):
            return None
        before = self._answered_text
        self._answered[utterance] = (earlier, fresh)
        return Correction(before, self._answered_text)

    @property
    def _answered_text(self) -> str:
        return " ".join(words for _, words in self._answered.values() if words)

    def take_final(self, utterance: int) -> None:
        """The final of an utterance is there."""
        self._finals_due.discard(utterance)

    @property
    def awaits_final(self) -> bool:
        """Whether the final of words that are answered, or are about to be, is still to come. Of speech that goes on
        none is waited for."""
        coming = (said.fresh and said.stopped is not None and not said.settled for said in self._said.values())
        return bool(self._finals_due) or any(coming)

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
