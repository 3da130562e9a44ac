"""The present turn of a conversation: what was said, the current attempt, and the steps that the rules take."""

from __future__ import annotations

import math
from typing import Final

from batkol.conversation.actions import (
    Action,
    Announce,
    Ask,
    Cancel,
    CorrectCaller,
    Discard,
    GiveUp,
    Release,
    Resume,
    SayPhrase,
    StockPhrase,
    Unsaid,
)
from batkol.conversation.announcement_queue import AnnouncementQueue
from batkol.conversation.inputs import EndAsked
from batkol.conversation.interruption import Interruptions
from batkol.conversation.key_entry import KeyEntry
from batkol.conversation.passed_words import PassedWords
from batkol.conversation.said import CallerTurn
from batkol.conversation.silence_clock import SilenceClock
from batkol.conversation.state import Attempt, PartingStep, State
from batkol.conversation.timers import Timer, Timers
from batkol.speech.lexicon import Ending, Lexicon
from batkol.speech.sameness import same
from batkol.speech.turn_thresholds import TurnThresholds

__all__ = ["Attempt", "State", "Turn"]

# fmt: off
_BEFORE_THE_COMMIT: Final = (
    Timer.GUESS, Timer.PATIENCE, Timer.DROP, Timer.STANDING, Timer.WORDLESS, Timer.REJOIN, Timer.IDLE,
)
# fmt: on


class Turn:
    """The state of `Turns`, and its steps. Times in seconds of one clock."""

    def __init__(
        self, thresholds: TurnThresholds, words: Lexicon, keys: KeyEntry, *, greeting_yields: bool, answers: bool
    ) -> None:
        self.thresholds = thresholds
        self.words = words
        self.greeting_yields = greeting_yields
        self.answers = answers
        """Whether there is an answerer. Without one the API alone speaks."""
        self.state = State.LISTENING
        self.said = CallerTurn()
        self.timers = Timers()
        self.clock = SilenceClock(self.timers)
        self.actions: list[Action] = []
        self.attempt: Attempt | None = None
        self.interruptions = Interruptions()
        self.count = 0  # of attempts
        self.guesses = 0  # speculative attempts in this utterance
        self.restarted = False  # the committed attempt was replaced once already
        self.last_sample = self.arrived = 0.0  # when the caller spoke it; the same, as late as the media came
        self.idle_prompts = 0
        self.floor_since = math.inf  # when the caller was given the floor
        self.queue = AnnouncementQueue()
        self.passed = PassedWords()
        self.newest_word = 0.0  # when the caller began an utterance, or its text changed, or pressed a key
        self.keys = keys
        self.end: EndAsked | None = None  # why the call ends from within
        self.step = PartingStep.FINISHING  # of that end
        self.goodbye_wanted = False
        self.stays = True  # whether the caller of a refused transfer is spoken to again

    @property
    def doubtful(self) -> bool:
        """Whether speech has held up or interrupted a reply, which goes on unless words come."""
        return self.interruptions.resumable or (self.attempt is not None and self.attempt.held)

    def words_came(self) -> None:
        """The caller said something new: what was held or interrupted is over."""
        self.drop_interrupted()
        if self.attempt is not None and self.attempt.held and not same(self.attempt.text, self.said.text):
            self.timers.cancel(Timer.REJOIN)
            self.cancel()

    def drop_interrupted(self) -> None:
        """The interrupted reply will not go on."""
        self.timers.cancel(Timer.WORDLESS)
        if (interrupted := self.interruptions.confirm()) is not None:
            self.actions.append(Cancel(interrupted.number))
            self.discard(self.queue.take_overtaken(), Unsaid.INTERRUPTED)

    def commit_in_time(self, now: float) -> None:
        """Commit at once, or when the time that its ending is given is over: before the filler, in any case."""
        if not self.clock.running:
            self.start_clock(now)
        wait = {
            Ending.WHOLE: 0,
            Ending.UNFINISHED: self.thresholds.unfinished_ms,
            Ending.DICTATION: self.thresholds.dictation_ms,
        }[self.said.ending]
        due = (self.said.stopped or now) + wait / 1000
        if (latest := self.clock.last_commit) is not None:
            due = min(due, latest)
        if due <= now:
            self.commit(now)
        else:
            self.timers.set(Timer.PATIENCE, due)

    def commit(self, now: float) -> None:
        """Commit the turn, if it has words and no key is awaited: its attempt, or a new one, may be heard."""
        text = self.said.text
        if not text or self.keys.entry is not None:
            return
        if not self.asks and not (self.answers and self.said.talking):
            self.pass_over()
            return
        self.timers.cancel(*_BEFORE_THE_COMMIT)
        self.drop_interrupted()
        if self.attempt is None or not same(self.attempt.text, text):
            self.cancel()
            self.ask(text, speculative=False)
        self.restarted, self.idle_prompts = False, 0
        self.release()
        if not self.clock.running:
            self.last_sample = min(self.last_sample, now) if not self.said.talking else now
            self.start_clock(now)

    def pass_over(self) -> None:
        """The turn is over, and no answerer is asked: an announcement may answer it, now or later."""
        self.drop_interrupted()
        self.cancel()
        self.timers.clear()
        if text := self.said.text:
            self.passed.add(text)
        self.said.answer(passed_over=bool(text))
        self.idle_prompts = 0
        self.state = State.LISTENING

    def correct(self, before: str, text: str) -> None:
        """Correct words that were answered, or that were passed over and wait for an announcement."""
        if not (self.said.passed_over and self.passed.correct(text)):
            self.actions.append(CorrectCaller(before, text))

    def forget_keys(self) -> None:
        """The entry that is gathered is no part of a turn any more."""
        if self.keys.entry is not None:
            self.said.drop(self.keys.entry)
        self.keys.clear()
        self.timers.cancel(Timer.KEYS)

    def rejoin(self, now: float) -> None:
        """Speech before the reply had no telling word: the committed turn goes on."""
        if self.attempt is None:
            self.commit(now)
            return
        self.attempt.held = False
        self.timers.cancel(Timer.REJOIN)
        self.release()
        self.start_clock(now)

    def ask_again(self, text: str) -> None:
        """Replace the committed attempt; that happens once a turn."""
        self.restarted = True
        self.cancel()
        self.ask(text, speculative=False)
        self.release()

    def resume(self) -> None:
        """Go on with the reply that noise interrupted."""
        self.cancel()
        interrupted = self.interruptions.take_back()
        self.count += 1
        self.attempt = Attempt(self.count, interrupted.text, interrupted.phrase)
        self.actions.append(Resume(interrupted.number, self.count))
        self.timers.clear()
        self.state = State.YIELDING if self.said.talking else State.SPEAKING

    def guess(self) -> None:
        """Begin an attempt before the end of speech, of which there are a few in an utterance."""
        if self.asks and self.keys.entry is None and self.guesses < self.thresholds.guesses:
            self.guesses += 1
            self.ask(self.said.text, speculative=True)

    def ask(self, text: str, *, speculative: bool, grown: int = 0) -> None:
        """Begin an attempt."""
        self.count += 1
        self.attempt = Attempt(self.count, text, grown=grown)
        self.actions.append(Ask(self.count, text, speculative))

    def cancel(self) -> None:
        """Throw the current attempt away, of which nothing was heard."""
        if self.attempt is not None:
            self.actions.append(Cancel(self.attempt.number))
            self.attempt = None
        self.timers.cancel(Timer.DROP, Timer.GUESS)

    def release(self) -> None:
        """Give the current attempt a voice."""
        if self.attempt is not None:
            self.actions.append(Release(self.attempt.number))
        self.state = State.THINKING

    def say(self, phrase: StockPhrase, *, answers: bool = True) -> None:
        """Say a phrase as a reply of its own. It answers what was said, or takes the place of the rest of a reply."""
        if not self.answers:
            self.pass_over()
            return
        self.begin_to_speak(phrase)
        self.actions.append(SayPhrase(phrase, self.count, self.said.text if answers else ""))
        self._now_speaking(answers=answers)

    def announce(self) -> None:
        """Say the announcement at the head of the queue, as a reply of its own. It answers what was said."""
        announcement = self.queue.take()
        self.begin_to_speak()
        answers = " ".join(filter(None, (self.passed.take(), self.said.text)))
        self.actions.append(Announce(announcement, self.count, answers))
        self._now_speaking()

    def begin_to_speak(self, phrase: StockPhrase | None = None) -> None:
        """Begin an attempt that needs no answerer."""
        self.drop_interrupted()
        self.cancel()
        self.count += 1
        self.attempt = Attempt(self.count, "", phrase)

    def _now_speaking(self, *, answers: bool = True) -> None:
        self.timers.clear()
        if answers:
            self.said.answer()
        self.state = State.YIELDING if self.said.talking else State.SPEAKING

    def discard(self, announcements: list[int], why: Unsaid) -> None:
        """Throw away announcements that were taken from the queue."""
        self.actions += [Discard(each, why) for each in announcements]

    def start_clock(self, now: float) -> None:
        """The caller waits since the last sample."""
        if self.answers:
            self.clock.start(self.last_sample, self.thresholds, now=now, arrived=self.arrived)

    def wait_idly(self, since: float) -> None:
        """Nothing is said since then: the caller is asked after a time.

        Noise puts that off, and not for ever: music that comes and goes is no caller who is about to speak.
        """
        if self.thresholds.idle_ms and self.answers:
            idle_s = self.thresholds.idle_ms / 1000
            self.timers.set(Timer.IDLE, min(since, self.floor_since + idle_s) + idle_s)

    def give_up(self) -> None:
        """End the committed attempt, which hangs: the caller waits for it, or has heard some of it."""
        if self.attempt is not None:
            self.actions.append(GiveUp(self.attempt.number))
            self.attempt = None

    def nothing_said(self, now: float, *, failed: bool) -> None:
        """Speech had no words, or with `failed` they are not known."""
        self.cancel()
        self.clock.stop()
        self.timers.cancel(Timer.PATIENCE)
        if failed:
            self.say(StockPhrase.REPEAT)
        else:
            self.state = State.LISTENING
            self.wait_idly(min(self.last_sample, now))

    def go_on(self, now: float) -> None:
        """Speech had no telling word: what it held up or interrupted goes on."""
        if self.interruptions.resumable:
            self.resume()
        else:
            self.rejoin(now)

    def doubt(self, now: float) -> None:
        """Speech goes on: it may be a breath, so the attempt is kept for a moment."""
        self.state = State.LISTENING
        self.timers.cancel(Timer.GUESS)
        if self.attempt is not None:
            self.timers.set(Timer.DROP, now + self.thresholds.keep_attempt_ms / 1000)

    @property
    def asks(self) -> bool:
        """Whether the answerer is asked: there is one, and no urgent announcement will take the place of its answer."""
        return self.answers and not self.queue.takes_the_floor

    @property
    def idle(self) -> bool:
        """Whether nothing is said, prepared or held back."""
        return self.state is State.LISTENING and self.attempt is None and not self.interruptions.resumable

    @property
    def yields(self) -> bool:
        """Whether the caller may interrupt what is being said."""
        phrase = None if self.attempt is None else self.attempt.phrase
        return self.greeting_yields or phrase is not StockPhrase.GREETING
