"""Rules of the turn table while the turn is committed and nothing of the reply was heard."""

from __future__ import annotations

from typing import Final

from batkol.conversation import listening, recording, speaking
from batkol.conversation.actions import AwaitLine, Hold, SayPhrase, StockPhrase, Unsaid
from batkol.conversation.inputs import (
    AttemptLost,
    CallerBegan,
    CallerStopped,
    ReplySounded,
    ServiceFailed,
    SoundQueued,
    TextChanged,
    TextReached,
    TextRevised,
    TextSettled,
    ToolsBegan,
    ToolsEnded,
)
from batkol.conversation.state import AUDIBLE
from batkol.conversation.timers import Timer
from batkol.conversation.turn import State, Turn
from batkol.speech.sameness import same, spoken

_MOST_GROWN: Final = 3
"""Times that the attempt of a committed turn is replaced because its text has grown."""


def hold(turn: Turn, _: CallerBegan, now: float) -> None:
    turn.state = State.LISTENING
    turn.guesses = 0
    turn.clock.stop()
    turn.timers.set(Timer.REJOIN, now + turn.thresholds.rejoin_ms / 1000)
    if turn.attempt is not None:
        turn.attempt.held, turn.attempt.queued = True, False
        turn.actions.append(Hold(turn.attempt.number))


def more_words(turn: Turn, event: TextChanged, now: float) -> None:
    """Words in speech that was taken for noise: the turn is the caller's again."""
    said = turn.said.get(event.utterance)
    if said is None or said.stopped is not None or turn.attempt is None or same(turn.said.text, turn.attempt.text):
        return
    turn.cancel()
    turn.clock.stop()
    turn.state = State.LISTENING
    listening.text_changed(turn, event, now)


def restart(turn: Turn, event: TextSettled, now: float) -> None:
    """The final says something else than what was asked: ask once more."""
    text = turn.said.text
    if not text:
        turn.nothing_said(now, failed=event.failed)
    else:
        revised(turn, event, now)


def revised(turn: Turn, _: TextSettled | TextRevised, __: float) -> None:
    """The words are others than those that were asked about: ask once more."""
    text = turn.said.text
    if turn.attempt is not None and text and not same(turn.attempt.text, text) and not turn.restarted:
        turn.ask_again(text)


def fell_silent(turn: Turn, event: CallerStopped, now: float) -> None:
    """The end of speech is known later than its words, or than the end of the call: the caller waits since then."""
    if not turn.said.talking:
        turn.clock.bring_back(event.last_sample, turn.thresholds, now=now, arrived=turn.arrived)


def grown(turn: Turn, event: TextReached, _: float) -> None:
    """A tentative that stands since the commit goes on where the words end that were asked about: ask about all of it.

    The last word of an utterance may come that late. A text that says something else is left to the final.
    """
    attempt, text = turn.attempt, turn.said.text
    if attempt is None or attempt.grown == _MOST_GROWN or turn.said.get(event.utterance) is None:
        return
    asked, now_said = spoken(attempt.text), spoken(text)
    if asked and asked != now_said and now_said.startswith(asked):
        turn.cancel()
        turn.ask(text, speculative=False, grown=attempt.grown + 1)
        turn.release()


def sounded(turn: Turn, event: ReplySounded, _: float) -> None:
    if turn.attempt is None or turn.attempt.number != event.attempt:
        return
    turn.timers.clear()
    turn.attempt.held = turn.attempt.queued = False
    turn.guesses = 0
    recording.answered(turn)
    turn.state = State.YIELDING if turn.said.talking else State.SPEAKING


def failed(turn: Turn, event: AttemptLost, _: float) -> None:
    if turn.attempt is None or turn.attempt.number != event.attempt:
        return
    turn.attempt = None
    if turn.state is not State.THINKING:
        return  # the turn is asked anew when it is committed
    if turn.restarted:
        turn.say(StockPhrase.APOLOGY)
    else:
        turn.ask_again(turn.said.text)


def broke(turn: Turn, _: ServiceFailed, __: float) -> None:
    """The owner has thrown away what there was: the caller's words so far get the apology."""
    turn.attempt = None
    turn.interruptions.confirm()
    turn.discard(turn.queue.take_all(), Unsaid.DEFECT)
    turn.say(StockPhrase.APOLOGY)


def queued(turn: Turn, event: SoundQueued, _: float) -> None:
    """The caller hears it as soon as the line takes it: nothing else is said before."""
    if turn.attempt is not None and turn.attempt.number == event.attempt:
        turn.attempt.queued = True


def tools_began(turn: Turn, event: ToolsBegan, now: float) -> None:
    """The answer is given the time of its tools, and what the clock gives from the filler to the apology."""
    if turn.attempt is not None and turn.attempt.number == event.attempt:
        turn.attempt.patient_until = now + event.within_s + turn.thresholds.patience_s


def tools_ended(turn: Turn, event: ToolsEnded, now: float) -> None:
    if turn.attempt is not None and turn.attempt.number == event.attempt:
        turn.attempt.patient_until = now + turn.thresholds.patience_s
        turn.clock.bring_forward(turn.attempt.patient_until, turn.thresholds)


def filler_due(turn: Turn, now: float) -> None:
    """Say a filler, unless the answer waits in the line: it would sound in the middle of it."""
    if turn.attempt is not None and turn.attempt.queued:
        turn.clock.wait_for_line(Timer.FILLER, now, turn.thresholds.filler_ms)
    elif turn.answers:
        turn.actions.append(SayPhrase(StockPhrase.FILLER))


def apology_due(turn: Turn, now: float) -> None:
    """Apologize, unless tools are carried out within their own time: then another filler says that they are."""
    if awaits_line(turn, now):
        return
    if turn.attempt is not None and now < turn.attempt.patient_until:
        filler_due(turn, now)
        turn.clock.go_on(now, turn.attempt.patient_until, turn.thresholds)
    elif turn.state in AUDIBLE:
        speaking.hung(turn, now)
    else:
        if turn.state is State.THINKING:
            turn.give_up()
        turn.say(StockPhrase.APOLOGY if turn.said.text else StockPhrase.REPEAT)


def awaits_line(turn: Turn, now: float) -> bool:
    """Return whether the answer waits in the line; the apology is put off then, which would wait behind it."""
    if turn.attempt is None or not turn.attempt.queued:
        return False
    turn.actions.append(AwaitLine(turn.attempt.number))
    turn.clock.wait_for_line(Timer.APOLOGY, now, turn.thresholds.apology_ms)
    return True
