"""The rule of the turn table for tools: an attempt may act when its turn is committed and its words are known for good.

A turn is committed on a text that its final may still change. A reply can then be asked for anew; a tool that was
carried out for half a sentence cannot be taken back. So tool calls wait for the finals of the words, within a bound.
`proceed` follows every input.
"""

from __future__ import annotations

from batkol.conversation.actions import CorrectCaller
from batkol.conversation.state import State
from batkol.conversation.timers import Timer
from batkol.conversation.turn import Turn
from batkol.speech.sameness import same

_UNCOMMITTED = frozenset({State.LISTENING, State.GUESSING})


def proceed(turn: Turn, now: float) -> None:
    """Let the current attempt act, or set the time at which it may whatever its words are."""
    turn.timers.cancel(Timer.TOOLS)
    attempt = turn.attempt
    if attempt is None or not attempt.text:  # phrases and announcements call no tools
        return
    if turn.state in _UNCOMMITTED:  # or it is held again
        attempt.acts, attempt.acts_by = False, None
        return
    if attempt.acts_by is None:
        attempt.acts_by = now + turn.thresholds.tools_text_ms / 1000
    attempt.acts = attempt.acts or not turn.said.awaits_final or now >= attempt.acts_by
    if not attempt.acts:
        turn.timers.set(Timer.TOOLS, attempt.acts_by)
    elif turn.state is State.THINKING and (text := turn.said.text) and not same(attempt.text, text):
        turn.actions.append(CorrectCaller(attempt.text, text, attempt.number))  # it is not replaced once more
        attempt.text = text
