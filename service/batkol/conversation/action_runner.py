"""The carrying out of what the turn table asks for: each action goes to the part of the conversation that can do it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from batkol.conversation import actions as act
from batkol.conversation import inputs
from batkol.conversation.agent import AgentSettings
from batkol.conversation.announcements import Announcements
from batkol.conversation.beginning import ReplyBeginner
from batkol.conversation.call_side import CallSide
from batkol.conversation.replies import Replies, Spawn


class RunnerParts(NamedTuple):
    """The parts of a conversation that carry actions out."""

    begin: ReplyBeginner
    replies: Replies
    announcements: Announcements


class ActionRunner:
    """One per conversation. `settings` are those in force, `put` takes what the turn table must know."""

    def __init__(
        self,
        call: CallSide,
        parts: RunnerParts,
        settings: Callable[[], AgentSettings],
        put: Callable[[inputs.Input], None],
        spawn: Spawn,
    ) -> None:
        self._call = call
        self._begin, self._replies, self._announcements = parts
        self._settings = settings
        self._put = put
        self._spawn = spawn
        self.newest_utterance = -1
        """The newest utterance of the caller, for the record of each attempt."""

    def run(self, todo: Sequence[act.Action]) -> None:
        """Carry out the actions, in order. Raises what a defect raises."""
        for action in todo:
            match action:
                case act.Prepare() | act.Announce() | act.Discard():
                    self._announcements.carry_out(action, self._spawn)
                case act.HangUp(reason):
                    self._call.hang_up(reason)
                case act.Transfer(label):
                    self._call.transfer(label, lambda: self._put(inputs.TransferFailed()))
                case act.AwaitLine():
                    self._report_line()
                case _:
                    self._run_reply(action)

    def _report_line(self) -> None:
        """Say in the log that the line holds a ready answer up, unless it plays something else meanwhile."""
        if (held_s := self._call.line.held_up_s) > 0:
            self._call.log.warning(
                "[AGENT] the line takes no sound; the answer is ready, and the caller hears it when the line goes on",
                held_up_ms=round(held_s * 1000),
            )

    def _run_reply(self, action: act.ReplyAction) -> None:
        match action:
            case act.Ask():
                self._begin.ask(action, self._settings(), self.newest_utterance)
            case act.Cancel(attempt):
                self._replies.cancel(attempt)
            case act.Release(attempt):
                self._replies.release(attempt)
            case act.Hold(attempt):
                self._replies.hold(attempt)
            case act.Interrupt(attempt):
                self._replies.interrupt(attempt)
            case act.GiveUp(attempt):
                self._replies.give_up(attempt)
            case act.Resume(interrupted, attempt):
                self._replies.resume(interrupted, attempt)
            case act.SayPhrase():
                self._begin.say(action)
            case act.CorrectCaller(before, text, attempt):
                self._replies.correct_caller(before, text, attempt)
