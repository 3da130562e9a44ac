"""Record of what the caller said, whatever the state of the turn table makes of it."""

from __future__ import annotations

from batkol.conversation.inputs import (
    CallerBegan,
    CallerLasted,
    CallerPaused,
    CallerStopped,
    Input,
    TextChanged,
    TextReached,
    TextSettled,
)
from batkol.conversation.turn import Turn


def record(turn: Turn, event: Input, now: float) -> None:
    """Keep what was said, whatever the state makes of it."""
    if isinstance(event, CallerBegan):
        turn.newest_word = now
        turn.said.begin(event.utterance, now)
        turn.interruptions.speech_began(now, turn.thresholds)
        return
    said = turn.said.get(getattr(event, "utterance", -1))
    if said is None:
        return
    match event:
        case TextChanged(_, text) | TextReached(_, text):
            turn.newest_word = turn.newest_word if text == said.text else now
            said.text = text
        case CallerPaused(_, last_sample):
            said.paused = last_sample
        case CallerLasted():
            said.lasted = True
        case CallerStopped(_, last_sample):
            said.stopped = now
            turn.last_sample = last_sample
            turn.interruptions.speech_ended(now)
        case TextSettled(_, text):
            said.text, said.settled = text, True
            if said.stopped is None:  # its end is not known from the detector
                said.stopped = turn.last_sample = now
