"""The end of a reply of a call that is about to end: at the end of a sentence, and not in the middle of a word."""

from __future__ import annotations

from functools import partial

from batkol.conversation.actions import Unsaid
from batkol.conversation.line import Line
from batkol.conversation.replies import Replies


class LastSentence:
    """One per conversation."""

    def __init__(self, replies: Replies, line: Line) -> None:
        self._replies = replies
        self._line = line
        self._stop = 0  # the position at which the reply is silenced; 0: it is heard to its end

    def end_within(self, samples: int) -> None:
        """Have the reply that is heard end with its last sentence that is over by then. Call it as often as you like.

        A reply that is over by then, or has no such sentence, goes on.
        """
        voiced = self._replies.playout.audible
        if voiced is None or voiced.playing is None:
            return
        until = self._line.position + samples
        if voiced.whole and voiced.playing.end <= until:
            self._stop = 0
            return
        stop = voiced.playing.last_end(until)
        if self._line.position < stop != self._stop:
            self._stop = stop
            self._line.at(stop - 1, partial(self._end, stop))

    def _end(self, stop: int) -> None:
        if stop == self._stop:
            self._replies.close(Unsaid.CLOSING, self._line.clear())
