"""A caller whose every utterance is another word, and a recognizer that knows it early, late, or by a correction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hypothesis import strategies as st

from batkol.conversation.actions import Action, Announce, Ask, CorrectCaller, Resume, SayPhrase
from batkol.conversation.inputs import (
    CallerBegan,
    CallerLasted,
    CallerStopped,
    CallOpened,
    TextChanged,
    TextRevised,
    TextSettled,
)
from batkol.conversation.state import State
from support.agent.world import World

WORDS: Final = ("ראשון", "שני", "שלישי", "רביעי", "חמישי")

_steps = st.sampled_from(
    [*["speaks"] * 4, *["is recognized"] * 3, "sounds", "sounds", "is played", "fails", "breaks", "runs dry"]
)
_delays = st.sampled_from([0.0, 0.05, 0.2, 0.4, 1.3, 4.0])
_known = st.sampled_from(["nothing", "the word", "that it lasts"])
conversations = st.lists(st.tuples(_steps, _delays, _known), max_size=40)


class SpokenWords(World):
    """A world that keeps which words of the caller an attempt that was heard had, or the history, or nobody so far."""

    def __init__(self) -> None:
        super().__init__()
        self.said: set[str] = set()
        self._utterance = -1
        self._step = "is over"
        self._unsettled: list[int] = []
        self._uncorrected: list[int] = []
        self._texts: dict[int, str] = {}
        self._heard: set[int] = set()
        self._corrected: list[str] = []
        self.happen(CallOpened(greet=False))

    def step(self, what: str, known: str) -> None:
        """Let the caller go on, the recognizer have its next result, or the reply do something."""
        if what == "speaks":
            self._speak(known)
        elif what == "is recognized":
            self._recognize(known)
        else:
            self.own(what)
        self.hold_to_the_rules()

    def finish(self) -> None:
        """Let the caller fall silent, the recognizer have its finals, and everything be heard."""
        if self._step != "is over":
            self._stop()
        while self._unsettled:
            self._recognize("nothing")
        self.end_of_all()

    @property
    def lost(self) -> set[str]:
        """The words that nobody has."""
        has = [text for attempt, text in self._texts.items() if attempt in self._heard]
        return self.said - set(" ".join([*has, *self._corrected, self.turns.unanswered]).split())

    def carry_out(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Ask(attempt, text) | SayPhrase(_, attempt, text) | Announce(_, attempt, text):
                    self._texts[attempt] = text
                case Resume(interrupted, attempt):
                    self._texts[attempt] = self._texts.get(interrupted, "")
                case CorrectCaller(_, text, attempt) if attempt:
                    self._texts[attempt] = text
                case CorrectCaller(_, text):
                    self._corrected.append(text)
                case _:
                    pass
        super().carry_out(actions)
        if self.audible is not None:
            self._heard.add(self.audible)

    def _speak(self, known: str) -> None:
        if self._step == "is over":
            if self._utterance + 1 < len(WORDS) and self.turns.state is not State.CLOSING:
                self._utterance, self._step = self._utterance + 1, "begins"
                self.happen(CallerBegan(self._utterance))
        elif self._step == "begins":
            self._step = "goes on"
            if known == "the word":
                self.said.add(WORDS[self._utterance])
                self.happen(TextChanged(self._utterance, WORDS[self._utterance]))
            elif known == "that it lasts":
                self.happen(CallerLasted(self._utterance))
        else:
            self._stop()

    def _stop(self) -> None:
        self._step = "is over"
        self._unsettled.append(self._utterance)
        self.happen(CallerStopped(self._utterance, self.now))

    def _recognize(self, known: str) -> None:
        """Have the next final, or the correction of one that had no word."""
        if self._uncorrected and not (self._unsettled and known == "nothing"):
            word = WORDS[utterance := self._uncorrected.pop(0)]
            if known == "the word":
                self.said.add(word)
                self.happen(TextRevised(utterance, word))
        elif self._unsettled:
            word = WORDS[utterance := self._unsettled.pop(0)]
            if known == "the word" or word in self.said:
                self.said.add(word)
                self.happen(TextSettled(utterance, word))
            else:
                self._uncorrected.append(utterance)
                self.happen(TextSettled(utterance, ""))
