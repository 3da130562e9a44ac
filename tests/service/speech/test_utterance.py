from dataclasses import asdict

import pytest

from batkol.speech.utterance import COVERS, MOVES, REACHES, Mode, Step, Utterance, UtteranceState

SECOND = 8000


def utterance(*, state: UtteranceState = UtteranceState.CLOSING, end: int | None = 4 * SECOND) -> Utterance:
    return Utterance(index=0, begin=0, speech_at=2400, mode=Mode.STREAMING, state=state, end=end)


def test_an_utterance_is_spoken_then_closes_then_is_done() -> None:
    heard = utterance(state=UtteranceState.SPEAKING, end=None)
    states = [heard.state]
    for step in (Step.FELL_SILENT, Step.SETTLED):
        heard.move(step)
        states.append(heard.state)

    assert states == [UtteranceState.SPEAKING, UtteranceState.CLOSING, UtteranceState.DONE]


def test_the_table_knows_every_state() -> None:
    assert set(MOVES) == set(UtteranceState)
    assert {step for moves in MOVES.values() for step in moves} == set(Step)


@pytest.mark.parametrize(
    ("state", "step"), [(state, step) for state in UtteranceState for step in Step if step not in MOVES[state]]
)
def test_an_illegal_step_raises_and_changes_nothing(state: UtteranceState, step: Step) -> None:
    heard = utterance(state=state)
    before = asdict(heard)

    with pytest.raises(RuntimeError, match=f"utterance 0 is {state}: it cannot have {step}"):
        heard.move(step)
    assert asdict(heard) == before


def test_a_final_within_250_ms_of_the_end_of_speech_covers_it() -> None:
    heard = utterance()
    heard.covered = 4 * SECOND - COVERS
    assert heard.is_covered
    heard.covered -= 1
    assert not heard.is_covered
    assert COVERS == 2000


def test_text_within_400_ms_of_the_end_of_speech_reaches_it() -> None:
    heard = utterance()
    heard.interim, heard.interim_end = "כן", 4 * SECOND - REACHES
    assert heard.reaches_end
    heard.interim_end -= 1
    assert not heard.reaches_end
    assert REACHES == 3200


def test_settled_text_reaches_as_far_as_finals_cover_it() -> None:
    heard = utterance()
    heard.parts, heard.covered = ["כן"], 4 * SECOND - REACHES
    assert heard.reaches_end
    heard.interim, heard.interim_end = "כן", 0
    assert not heard.reaches_end, "more is being made of the rest"


def test_while_it_is_spoken_nothing_covers_it_or_reaches_its_end() -> None:
    heard = utterance(state=UtteranceState.SPEAKING, end=None)
    heard.covered = heard.interim_end = 9 * SECOND
    heard.interim = "כן"

    assert not heard.is_covered
    assert not heard.reaches_end


def test_an_utterance_shorter_than_the_tolerance_is_not_covered_by_nothing() -> None:
    """A «כן» just after a cut: without a final, its end lies within 250 ms of its beginning."""
    heard = Utterance(index=1, begin=8000, speech_at=8000, mode=Mode.STREAMING, end=9600, covered=8000)

    assert not heard.is_covered
    heard.covered = 9600
    assert heard.is_covered


def test_the_newest_text_is_what_is_settled_and_what_is_made_of_the_rest() -> None:
    heard = utterance()
    assert (heard.committed, heard.newest) == ("", "")
    heard.interim = "שלום"
    assert (heard.committed, heard.newest) == ("", "שלום")
    heard.parts, heard.interim = ["שלום לך", "אני"], "רוצה"
    assert (heard.committed, heard.newest) == ("שלום לך אני", "שלום לך אני רוצה")
