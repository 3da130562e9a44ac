"""Rules of the turn table while the call ends from within: a tool, the API, a limit or a budget has asked.

    what is said now, to its end ──▶ the goodbye, if asked ──▶ hung up
                                └──▶ transferred ──refused──▶ the apology, and the conversation goes on

The decision stands: nothing interrupts it, and no further turn begins. Each step has a deadline.
"""

from __future__ import annotations

import math

from batkol.conversation import recording, thinking
from batkol.conversation.actions import Cancel, HangUp, Interrupt, SayPhrase, StockPhrase, Transfer, Unsaid
from batkol.conversation.inputs import (
    AttemptLost,
    CallClosing,
    EndAsked,
    ReplyPlayed,
    ReplySounded,
    ServiceFailed,
    SoundQueued,
    TransferFailed,
)
from batkol.conversation.state import AUDIBLE, PartingStep
from batkol.conversation.timers import Timer
from batkol.conversation.turn import State, Turn


def asked(turn: Turn, event: EndAsked, now: float) -> None:
    """Finish what the caller hears, or waits for since the turn was committed; throw the rest away."""
    audible = turn.state in AUDIBLE
    finishes = audible or turn.state is State.THINKING
    turn.discard(turn.queue.take_all(), Unsaid.CLOSING)
    turn.drop_interrupted()
    turn.forget_keys()
    waits = turn.clock.due
    turn.timers.clear()
    turn.end, turn.state, turn.step = event, State.ENDING, PartingStep.FINISHING
    turn.goodbye_wanted = event.goodbye and not event.transfer
    if not finishes:
        turn.cancel()
    if turn.attempt is None:
        _proceed(turn, now)
        return
    turn.attempt.audible = audible
    if turn.attempt.phrase is StockPhrase.GOODBYE:
        turn.step = PartingStep.GOODBYE
    turn.clock.restore(waits)
    limit_ms = turn.thresholds.ending_ms if audible or turn.attempt.queued else turn.thresholds.apology_ms
    turn.timers.set(Timer.END, now + limit_ms / 1000)


def sounded(turn: Turn, event: ReplySounded, now: float) -> None:
    if turn.attempt is None or turn.attempt.number != event.attempt:
        return
    turn.attempt.audible, turn.attempt.queued = True, False
    recording.answered(turn)
    turn.clock.stop()
    turn.timers.set(Timer.END, now + turn.thresholds.ending_ms / 1000)


def queued(turn: Turn, event: SoundQueued, now: float) -> None:
    """The answer is ready, and the line has it: the caller hears it before the call ends."""
    if turn.attempt is not None and turn.attempt.number == event.attempt and not turn.attempt.audible:
        turn.attempt.queued = True
        turn.timers.set(Timer.END, now + turn.thresholds.ending_ms / 1000)


def played(turn: Turn, event: ReplyPlayed | AttemptLost, now: float) -> None:
    """The caller has heard all of it, or there is nothing to hear."""
    if turn.attempt is not None and turn.attempt.number == event.attempt:
        turn.attempt = None
        _proceed(turn, now)


def apology_due(turn: Turn, now: float) -> None:
    """The caller has heard nothing for too long: the answer that hangs is given up; a transfer is waited for."""
    if turn.step is not PartingStep.TRANSFERRING:
        if thinking.awaits_line(turn, now):
            return
        turn.give_up()
        _proceed(turn, now)
    if turn.step is PartingStep.TRANSFERRING:  # by now, too: the caller has waited long enough for a filler
        turn.timers.cancel(Timer.FILLER)
        thinking.filler_due(turn, now)
        turn.clock.go_on(now, math.inf, turn.thresholds)


def closing(turn: Turn, _: CallClosing, now: float) -> None:
    """The call is about to be ended from outside as well: nothing more is said."""
    turn.goodbye_wanted = False
    turn.stays = False
    if turn.attempt is not None and not turn.attempt.audible:
        turn.cancel()
        _proceed(turn, now)


def broke(turn: Turn, _: ServiceFailed, now: float) -> None:
    """The owner has thrown away what there was: the call ends without a further word."""
    turn.attempt = None
    if turn.step is not PartingStep.TRANSFERRING:
        _act(turn, now)


def refused(turn: Turn, _: TransferFailed, __: float) -> None:
    if turn.step is PartingStep.TRANSFERRING:
        _stay(turn)


def due(turn: Turn, now: float) -> None:
    """The time of a step is over."""
    if turn.state is not State.ENDING:
        return
    if turn.step is PartingStep.TRANSFERRING:
        _stay(turn)
        return
    if turn.attempt is not None and turn.attempt.audible:
        turn.actions += [Interrupt(turn.attempt.number), Cancel(turn.attempt.number)]
        turn.attempt = None
    turn.give_up()
    _proceed(turn, now)


def _proceed(turn: Turn, now: float) -> None:
    if turn.goodbye_wanted and turn.step is PartingStep.FINISHING:
        turn.step = PartingStep.GOODBYE
        limited = turn.end is not None and bool(turn.end.reason)
        phrase = StockPhrase.LIMIT if limited else StockPhrase.GOODBYE
        turn.begin_to_speak(phrase)
        if turn.attempt is not None:
            turn.attempt.audible = True
        turn.actions.append(SayPhrase(phrase, turn.count, turn.said.text))
        turn.said.answer()
        turn.timers.clear()
        turn.timers.set(Timer.END, now + turn.thresholds.ending_ms / 1000)
    else:
        _act(turn, now)


def _act(turn: Turn, now: float) -> None:
    turn.timers.clear()
    end = turn.end or EndAsked()
    if not end.transfer:
        turn.state = State.CLOSING
        turn.actions.append(HangUp(end.reason))
        return
    turn.step = PartingStep.TRANSFERRING
    turn.clock.start(now, turn.thresholds)
    turn.timers.set(Timer.END, now + turn.thresholds.transfer_ms / 1000)
    turn.actions.append(Transfer(end.transfer))


def _stay(turn: Turn) -> None:
    """The caller could not be transferred: say so, and go on."""
    turn.end = None
    turn.timers.clear()
    turn.state = State.LISTENING if turn.stays else State.CLOSING
    if turn.stays:
        turn.say(StockPhrase.APOLOGY)
