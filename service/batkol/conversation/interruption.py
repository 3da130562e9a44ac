"""Judgement on speech during the reply: a real interruption, a backchannel word, an echo, or noise."""

from __future__ import annotations

from typing import NamedTuple

from batkol.conversation.actions import StockPhrase
from batkol.speech.lexicon import Lexicon
from batkol.speech.sameness import spoken
from batkol.speech.turn_thresholds import TurnThresholds


class Interrupted(NamedTuple):
    """The reply that was interrupted."""

    number: int
    text: str
    phrase: StockPhrase | None


class Interruptions:
    """The interruptions of one call. Those without words are counted; after some, only words interrupt."""

    __slots__ = ("_false", "_interrupted", "_quiet_since", "sounding")

    def __init__(self) -> None:
        self.sounding = ""
        """The text that the caller hears now."""
        self._interrupted: Interrupted | None = None
        self._false = 0
        self._quiet_since: float | None = None

    @property
    def resumable(self) -> bool:
        """Whether a reply was interrupted by speech that had no telling word so far."""
        return self._interrupted is not None

    def speech_began(self, now: float, thresholds: TurnThresholds) -> None:
        """Speech after a line that was quiet: what disturbed before is over."""
        if self._quiet_since is not None and now - self._quiet_since >= thresholds.quiet_line_ms / 1000:
            self._false = 0
        self._quiet_since = None

    def speech_ended(self, now: float) -> None:
        self._quiet_since = now

    def interrupt(self, reply: Interrupted) -> None:
        """A reply was interrupted; words must follow."""
        self._interrupted = reply

    def confirm(self) -> Interrupted | None:
        """Words followed: return the reply that will not go on, if there is one."""
        interrupted, self._interrupted = self._interrupted, None
        return interrupted

    def take_back(self) -> Interrupted:
        """No words followed: return the reply that goes on. Raises `RuntimeError` if there is none."""
        if self._interrupted is None:
            raise RuntimeError("no reply was interrupted")
        interrupted, self._interrupted = self._interrupted, None
        self._false += 1
        return interrupted

    def by_words(self, text: str, words: Lexicon, thresholds: TurnThresholds) -> bool:
        """Whether these words interrupt while they are spoken."""
        if self.is_echo(text):
            return False
        return words.stops(text) or len(words.telling(text)) >= thresholds.interrupt_words

    def by_final(self, text: str, words: Lexicon) -> bool:
        """Whether the words of a whole utterance interrupt: any that is more than a backchannel word."""
        return not self.is_echo(text) and bool(words.telling(text) or words.stops(text))

    def by_length(self, text: str, words: Lexicon, thresholds: TurnThresholds) -> bool:
        """Whether speech that lasts interrupts, of which these words are known so far."""
        if self._false >= thresholds.false_interruptions:
            return False
        return not text or not (words.is_backchannel(text) or self.is_echo(text) or words.may_become_backchannel(text))

    def is_echo(self, text: str) -> bool:
        """Whether a text is part of what the caller hears: the line returned it."""
        heard, back = f" {spoken(self.sounding)} ", spoken(text)
        return bool(back) and f" {back} " in heard
