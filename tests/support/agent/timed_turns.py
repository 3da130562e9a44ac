"""The turn table at given times: time passes with what is due in it, and then an input comes."""

from __future__ import annotations

from batkol.conversation.actions import Action
from batkol.conversation.inputs import Input
from batkol.conversation.turns import Turns


class TimedTurns:
    """Both return what is to be done, in order."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.now = 100.0

    def then(self, event: Input, after: float = 0.0, sounding: str = "") -> list[Action]:
        """Let time pass, with what is due, and then the event happen."""
        return self.wait(after) + self.turns.handle(event, self.now, sounding)

    def wait(self, seconds: float) -> list[Action]:
        """Let time pass."""
        until, done = self.now + seconds, list[Action]()
        while (due := self.turns.deadline) is not None and due <= until:
            self.now = max(self.now, due)
            done += self.turns.tick(self.now)
        self.now = until
        return done
