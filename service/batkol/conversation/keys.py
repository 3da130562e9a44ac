"""Rules of the turn table for the keys of the telephone: several of them are one utterance, and a turn's text.

Keys are gathered until `#`, or until none has come for a moment. What they say joins the caller's words of the same
turn: so one answer never has a spoken turn and a turn of keys.
"""

from __future__ import annotations

from typing import Final

from batkol.conversation import announcing
from batkol.conversation.actions import Unsaid
from batkol.conversation.inputs import DigitPressed
from batkol.conversation.state import AUDIBLE
from batkol.conversation.timers import Timer
from batkol.conversation.turn import State, Turn

END: Final = "#"
"""The key that ends an entry; it is no part of it."""

MOST: Final = 64
"""Keys of one entry; with the last one it is over."""


def pressed(turn: Turn, event: DigitPressed, now: float) -> None:
    """Gather a key; before it, end what is said and take back what is prepared."""
    if event.key == END:
        if turn.keys.entry is not None:
            _finish(turn, now)
        return
    if turn.keys.entry is None:
        _begin(turn, now)
    entry = turn.keys.gather(event.key)
    turn.said.begin(entry, now).text = turn.keys.text
    turn.newest_word = now
    if len(turn.keys) >= MOST:
        _finish(turn, now)
    else:
        turn.timers.set(Timer.KEYS, now + turn.thresholds.keys_pause_ms / 1000)


def due(turn: Turn, now: float) -> None:
    """No key has come for a moment."""
    if turn.keys.entry is not None:
        _finish(turn, now)


def _begin(turn: Turn, now: float) -> None:
    turn.keys.begin()
    if turn.state in AUDIBLE:
        if turn.thresholds.keys_interrupt and turn.yields:
            _take_the_floor(turn, now)
        return
    turn.drop_interrupted()
    turn.cancel()
    turn.timers.clear()
    turn.state = State.LISTENING


def _take_the_floor(turn: Turn, now: float) -> None:
    """A key is no noise: what is said is over, does not go on, and what waited behind it is dropped."""
    announcing.silence(turn)
    turn.discard(turn.queue.take_all(), Unsaid.INTERRUPTED)
    turn.said.drop_wordless(turn.words, since=now)
    turn.guesses = 0
    turn.timers.clear()
    turn.state = State.LISTENING


def _finish(turn: Turn, now: float) -> None:
    """The entry is whole: it is committed, or waits with speech that goes on for the end of that."""
    turn.timers.cancel(Timer.KEYS)
    said = None if turn.keys.entry is None else turn.said.get(turn.keys.entry)
    turn.keys.clear()
    if said is None:
        return
    said.stopped, said.settled = now, True
    turn.last_sample = now
    if turn.state in AUDIBLE:
        return  # it is answered when the caller has heard what is said
    if turn.said.talking:
        turn.timers.set(Timer.STANDING, now + turn.thresholds.standing_ms / 1000)
    else:
        turn.commit(now)
