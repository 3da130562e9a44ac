"""The table of the turns: which rule each input meets in each state, and each timer when it is due. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from batkol.conversation import announcing, ending, keys, listening, speaking, thinking
from batkol.conversation.actions import Unsaid
from batkol.conversation.inputs import (
    AnnouncementAsked,
    AnnouncementLost,
    AnnouncementReady,
    AttemptLost,
    CallClosing,
    CallerBegan,
    CallerLasted,
    CallerStopped,
    CallOpened,
    ClearAsked,
    DigitPressed,
    EndAsked,
    Input,
    ReplyPlayed,
    ReplyRanDry,
    ReplySounded,
    ReplyWentOn,
    ServiceFailed,
    SoundQueued,
    TextChanged,
    TextReached,
    TextRevised,
    TextSettled,
    TextWithdrawn,
    ToolsBegan,
    ToolsEnded,
    TransferFailed,
)
from batkol.conversation.timers import Timer
from batkol.conversation.turn import State, Turn

TurnRule = Callable[[Turn, Any, float], None]


def _close(turn: Turn, _: CallClosing, __: float) -> None:
    if turn.state not in {State.SPEAKING, State.YIELDING}:
        turn.words_came()
        turn.cancel()
    turn.discard(turn.queue.take_all(), Unsaid.CLOSING)
    turn.forget_keys()
    turn.timers.clear()
    turn.state = State.CLOSING


_ANNOUNCED: Final[Mapping[type[Input], TurnRule]] = {
    AnnouncementAsked: announcing.asked,
    AnnouncementReady: announcing.ready,
    AnnouncementLost: announcing.lost,
    ClearAsked: announcing.cleared,
}
_ALWAYS: Final[Mapping[type[Input], TurnRule]] = {
    **_ANNOUNCED,
    DigitPressed: keys.pressed,
    EndAsked: ending.asked,
    ServiceFailed: thinking.broke,
    CallClosing: _close,
}
_LISTENING: Final[Mapping[type[Input], TurnRule]] = {
    **_ALWAYS,
    CallOpened: listening.opened,
    CallerBegan: listening.caller_began,
    TextChanged: listening.text_changed,
    TextReached: listening.text_reached,
    CallerStopped: listening.speech_ended,
    TextSettled: listening.settled,
    TextRevised: listening.revised,
    ReplySounded: thinking.sounded,  # its sound was on the way when speech held it
    AttemptLost: thinking.failed,
    ToolsEnded: thinking.tools_ended,  # which began before speech held the reply
}
_SPEAKING: Final[Mapping[type[Input], TurnRule]] = {
    **_ALWAYS,
    CallerBegan: speaking.caller_began,
    TextChanged: speaking.overheard,
    TextReached: speaking.overheard,
    CallerLasted: speaking.lasted,
    CallerStopped: speaking.fell_silent,
    TextSettled: speaking.overheard_final,
    TextRevised: speaking.revised,
    ReplyPlayed: speaking.played,
    ToolsBegan: thinking.tools_began,
    ToolsEnded: thinking.tools_ended,
    ReplyRanDry: speaking.ran_dry,
    ReplyWentOn: speaking.went_on,
}
TABLE: Final[Mapping[State, Mapping[type[Input], TurnRule]]] = {
    State.LISTENING: _LISTENING,
    State.GUESSING: {**_LISTENING, TextWithdrawn: listening.text_withdrawn},
    State.THINKING: {
        **_ALWAYS,
        CallerBegan: thinking.hold,
        CallerStopped: thinking.fell_silent,
        TextChanged: thinking.more_words,
        TextReached: thinking.grown,
        TextSettled: thinking.restart,
        TextRevised: thinking.revised,
        SoundQueued: thinking.queued,
        ReplySounded: thinking.sounded,
        AttemptLost: thinking.failed,
        ToolsBegan: thinking.tools_began,
        ToolsEnded: thinking.tools_ended,
    },
    State.SPEAKING: _SPEAKING,
    State.YIELDING: _SPEAKING,
    State.ENDING: {
        AnnouncementAsked: announcing.refused,
        SoundQueued: ending.queued,
        ReplySounded: ending.sounded,
        ReplyRanDry: speaking.ran_dry,
        ReplyWentOn: speaking.went_on,
        ReplyPlayed: ending.played,
        AttemptLost: ending.played,
        CallerStopped: thinking.fell_silent,
        TransferFailed: ending.refused,
        ServiceFailed: ending.broke,
        CallClosing: ending.closing,
    },
    State.CLOSING: {AnnouncementAsked: announcing.refused},
}


def _apology_due(turn: Turn, now: float) -> None:
    (ending if turn.state is State.ENDING else thinking).apology_due(turn, now)


DUE: Final[Mapping[Timer, Callable[[Turn, float], None]]] = {
    Timer.GUESS: listening.guess_due,
    Timer.DROP: listening.drop_due,
    Timer.PATIENCE: listening.patience_due,
    Timer.REJOIN: listening.rejoin_due,
    Timer.FILLER: thinking.filler_due,
    Timer.APOLOGY: _apology_due,
    Timer.WORDLESS: listening.wordless_due,
    Timer.STANDING: listening.standing_due,
    Timer.IDLE: listening.idle_due,
    Timer.KEYS: keys.due,
    Timer.END: ending.due,
    Timer.TOOLS: lambda _, __: None,  # `acting.proceed` lets the attempt act
    Timer.GIVE_WAY: lambda _, __: None,  # `proceed` says the announcement
}
