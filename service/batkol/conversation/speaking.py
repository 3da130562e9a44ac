"""Rules of the turn table while the caller hears the agent."""

from __future__ import annotations

from batkol.conversation import listening
from batkol.conversation.actions import HangUp, Interrupt, StockPhrase, Unsaid
from batkol.conversation.inputs import (
    CallerBegan,
    CallerLasted,
    CallerStopped,
    ReplyPlayed,
    ReplyRanDry,
    ReplyWentOn,
    TextChanged,
    TextReached,
    TextRevised,
    TextSettled,
)
from batkol.conversation.interruption import Interrupted
from batkol.conversation.said import SaidUtterance
from batkol.conversation.timers import Timer
from batkol.conversation.turn import State, Turn


def caller_began(turn: Turn, _: CallerBegan, __: float) -> None:
    if turn.yields:
        turn.state = State.YIELDING


def overheard(turn: Turn, event: TextChanged | TextReached, now: float) -> None:
    said = turn.said.get(event.utterance)
    if said is None:
        return
    said.echo = turn.interruptions.is_echo(said.fresh)
    if turn.yields and turn.interruptions.by_words(said.fresh, turn.words, turn.thresholds):
        interrupt(turn, now)
    elif said.unjudged:
        _judge_length(turn, said, now)


def lasted(turn: Turn, event: CallerLasted, now: float) -> None:
    if (said := turn.said.get(event.utterance)) is not None:
        _judge_length(turn, said, now)


def _judge_length(turn: Turn, said: SaidUtterance, now: float) -> None:
    """Interrupt for speech that lasts; half a backchannel word is judged when the next text comes."""
    said.unjudged = turn.words.may_become_backchannel(said.fresh)
    if turn.yields and turn.interruptions.by_length(said.fresh, turn.words, turn.thresholds):
        interrupt(turn, now)


def fell_silent(turn: Turn, _: CallerStopped, __: float) -> None:
    if not turn.said.talking:
        turn.state = State.SPEAKING


def overheard_final(turn: Turn, event: TextSettled, now: float) -> None:
    said = turn.said.get(event.utterance)
    if said is None:
        return
    said.echo = turn.interruptions.is_echo(said.fresh)
    if turn.yields and turn.interruptions.by_final(said.fresh, turn.words):
        interrupt(turn, now)
        listening.settled(turn, event, now)
    elif not turn.said.talking:
        turn.state = State.SPEAKING


def revised(turn: Turn, event: TextRevised, now: float) -> None:
    overheard_final(turn, TextSettled(event.utterance, event.text), now)


def interrupt(turn: Turn, now: float) -> None:
    if turn.attempt is None:
        return
    turn.clock.stop()
    turn.actions.append(Interrupt(turn.attempt.number))
    turn.interruptions.interrupt(Interrupted(turn.attempt.number, turn.attempt.text, turn.attempt.phrase))
    turn.queue.overtake()
    turn.attempt = None
    turn.guesses = 0
    turn.said.drop_wordless(turn.words, since=now)
    turn.state = State.LISTENING
    if turn.words.telling(turn.said.text):
        turn.words_came()
        if turn.said.talking:
            turn.timers.set(Timer.STANDING, now + turn.thresholds.standing_ms / 1000)
        else:
            turn.start_clock(now)
    else:
        turn.timers.set(Timer.WORDLESS, now + turn.thresholds.wordless_ms / 1000)


def ran_dry(turn: Turn, event: ReplyRanDry, now: float) -> None:
    """The reply has a pause: the caller waits from now on."""
    if turn.attempt is not None and turn.attempt.number == event.attempt:
        turn.clock.start(now, turn.thresholds)


def went_on(turn: Turn, event: ReplyWentOn, _: float) -> None:
    if turn.attempt is not None and turn.attempt.number == event.attempt:
        turn.clock.stop()


def hung(turn: Turn, now: float) -> None:
    """The pause of the reply has lasted too long: nothing more of it is waited for."""
    turn.give_up()
    if turn.answers:
        turn.say(StockPhrase.APOLOGY, answers=False)
    else:
        give_the_floor(turn, now)


def played(turn: Turn, event: ReplyPlayed, now: float) -> None:
    if turn.attempt is None or turn.attempt.number != event.attempt:
        return
    phrase, turn.attempt = turn.attempt.phrase, None
    if phrase is StockPhrase.GOODBYE and not _spoke_into_it(turn, now):
        turn.state = State.CLOSING
        turn.forget_keys()
        turn.timers.clear()
        turn.discard(turn.queue.take_all(), Unsaid.CLOSING)
        turn.actions.append(HangUp())
        return
    waits = turn.answers and turn.clock.filler_said  # the filler asked the caller to wait for more
    if event.owes_text or (event.broke and waits):
        turn.say(StockPhrase.APOLOGY, answers=False)
        return
    give_the_floor(turn, now)


def _spoke_into_it(turn: Turn, now: float) -> bool:
    """Whether keys or telling words, which did not interrupt what is over now, wait for an answer."""
    turn.said.drop_wordless(turn.words, since=now)
    return bool(turn.words.telling(turn.said.text))


def give_the_floor(turn: Turn, now: float) -> None:
    """Nothing is said any more: it is the caller's turn, of which the first words may be there."""
    turn.clock.stop()
    turn.said.drop_wordless(turn.words, since=now - turn.thresholds.late_answer_ms / 1000)
    turn.state = State.LISTENING
    turn.floor_since = now
    turn.wait_idly(now)
    if turn.said.talking:
        if turn.said.text:
            turn.timers.set(Timer.STANDING, now + turn.thresholds.standing_ms / 1000)
    elif turn.said.text and not turn.said.open:
        turn.last_sample = now
        turn.commit_in_time(now)
    elif turn.said.open:
        turn.last_sample = now
        turn.start_clock(now)
