"""Record of what the caller said, whatever the state of the turn table makes of it.

A result that comes after the first sound of the reply to its words brings no other reply: it corrects the history.
"""

from __future__ import annotations

from batkol.conversation.actions import CorrectCaller
from batkol.conversation.inputs import (
    CallerBegan,
    CallerLasted,
    CallerPaused,
    CallerStopped,
    Input,
    TextChanged,
    TextReached,
    TextRevised,
    TextSettled,
)
from batkol.conversation.timers import LATE_S
from batkol.conversation.turn import Turn
from batkol.speech.sameness import same


def record(turn: Turn, event: Input, now: float) -> None:
    """Keep what was said, whatever the state makes of it."""
    if isinstance(event, CallerBegan):
        turn.newest_word = now
        turn.said.begin(event.utterance, now)
        turn.interruptions.speech_began(now, turn.thresholds)
        return
    said = turn.said.get(getattr(event, "utterance", -1))
    if said is None:
        _correct(turn, event, now)
        return
    match event:
        case TextChanged(_, text) | TextReached(_, text):
            turn.newest_word = turn.newest_word if text == said.text else now
            said.text = text
        case CallerPaused(_, last_sample):
            said.paused = last_sample
        case CallerLasted():
            said.lasted = True
        case CallerStopped(_, last_sample, certain_at):
            said.stopped = now
            late_s = 0.0 if certain_at is None else now - certain_at
            turn.last_sample, turn.arrived = last_sample, last_sample + (late_s if late_s >= LATE_S else 0.0)
            turn.interruptions.speech_ended(now)
        case TextSettled(_, text):
            said.text, said.settled = text, True
            if said.stopped is None:  # its end is not known from the detector
                said.stopped = turn.last_sample = now
        case TextRevised(_, text):
            said.changed = not same(said.text, text)
            said.text = text


def _correct(turn: Turn, event: Input, now: float) -> None:
    """Take a result for words that a reply has answered already, or the first words of an utterance that had none."""
    if not isinstance(event, TextSettled | TextRevised):
        return
    if isinstance(event, TextSettled):
        turn.said.take_final(event.utterance)
    if turn.said.recall(event.utterance, event.text, turn.words, now):
        turn.newest_word = now
    elif late := turn.said.correct(event.utterance, event.text):
        turn.correct(late.before, late.text)


def answered(turn: Turn) -> None:
    """The attempt sounds, and answers what was said: that may be more by now than it was asked about."""
    asked, text = "" if turn.attempt is None else turn.attempt.text, turn.said.text
    if asked and text and not same(asked, text):
        turn.actions.append(CorrectCaller(asked, text))
    turn.said.answer(spoken=True)
