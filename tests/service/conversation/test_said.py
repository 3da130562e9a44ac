"""What the caller said and no reply has answered, and what of it was set aside."""

from __future__ import annotations

import pytest

from batkol.conversation.said import CallerTurn
from batkol.speech.lexicon import lexicon

WORDS = lexicon()


def over(said: CallerTurn, utterance: int, text: str = "", *, settled: bool = True) -> None:
    """An utterance that is over."""
    entry = said.begin(utterance, 1.0)
    entry.text, entry.stopped, entry.settled = text, 2.0, settled


def recalls(said: CallerTurn, utterance: int, text: str = "אני רוצה תור") -> bool:
    return said.recall(utterance, text, WORDS, 3.0)


def test_what_was_set_aside_comes_back_once_and_in_its_place() -> None:
    said = CallerTurn()
    over(said, 0)
    said.set_aside(0, overheard=False)
    over(said, 1, "מחר")
    assert said.text == "מחר"
    assert recalls(said, 0)
    assert said.text == "אני רוצה תור מחר"
    assert not recalls(said, 0)


def test_an_utterance_that_begins_again_is_not_set_aside_any_more() -> None:
    said = CallerTurn()
    over(said, 0)
    said.set_aside(0, overheard=False)
    said.begin(0, 3.0)
    assert not recalls(said, 0)


def test_only_the_newest_that_were_set_aside_are_remembered() -> None:
    said = CallerTurn()
    for utterance in range(17):
        over(said, utterance)
        said.set_aside(utterance, overheard=False)
    assert [recalls(said, utterance) for utterance in range(17)] == [False, *[True] * 16]


@pytest.mark.parametrize("overheard", [False, True])
def test_a_reply_answers_the_words_that_come_late_of_its_turn_and_not_those_that_were_said_into_it(
    *, overheard: bool
) -> None:
    said = CallerTurn()
    over(said, 0)
    said.set_aside(0, overheard=overheard)
    over(said, 1, "מחר")
    said.answer(spoken=True)
    assert recalls(said, 0) is overheard
    late = said.correct(0, "אני רוצה תור")
    assert late == (None if overheard else ("מחר", "אני רוצה תור מחר"))


@pytest.mark.parametrize("spoken", [False, True], ids=["a phrase", "an answer"])
def test_an_utterance_without_a_word_waits_for_its_final_if_a_reply_is_heard_meanwhile(*, spoken: bool) -> None:
    said = CallerTurn()
    over(said, 0, "מחר")
    over(said, 1)
    over(said, 2, settled=False)
    said.answer(spoken=spoken)
    assert [said.get(utterance) is not None for utterance in range(3)] == [False, False, spoken]
    assert recalls(said, 1), "it was settled, and its correction has words"
    assert recalls(said, 2) is not spoken


def test_words_that_an_announcement_answers_are_passed_over_until_something_else_is_answered() -> None:
    said = CallerTurn()
    over(said, 0, "מחר")
    said.answer(passed_over=True)
    assert said.passed_over
    said.answer()
    assert not said.passed_over
    assert said.correct(0, "מחר בבוקר") == ("מחר", "מחר בבוקר")


def test_the_final_of_words_that_are_answered_is_awaited_and_none_of_speech_that_goes_on() -> None:
    said = CallerTurn()
    said.begin(0, 1.0).text = "מחר"
    assert not said.awaits_final
    over(said, 0, "מחר", settled=False)
    assert said.awaits_final
    said.answer(spoken=True)
    assert said.awaits_final
    said.take_final(0)
    assert not said.awaits_final


def test_words_that_come_two_replies_late_correct_the_words_of_the_newest() -> None:
    """They were said before those, and no reply has had them."""
    said = CallerTurn()
    over(said, 0, "מחר")
    over(said, 1)
    said.set_aside(1, overheard=False)
    said.answer(spoken=True)
    over(said, 2, "תודה")
    said.answer(spoken=True)
    assert said.correct(1, "בבוקר") == ("תודה", "בבוקר תודה")
    assert said.correct(0, "היום") is None, "a reply has had words of it"


def test_wordless_utterances_are_remembered_for_a_while_and_not_for_the_call() -> None:
    said = CallerTurn()
    for turn in range(30):
        over(said, 2 * turn)
        said.set_aside(2 * turn, overheard=False)
        over(said, 2 * turn + 1, "שלום")
        said.answer(spoken=True)
    late = [turn for turn in range(30) if said.correct(2 * turn, "מחר")]
    assert late == list(range(13, 30))
