"""Makers of a call's replies: which answerer and voice each has, and how many attempts it took."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from batkol.conversation import events as turns
from batkol.conversation.actions import StockPhrase

ANSWER: Final = "answer"
PHRASE: Final = "phrase"
ANNOUNCEMENT: Final = "announcement"

MOST: Final = 16
"""Attempts and replies under way that are remembered; a call has a few."""

_K = TypeVar("_K")
_V = TypeVar("_V")

_INSTEAD: Final = frozenset({StockPhrase.APOLOGY, StockPhrase.REPEAT})  # of an answer


class ReplyMakers(msgspec.Struct, frozen=True):
    """The part of `reply.ended` about one reply's making."""

    kind: str
    answerer: str = ""
    voice: str = ""
    answerer_variant: str = ""
    voice_variant: str = ""
    attempts: int = 0


class MakersOfReplies:
    """One per call. It keeps what is said of attempts and replies until they are over."""

    def __init__(self) -> None:
        self._asked: OrderedDict[int, turns.AttemptBegan] = OrderedDict()
        self._makers: OrderedDict[str, ReplyMakers] = OrderedDict()
        self._attempts = 0  # since the newest reply that answers

    def asked(self, event: turns.AttemptBegan) -> None:
        """An answerer is asked."""
        self._attempts += 1
        _keep(self._asked, event.attempt, event)

    def sounded(self, event: turns.FirstSoundWritten) -> None:
        """The first sound of a reply was written."""
        _keep(self._makers, event.reply_id, self._makers_of(event))

    def take(self, reply_id: str, voices: Sequence[str] = ()) -> ReplyMakers:
        """Return what is known of a reply that is over, and forget it.

        `voices` gave its sound: "" is the one that was asked, a name one behind it.
        """
        makers = self._makers.pop(reply_id, None) or ReplyMakers(ANSWER)
        if not any(voices):
            return makers
        return msgspec.structs.replace(makers, voice=", ".join(filter(None, (name or makers.voice for name in voices))))

    def _makers_of(self, event: turns.FirstSoundWritten) -> ReplyMakers:
        if event.announced:
            return ReplyMakers(ANNOUNCEMENT)
        if event.phrase is not None and event.phrase not in _INSTEAD:
            return ReplyMakers(PHRASE)
        attempts, self._attempts = self._attempts, 0
        if event.phrase is not None:
            return ReplyMakers(PHRASE, attempts=attempts)
        asked = self._asked.pop(event.attempt, None)
        if asked is None:
            return ReplyMakers(ANSWER, attempts=attempts)
        return ReplyMakers(
            ANSWER,
            event.answered_by or asked.answerer,
            asked.voice,
            asked.answerer_variant,
            asked.voice_variant,
            attempts=attempts,
        )


def _keep(kept: OrderedDict[_K, _V], key: _K, value: _V) -> None:
    kept[key] = value
    if len(kept) > MOST:
        kept.popitem(last=False)
