"""The double's answers, and the tokens that they come in."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from batkol.simulators.llm.answers import Rule, answer_to, tokens
from batkol.simulators.llm.tool_deltas import ScriptedCall
from batkol.simulators.llm.vocabulary import vocabulary
from batkol.speech.pieces import Cutter
from support.properties import few_by_day


def test_the_first_rule_that_fits_answers() -> None:
    rules = (Rule("תור", "מחר."), Rule("", "לא הבנתי."))

    assert answer_to("יש תור?", rules, random.Random(0)).answer == "מחר."
    assert answer_to("שלום", rules, random.Random(0)).answer == "לא הבנתי."


def test_after_a_result_the_rules_for_it_answer_and_others_only_if_they_call_no_tool() -> None:
    call = Rule("תור", tool=ScriptedCall("book"))
    rules = (call, Rule("תור", "נקבע.", result="done"), Rule("", "אחרת."))

    def answered(text: str, result: str | None = None) -> Rule:
        return answer_to(text, rules, random.Random(0), result)

    assert answered("קבע תור") is call
    assert answered("קבע תור", '{"outcome": "done"}').answer == "נקבע."
    assert answered("קבע תור", "failed").answer == "אחרת."
    assert answered("שלום").answer == "אחרת."


def test_the_default_answer_repeats_known_words_and_has_marked_words_only() -> None:
    answer = answer_to("אני, בעצם, רוצה תור!", (), random.Random(0)).answer

    assert answer.startswith("אני רוצה תור. ")
    assert {word for word in answer.replace(".", "").split() if word not in vocabulary()} == set()
    assert answer == answer_to("אני, בעצם, רוצה תור!", (), random.Random(0)).answer
    assert answer != answer_to("אני, בעצם, רוצה תור!", (), random.Random(1)).answer
    assert answer_to("xyz", (), random.Random(0)).answer.startswith("שלום. ")


def test_the_default_answer_is_spoken_in_its_sentences() -> None:
    cutter = Cutter()
    pieces = cutter.append(answer_to("כן", (), random.Random(0)).answer)

    assert len(pieces + cutter.flush()) >= 3


@given(st.text(max_size=80), st.integers(0, 9))
@few_by_day(50)
def test_tokens_are_the_answer_in_small_parts(text: str, seed: int) -> None:
    found = tokens(text, random.Random(seed))

    assert "".join(found) == text
    assert all(0 < len(token.strip()) <= 4 or not token.strip() for token in found)
