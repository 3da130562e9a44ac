"""Whatever happens, in whatever order: one attempt is audible, nobody waits for ever, no announcement is lost."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import example, given
from hypothesis import strategies as st

from batkol.conversation.actions import Action
from batkol.conversation.inputs import (
    CallClosing,
    CallerBegan,
    CallOpened,
    DigitPressed,
    Input,
    TextChanged,
)
from batkol.conversation.turn import State
from batkol.speech.turn_thresholds import TurnThresholds
from support.agent.histories import histories, histories_that_end, tunings
from support.agent.spoken_words import WORDS, SpokenWords, conversations
from support.agent.world import World

KEYS_WAIT = TurnThresholds(keys_interrupt=False)
"""A key ends nothing that is said."""


@given(histories, tunings)
@example([("is played", 11.0), (DigitPressed("1"), 11.0), (DigitPressed("#"), 0.0), ("is played", 0.0)], KEYS_WAIT)
@example([("is played", 11.0), (DigitPressed("1"), 11.0), ("is played", 0.0)], KEYS_WAIT)
def test_one_attempt_at_most_and_never_a_wait_without_an_end(
    history: list[tuple[Input | str, float]], tuning: TurnThresholds
) -> None:
    world = World(tuning)
    world.happen(CallOpened(greet=False))
    for event, delay in history:
        world.wait(delay)
        world.own(event) if isinstance(event, str) else world.happen(event)
        world.hold_to_the_rules()

    world.fall_silent()
    world.end_of_all()
    world.hold_to_one_end()
    assert world.turns.attempt is None
    assert world.turns.unanswered == ""
    assert world.hung_up, "the agent asks a silent caller, says goodbye, and ends the call"


@given(histories, tunings)
def test_noise_that_never_ends_keeps_no_call_up(
    history: list[tuple[Input | str, float]], tuning: TurnThresholds
) -> None:
    world = World(tuning)
    world.happen(CallOpened(greet=False))
    for event, delay in history:
        world.wait(delay)
        world.own(event) if isinstance(event, str) else world.happen(event)
    world.happen(CallerBegan(5))
    world.end_of_all()

    assert world.turns.talking
    assert world.hung_up, "the agent asks a caller of whom no word comes, says goodbye, and ends the call"


@given(histories, tunings)
def test_without_an_answerer_nothing_is_said_but_announcements_and_none_is_lost(
    history: list[tuple[Input | str, float]], tuning: TurnThresholds
) -> None:
    world = World(tuning, answers=False)
    world.happen(CallOpened(greet=False))
    for event, delay in history:
        world.wait(delay)
        world.own(event) if isinstance(event, str) else world.happen(event)
        world.hold_to_the_rules()

    world.end_of_all()  # the detector may hear speech for ever
    world.hold_to_one_end()
    assert world.turns.attempt is None
    assert not world.hung_up


@given(histories, st.booleans())
def test_noise_that_never_ends_keeps_no_announcement(history: list[tuple[Input | str, float]], answers: bool) -> None:
    world = World(answers=answers)
    for event, delay in history:
        world.wait(delay)
        world.own(event) if isinstance(event, str) else world.happen(event)
        world.hold_to_the_rules()
    world.happen(CallerBegan(5))
    world.end_of_all()
    assert world.ends == dict.fromkeys(range(1, world.accepted + 1), 1)


@given(histories_that_end, tunings, st.booleans())
def test_a_call_that_is_to_end_ends_once_or_goes_on_where_its_transfer_is_refused(
    history: list[tuple[Input | str, float]], tuning: TurnThresholds, answers: bool
) -> None:
    world = World(tuning, answers=answers)
    world.happen(CallOpened(greet=False))
    for event, delay in history:
        world.wait(delay)
        world.own(event) if isinstance(event, str) else world.happen(event)
        world.hold_to_the_rules()
    before = world.hung_up
    world.own("is to end")
    newest = world.newest
    world.own("is to be transferred")
    world.hold_to_the_rules()
    assert world.newest == newest, "the first decision stands"
    if world.turns.state is State.ENDING and not world.transferring:
        for event, _ in history:
            world.own(event) if isinstance(event, str) else world.happen(event)
            world.hold_to_the_rules()
    world.end_of_all()
    world.hold_to_one_end()
    assert world.turns.attempt is None or world.turns.state is State.CLOSING
    assert world.hung_up >= before


@given(histories_that_end)
def test_a_call_that_closes_asks_nobody_any_more(history: list[tuple[Input | str, float]]) -> None:
    world = World()
    for event, delay in history:
        world.wait(delay)
        world.own(event) if isinstance(event, str) else world.happen(event)
    world.happen(CallClosing())
    before = world.newest
    world.of_the_api("is announced")
    for event, _ in history:
        world.own(event) if isinstance(event, str) else world.happen(event)
    world.wait(200.0)
    assert world.newest == before
    assert world.turns.deadline is None
    world.own("is played")
    world.hold_to_one_end()


@given(conversations)
def test_no_word_of_the_caller_is_lost_however_late_it_is_known(conversation: list[tuple[str, float, str]]) -> None:
    world = SpokenWords()
    for what, delay, known in conversation:
        world.wait(delay)
        world.step(what, known)
    world.finish()
    assert world.lost == set()


def test_a_recognizer_that_owes_the_finals_of_five_utterances_loses_no_word() -> None:
    """The caller was asked to repeat it by then."""
    world = SpokenWords()
    for _ in WORDS:
        for known in ("begins", "nothing", "is over"):
            world.step("speaks", known)
    world.wait(4.0)
    assert world.turns.state is State.SPEAKING
    for _ in WORDS:
        world.step("is recognized", "the word")
    world.finish()
    assert world.lost == set()


class QuickWorld(World):
    """Takes words that need no handling by `overhears`, as a conversation does."""

    def __init__(self, tuning: TurnThresholds, told: list[tuple[float, list[Action]]], *, quick: bool) -> None:
        super().__init__(tuning)
        self.quick = quick
        self.told = told
        self.overheard = 0

    def happen(self, event: Input) -> None:
        if self.quick and isinstance(event, TextChanged) and self.turns.overhears(event, self.now):
            self.overheard += 1
            return
        super().happen(event)

    def carry_out(self, actions: Sequence[Action]) -> None:
        if actions:
            self.told.append((self.now, list(actions)))
        super().carry_out(actions)


@given(histories, tunings)
def test_words_that_are_overheard_change_what_words_that_are_handled_change(
    history: list[tuple[Input | str, float]], tuning: TurnThresholds
) -> None:
    quick, slow = (QuickWorld(tuning, [], quick=each) for each in (True, False))
    for world in (quick, slow):
        world.happen(CallOpened(greet=False))
    for event, delay in history:
        for world in (quick, slow):
            world.wait(delay)
            world.own(event) if isinstance(event, str) else world.happen(event)
        assert quick.turns.deadline == slow.turns.deadline
        assert (quick.turns.state, quick.turns.unanswered) == (slow.turns.state, slow.turns.unanswered)
    for world in (quick, slow):
        world.fall_silent()
        world.end_of_all()

    assert quick.told == slow.told


def test_most_words_are_overheard() -> None:
    world = QuickWorld(TurnThresholds(), [], quick=True)
    world.happen(CallerBegan(0))
    for text in ("אני", "אני רוצה", "אני רוצה תור"):
        world.happen(TextChanged(0, text))

    assert world.overheard == 3
    assert world.turns.unanswered == "אני רוצה תור"
