"""Silence at the ear of a caller who waits: never longer than the thresholds say, whatever hangs, in whatever order."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hypothesis import example, given

from batkol.conversation.actions import Action, Announce, Interrupt, Resume, SayPhrase
from batkol.conversation.inputs import (
    CallerBegan,
    CallerStopped,
    CallOpened,
    DigitPressed,
    Input,
    TextSettled,
)
from batkol.conversation.turn import State
from batkol.speech.turn_thresholds import TurnThresholds
from support.agent.histories import histories_that_end
from support.agent.world import World

USUAL = TurnThresholds()
FILLER_S = USUAL.filler_ms / 1000
APOLOGY_S = USUAL.apology_ms / 1000
KEYS_S = USUAL.keys_pause_ms / 1000
PHRASE_S = 0.8


class EarWorld(World):
    """Measures how long a caller who waits has heard nothing. The phrases are always spoken; all else may hang."""

    def __init__(self) -> None:
        super().__init__()
        self.silent_since = 0.0
        self.filler_said = False  # in the silence of the moment
        self.phrase_ends = math.inf
        self.too_late: list[str] = []
        self.newest_utterance = -1

    def happen(self, event: Input) -> None:
        self.listen()
        super().happen(event)
        if isinstance(event, CallerBegan):
            self.newest_utterance = event.utterance
        # The detector ends the newest utterance alone.
        ends = isinstance(event, CallerStopped) and event.utterance == self.newest_utterance
        if ends and not self.turns.talking and not self.filler_said:
            self.silent_since = self.now - 0.5  # a filler was heard after the last sample, or while speaking
        if isinstance(event, DigitPressed) and self.turns.state is not State.ENDING:  # where none is gathered any more
            self.heard(self.now + KEYS_S)
        self.listen()

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while self.phrase_ends <= until:
            self._wait(self.phrase_ends)
            self.phrase_ends = math.inf
            self.own("is played")
        self._wait(until)

    def _wait(self, until: float) -> None:
        while (due := self.turns.deadline) is not None and due <= until:
            self.now = max(self.now, due)
            self.listen()
            self.carry_out(self.turns.tick(self.now))
            self.hold_to_the_rules()
        self.now = until
        self.listen()

    def carry_out(self, actions: Sequence[Action]) -> None:
        super().carry_out(actions)
        for action in actions:
            match action:
                case SayPhrase(_, attempt):
                    self.heard(self.now)
                    self.filler_said = not attempt
                    self.phrase_ends = self.now + PHRASE_S if attempt else self.phrase_ends
                case Announce() | Resume() | Interrupt():
                    self.heard(self.now)

    def heard(self, at: float) -> None:
        self.silent_since, self.filler_said = max(self.silent_since, at), False

    def listen(self) -> None:
        """Measure the silence up to now, if the caller waits."""
        turns = self.turns
        speaks = turns.talking and turns.state in {State.LISTENING, State.GUESSING, State.YIELDING}
        sounds = (self.audible is not None and not self.dry) or self.queued is not None  # or the line stands still
        waits = self.dry or turns.state in {State.THINKING, State.ENDING} or bool(turns.unanswered)
        if speaks or sounds or not waits or turns.state is State.CLOSING:
            self.heard(self.now)
            return
        silence = self.now - self.silent_since
        if silence > APOLOGY_S + 1e-6:
            self.too_late.append(f"{silence:.2f} s of silence in {turns.state}")
        if not self.filler_said and silence > FILLER_S + 1e-6:
            self.too_late.append(f"{silence:.2f} s without a filler in {turns.state}")


@example([(CallerBegan(0), 0.0), (TextSettled(0, "כן"), 0.0), (CallerStopped(0, 0.0), 0.0)])
@example([("is to be transferred", 0.0), (CallerBegan(0), 1.3), (DigitPressed("1"), 0.0), (CallerStopped(0, 0.0), 0.0)])
@example([(CallerBegan(0), 0.0), ("is to be transferred", 1.0), (CallerStopped(0, 0.0), 0.0)])
@example([(DigitPressed("1"), 0.0), ("waits for tools", 4.0), ("is to be transferred", 1.3)])
@example([(CallerBegan(1), 0.0), (TextSettled(1, "המספר 052"), 0.0), (CallerStopped(0, 0.0), 0.0)])
@given(histories_that_end)
def test_a_caller_who_waits_hears_something_in_time_whatever_hangs(history: list[tuple[Input | str, float]]) -> None:
    world = EarWorld()
    world.happen(CallOpened(greet=False))
    for event, delay in history:
        world.wait(delay)
        world.own(event) if isinstance(event, str) else world.happen(event)
        world.hold_to_the_rules()
    world.wait(60.0)

    assert world.too_late == []
