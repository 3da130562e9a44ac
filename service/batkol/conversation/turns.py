"""The turn table: when the agent is asked, when it speaks, and when it is interrupted. Pure.

    listening ──text reaches──▶ guessing ──end of speech──▶ thinking ──first sound──▶ speaking ──speech──▶ yielding
        ▲  ▲─────speech goes on─────┘                           │                        │ ▲─────it was none──┘ │
        │  └──────────────────────new speech────────────────────┘                        │                      │
        └───────────────────────────────────────all of it was heard──────────────────────┴─────interrupted──────┘

`handle` takes an input and `tick` the time; both return the actions to carry out, in order. `deadline` says when `tick`
must run next. What a state does not know changes nothing but the record of what was said. There is one current attempt;
only `Release` gives it a voice, so there is one audible attempt a turn, and one commit that is heard. An announcement,
which is what the API says, is a turn of its own: it waits in a queue until nothing else is said (`announcing`).
"""

from __future__ import annotations

from typing import Final

from batkol.conversation import acting, announcing, listening, recording
from batkol.conversation.actions import Action, StockPhrase
from batkol.conversation.inputs import Input, TextChanged
from batkol.conversation.key_entry import KeyEntry
from batkol.conversation.table import DUE, TABLE
from batkol.conversation.timers import LATE_S
from batkol.conversation.turn import State, Turn
from batkol.speech.lexicon import Lexicon, lexicon
from batkol.speech.turn_thresholds import TurnThresholds

READING_S: Final = 0.2
"""Seconds in which what came meanwhile is read and handled."""


class Turns:
    """The turns of one call. `now` is in seconds of one clock that only goes forward.

    With `answers=False` there is no answerer: nothing is asked, and nothing is said but announcements.
    """

    def __init__(
        self,
        thresholds: TurnThresholds | None = None,
        words: Lexicon | None = None,
        *,
        greeting_yields: bool = True,
        answers: bool = True,
        language: str = "",
    ) -> None:
        self._turn = Turn(
            thresholds or TurnThresholds(),
            words or lexicon(),
            KeyEntry(language),
            greeting_yields=greeting_yields,
            answers=answers,
        )
        self._ran_at = 0.0  # when something was handled, or happened
        self._put_off = False  # what is due has been, once

    def tune(self, thresholds: TurnThresholds, words: Lexicon) -> None:
        """Change the thresholds and the lists; deadlines that are set stay."""
        self._turn.thresholds, self._turn.words = thresholds, words

    def answer_from_now(self, *, answers: bool) -> str:
        """Say whether an answerer is asked from the next turn on; to be called `between_turns`.

        Return the caller's words that no answerer was asked about, if one is from now on.
        """
        turn = self._turn
        begins, turn.answers = answers and not turn.answers, answers
        return turn.passed.take() if begins else ""

    @property
    def between_turns(self) -> bool:
        """Whether the caller's next words begin a turn: none of them waits for an answer."""
        turn = self._turn
        heard = turn.state in {State.SPEAKING, State.YIELDING}
        return (heard or turn.attempt is None) and not turn.doubtful and not turn.said.text

    @property
    def state(self) -> State:
        return self._turn.state

    @property
    def deadline(self) -> float | None:
        """Time at which `tick` must run next."""
        return self._turn.timers.deadline

    def is_due(self, now: float) -> bool:
        """Whether `tick` has something to do."""
        return (due := self.deadline) is not None and due <= now

    def overhears(self, event: TextChanged, now: float) -> bool:
        """Take words of a caller who goes on, while nothing is said, asked or waits; else return False.

        As `handle`, which would find nothing to do, for a fraction of its cost.
        """
        turn = self._turn
        if turn.queue or not turn.idle:
            return False
        if turn.answers:
            recording.record(turn, event, now)
            listening.text_changed(turn, event, now)
        else:
            turn.newest_word = now
        return True

    @property
    def attempt(self) -> int | None:
        """The number of the current attempt."""
        return None if self._turn.attempt is None else self._turn.attempt.number

    @property
    def acting(self) -> int | None:
        """The number of the current attempt, if its tools may be carried out: its words are known for good."""
        attempt = self._turn.attempt
        return None if attempt is None or not attempt.acts else attempt.number

    @property
    def talking(self) -> bool:
        """Whether the detector hears the caller."""
        return self._turn.said.talking

    @property
    def closing(self) -> bool:
        """Whether no further turn begins: the call ends, or its last phrase is being said."""
        attempt = self._turn.attempt
        return self.state in {State.ENDING, State.CLOSING} or (
            attempt is not None and attempt.phrase is StockPhrase.GOODBYE
        )

    @property
    def hangs_up(self) -> bool:
        """Whether it is decided from within that the call is hung up."""
        turn = self._turn
        if turn.end is not None:
            return not turn.end.transfer
        return turn.attempt is not None and turn.attempt.phrase is StockPhrase.GOODBYE

    @property
    def unanswered(self) -> str:
        """The caller's words that no reply has answered."""
        return self._turn.said.text

    @property
    def passed_over(self) -> str:
        """The caller's words that no answerer was asked about, and that the history does not have yet."""
        return self._turn.passed.text

    def set_path(self, seconds: float) -> None:
        """Say how long the network takes there and back, as measured: the clock of a waiting caller makes up for it."""
        self._turn.clock.path_s = seconds

    @property
    def last_sample(self) -> float:
        """Time at which the caller spoke the last sample of speech."""
        return self._turn.last_sample

    def handle(self, event: Input, now: float, sounding: str = "") -> list[Action]:
        """Take an input; `sounding` is the text that the caller hears at this moment, whose echo may come back."""
        turn = self._turn
        turn.actions = []
        self._put_off_late(now)
        recording.record(turn, event, now)  # in closing, too: the next stream of the call answers what is said now
        turn.interruptions.sounding = sounding
        if (rule := TABLE[turn.state].get(type(event))) is not None:
            rule(turn, event, now)
        announcing.proceed(turn, now)
        acting.proceed(turn, now)
        return turn.actions

    def tick(self, now: float) -> list[Action]:
        """Let what is due happen."""
        turn = self._turn
        turn.actions = []
        if not self._put_off_late(now):
            self._put_off = False
            while (timer := turn.timers.take(now)) is not None:
                DUE[timer](turn, now)
        announcing.proceed(turn, now)
        acting.proceed(turn, now)
        return turn.actions

    def _put_off_late(self, now: float) -> bool:
        """Put off what is due, once, if the process has stood still since then; return whether that was done now.

        Words, answers and sound that came meanwhile wait in the sockets, and are read first. What was set for a time
        that had passed already, as where the end of speech is known late, is no sign of that.
        """
        turn, due, ran_at, self._ran_at = self._turn, self.deadline, self._ran_at, now
        if self._put_off or due is None or now - max(due, ran_at) < LATE_S:
            return False
        self._put_off = True
        turn.timers.put_off(now, now + READING_S)
        if turn.attempt is not None and turn.attempt.acts_by is not None:
            turn.attempt.acts_by = max(turn.attempt.acts_by, now + READING_S)
        return True
