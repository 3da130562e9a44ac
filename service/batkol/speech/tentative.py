"""The tentative of a call: what the caller seems to have said, before any final says it.

A tentative stands as soon as the caller is quiet and the newest text reaches the end of speech. It says nothing about
whether the caller goes on: speech that goes on withdraws it, and so does a text that says something else. A final
replaces it, and says whether it confirms it.

At most one stands in a call, and it is the newest utterance's: when another utterance begins, the caller speaks again,
so the tentative of the one before is withdrawn for that reason, even if its final is still to come. That final then
confirms nothing.

Samples are absolute; `now` and the deadline are seconds of one clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, TypeAlias

import msgspec

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.speech.sameness import same, spoken
from batkol.speech.utterance import REACHES, Mode, Utterance, UtteranceState

CLOSE: Final = 120 * SAMPLES_PER_MS
"""Text that ends within 120 ms of the end of speech reaches it: the detector's end is itself about 100 ms late."""

WAITED_S: Final = 0.15
"""Seconds of quiet after which text that ends within `REACHES` (400 ms) of the end of speech is taken, too."""


class WithdrawalReason(StrEnum):
    """Reasons for which a tentative no longer holds."""

    SPEECH = "speech"  # the caller speaks again
    TEXT = "text"  # the newest text says something else


class Tentative(msgspec.Struct, frozen=True):
    """A text stands for an utterance until it is withdrawn, or the utterance has its final."""

    utterance: Utterance
    number: int  # of the utterance's tentatives, from 1
    text: str
    end: int  # the sample that the text reaches to


class Withdrawn(msgspec.Struct, frozen=True):
    """The standing tentative no longer holds."""

    utterance: Utterance
    number: int
    reason: WithdrawalReason


TentativeChange: TypeAlias = Tentative | Withdrawn


class Tentatives:
    """The tentatives of one call. Every method returns what changes, in order.

    Only utterances in streaming mode have tentatives: the others have no text before their final.
    """

    __slots__ = ("_end", "_number", "_standing", "_text", "_utterance", "_wide_at", "_wide_due")

    def __init__(self) -> None:
        self._utterance: Utterance | None = None  # the newest one, until its final
        self._number = 0  # of its last tentative
        self._standing = False
        self._text = ""  # of its last tentative
        self._end: int | None = None  # the end of speech, while the caller is quiet
        self._wide_at = 0.0  # from then on a text may stop shorter
        self._wide_due = False  # whether `tick` has to look at the text when it is then

    @property
    def deadline(self) -> float | None:
        """Time at which `tick` must run next."""
        return self._wide_at if self._wide_due and not self._standing else None

    def begin(self, utterance: Utterance) -> Sequence[TentativeChange]:
        """The caller begins another utterance."""
        changes = self._withdraw(WithdrawalReason.SPEECH)
        self._utterance, self._number = utterance, 0
        self._end, self._wide_due = None, False
        return changes

    def fall_quiet(self, utterance: Utterance, end: int, now: float) -> Sequence[TentativeChange]:
        """The caller is quiet after sample `end`. What is known already changes nothing."""
        if utterance is not self._utterance or self._end is not None:
            return ()
        self._end = end
        self._wide_at, self._wide_due = now + WAITED_S, utterance.mode is Mode.STREAMING
        return self._stand(now)

    def resume(self, utterance: Utterance) -> Sequence[TentativeChange]:
        """The caller goes on with the same utterance."""
        if utterance is not self._utterance:
            return ()
        self._end, self._wide_due = None, False
        return self._withdraw(WithdrawalReason.SPEECH)

    def update(self, utterance: Utterance, now: float) -> Sequence[TentativeChange]:
        """A result changed the utterance's newest text, or how far it reaches."""
        if utterance is not self._utterance or self._end is None:
            return ()
        if not self._standing:
            return self._stand(now)
        if same(self._text, utterance.newest):
            return ()
        return (*self._withdraw(WithdrawalReason.TEXT), *self._stand(now))

    def tick(self, now: float) -> Sequence[TentativeChange]:
        """Take a text that stops a little short, if the time for it has come."""
        if not self._wide_due or self._standing or now < self._wide_at:
            return ()
        self._wide_due = False
        return self._stand(now)

    def close(self, utterance: Utterance) -> int | None:
        """Return the number of the standing tentative that the utterance's final confirms. None stands after it."""
        if utterance is not self._utterance:
            return None
        confirms = self._number if self._standing and same(self._text, utterance.text) else None
        self._utterance, self._standing, self._end, self._wide_due = None, False, None, False
        return confirms

    def _stand(self, now: float) -> Sequence[TentativeChange]:
        utterance, end = self._utterance, self._end
        if utterance is None or end is None or utterance.mode is not Mode.STREAMING:
            return ()
        wide = now >= self._wide_at
        if utterance.state is UtteranceState.DONE or utterance.text_end < end - (REACHES if wide else CLOSE):
            return ()
        text = utterance.newest
        if not spoken(text):
            return ()
        self._number, self._standing, self._text = self._number + 1, True, text
        return (Tentative(utterance, self._number, text, utterance.text_end),)

    def _withdraw(self, reason: WithdrawalReason) -> Sequence[TentativeChange]:
        if self._utterance is None or not self._standing:
            return ()
        self._standing = False
        return (Withdrawn(self._utterance, self._number, reason),)
