"""Rules of the turn table for announcements: speech by the API, each a turn of its own.

One waits in the queue until nothing else is said or prepared, and the caller is silent. `proceed` follows every input,
so that an announcement begins as soon as it may, whatever made it so.
"""

from __future__ import annotations

from batkol.conversation import speaking
from batkol.conversation.actions import Cancel, Discard, Interrupt, Prepare, Unsaid
from batkol.conversation.inputs import AnnouncementAsked, AnnouncementLost, AnnouncementReady, ClearAsked
from batkol.conversation.state import AUDIBLE
from batkol.conversation.timers import Timer
from batkol.conversation.turn import State, Turn


def asked(turn: Turn, event: AnnouncementAsked, now: float) -> None:
    if event.urgent:
        _clear(turn, now)
    turn.queue.add(event.announcement, urgent=event.urgent)


def refused(turn: Turn, event: AnnouncementAsked, _: float) -> None:
    turn.actions.append(Discard(event.announcement, Unsaid.CLOSING))


def ready(turn: Turn, event: AnnouncementReady, _: float) -> None:
    turn.queue.set_ready(event.announcement)


def lost(turn: Turn, event: AnnouncementLost, _: float) -> None:
    turn.queue.remove(event.announcement)


def cleared(turn: Turn, _: ClearAsked, now: float) -> None:
    _clear(turn, now)


def proceed(turn: Turn, now: float) -> None:
    """Say the announcement at the head if it may be said now, and have the one behind it prepared."""
    turn.timers.cancel(Timer.GIVE_WAY)
    if not turn.queue or turn.state in {State.ENDING, State.CLOSING}:
        return
    if turn.queue.head_is_ready and _may_be_said(turn, now):
        if turn.state in AUDIBLE:
            silence(turn)
        turn.announce()
    if (number := turn.queue.prepare()) is not None:
        turn.actions.append(Prepare(number))


def _may_be_said(turn: Turn, now: float) -> bool:
    urgent = turn.queue.takes_the_floor
    if turn.state in AUDIBLE:
        return urgent
    if not urgent and not turn.idle:
        return False
    if turn.said.talking and turn.state is not State.THINKING:  # what goes on after a commit is not the caller
        return _caller_has_given_way(turn, now)
    return urgent or not turn.answers or not (turn.said.text or turn.said.open)


def _caller_has_given_way(turn: Turn, now: float) -> bool:
    """Whether the detector hears speech, and nothing new has come of it for so long that it is noise."""
    due = turn.newest_word + turn.thresholds.give_way_ms / 1000
    if now < due:
        turn.timers.set(Timer.GIVE_WAY, due)
        return False
    return True


def _clear(turn: Turn, now: float) -> None:
    turn.discard(turn.queue.take_all(), Unsaid.CLEARED)
    if turn.state in AUDIBLE and turn.attempt is not None:
        silence(turn)
    elif turn.interruptions.resumable:
        turn.words_came()
    else:
        return
    speaking.give_the_floor(turn, now)


def silence(turn: Turn) -> None:
    """End what the caller hears: it will not go on."""
    if turn.attempt is not None:
        turn.actions += [Interrupt(turn.attempt.number), Cancel(turn.attempt.number)]
        turn.attempt = None
