"""Rules of the turn table while the agent listens, and while it prepares an answer to a caller who may go on."""

from __future__ import annotations

from batkol.conversation.actions import StockPhrase
from batkol.conversation.inputs import (
    CallerBegan,
    CallerStopped,
    CallOpened,
    TextChanged,
    TextReached,
    TextRevised,
    TextSettled,
    TextWithdrawn,
)
from batkol.conversation.timers import Timer
from batkol.conversation.turn import State, Turn
from batkol.speech.sameness import same


def opened(turn: Turn, event: CallOpened, now: float) -> None:
    if event.greet and not turn.said:
        turn.say(StockPhrase.GREETING)
    else:
        turn.floor_since = now
        turn.wait_idly(now)


def caller_began(turn: Turn, _: CallerBegan, now: float) -> None:
    turn.guesses = 0
    turn.clock.stop()
    turn.timers.cancel(Timer.PATIENCE)
    turn.wait_idly(now)
    if turn.state is State.GUESSING:
        turn.doubt(now)
    if turn.said.text:
        turn.timers.set(Timer.STANDING, now + turn.thresholds.standing_ms / 1000)


def text_changed(turn: Turn, event: TextChanged, now: float) -> None:
    said = turn.said.get(event.utterance)
    if said is None:
        return
    if turn.doubtful and turn.words.telling(said.fresh):
        turn.words_came()
    if said.stopped is None:
        wait = turn.thresholds.standing_final_ms if event.settled else turn.thresholds.standing_ms
        turn.timers.set(Timer.STANDING, now + wait / 1000)


def text_reached(turn: Turn, event: TextReached, now: float) -> None:
    said = turn.said.get(event.utterance)
    if said is None or not said.fresh:
        return
    if turn.doubtful:
        if not turn.words.telling(said.fresh):
            return  # a backchannel word: the reply goes on
        turn.words_came()
    turn.timers.cancel(Timer.DROP, Timer.STANDING)
    if not turn.asks:
        if said.stopped is not None:
            turn.commit_in_time(now)
        return
    if turn.attempt is None or not same(turn.attempt.text, turn.said.text):
        turn.cancel()
        due = said.paused + turn.thresholds.guess_quiet_ms / 1000
        if due <= now:
            turn.guess()
        else:
            turn.timers.set(Timer.GUESS, due)
    turn.state = State.GUESSING
    if said.stopped is not None:  # the end of speech was known before its text
        turn.commit_in_time(now)


def text_withdrawn(turn: Turn, event: TextWithdrawn, now: float) -> None:
    if event.by_speech:
        turn.doubt(now)
        turn.timers.set(Timer.STANDING, now + turn.thresholds.standing_ms / 1000)  # it may be noise
    else:
        turn.cancel()
        turn.state = State.LISTENING
    turn.timers.cancel(Timer.PATIENCE)


def speech_ended(turn: Turn, event: CallerStopped, now: float) -> None:
    if turn.said.get(event.utterance) is None:
        return
    turn.timers.cancel(Timer.STANDING)
    if not turn.said.talking:
        turn.start_clock(now)
        if turn.state is State.GUESSING or (turn.said.text and not turn.said.open):
            turn.commit_in_time(now)


def settled(turn: Turn, event: TextSettled, now: float) -> None:
    said = turn.said.get(event.utterance)
    if said is None:
        return
    if goes_on_after(turn, said.fresh):
        turn.said.set_aside(event.utterance, overheard=True)
        if not turn.said.talking:
            turn.go_on(now)
        return
    if not said.fresh:
        turn.said.set_aside(event.utterance, overheard=False)
    else:
        turn.words_came()
    if turn.said.talking:
        if turn.state is State.LISTENING and turn.said.text:
            turn.timers.set(Timer.STANDING, now + turn.thresholds.standing_ms / 1000)
    elif turn.said.text:
        turn.commit_in_time(now)
    else:
        turn.nothing_said(now, failed=event.failed)


def revised(turn: Turn, event: TextRevised, now: float) -> None:
    """Ask anew for a reply that speech holds up, if its words are others by now; answer words that were not known."""
    said = turn.said.get(event.utterance)
    if said is None:
        return
    if turn.words.telling(said.fresh):
        turn.drop_interrupted()
    if said.changed and turn.attempt is not None and turn.attempt.held:
        turn.cancel()
    elif turn.idle and turn.said.talking and turn.said.text:
        turn.timers.set(Timer.STANDING, now + turn.thresholds.standing_ms / 1000)
    elif turn.idle:
        turn.commit_in_time(now)


def goes_on_after(turn: Turn, text: str) -> bool:
    """Whether the reply that this speech held up or interrupted goes on: it had no telling word."""
    return turn.doubtful and not turn.words.telling(text)


def guess_due(turn: Turn, _: float) -> None:
    turn.guess()


def drop_due(turn: Turn, _: float) -> None:
    turn.cancel()


def patience_due(turn: Turn, now: float) -> None:
    if not turn.said.talking:
        turn.commit(now)


def rejoin_due(turn: Turn, now: float) -> None:
    lasting = turn.said.begun_of_lasting
    until = -1.0 if lasting is None else lasting + turn.thresholds.wordless_ms / 1000
    if until > now:
        turn.timers.set(Timer.REJOIN, until)
    else:
        turn.rejoin(now)


def standing_due(turn: Turn, now: float) -> None:
    if turn.said.talking:
        turn.commit(now)


def wordless_due(turn: Turn, _: float) -> None:
    if turn.interruptions.resumable:
        turn.resume()


def _taken_for_noise_at(turn: Turn) -> float:
    """Return when speech that goes on without a new word is music or a television, and no caller about to speak."""
    give_way_s, idle_s = turn.thresholds.give_way_ms / 1000, turn.thresholds.idle_ms / 1000
    return min(turn.newest_word + give_way_s, turn.floor_since + 3 * idle_s)


def idle_due(turn: Turn, now: float) -> None:
    idle_s = turn.thresholds.idle_ms / 1000
    if not idle_s:  # meanwhile
        return
    if turn.queue or turn.said.text or turn.clock.running or not turn.idle:  # something else will break the silence
        turn.timers.set(Timer.IDLE, now + idle_s)
        return
    if turn.said.talking and now < (noise_at := _taken_for_noise_at(turn)):
        turn.timers.set(Timer.IDLE, noise_at)
        return
    turn.idle_prompts += 1
    more = turn.idle_prompts <= turn.thresholds.idle_prompts
    turn.say(StockPhrase.IDLE if more else StockPhrase.GOODBYE)
