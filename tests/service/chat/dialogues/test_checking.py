"""Answers against what they must be."""

from __future__ import annotations

from typing import Any

import pytest

from batkol.answering.answerer import ToolCall
from batkol.chat.dialogues.checking import findings
from batkol.chat.dialogues.dialogue import Expectation, WantedCall, Wording, pattern_in
from batkol.chat.text_call import TextTurn
from batkol.chat.text_tools import TriedTool


def turn(text: str = "", *calls: tuple[str, str], first_piece_s: float | None = None) -> TextTurn:
    tools = [TriedTool(ToolCall("", name, arguments), "{}") for name, arguments in calls]
    return TextTurn(0.0, "היי", pieces=[text] if text else [], tools=tools, first_piece_s=first_piece_s)


def wording(text: str) -> tuple[Wording, ...]:
    return (Wording(text, pattern_in(text), 3),)


@pytest.mark.parametrize(
    ("text", "said", "there"),
    [
        ("תור", "קבעתי לך תּוֹר, בשמחה!", True),
        ("תור", "קבעתי תורים", False),
        ('ד"ר לוי', "אצל ד״ר לוי.", True),
        ("1500 שקלים", "זה עולה 1,500 שקלים", True),
        ("לוי ד", "ד לוי", False),
        ("Hello", "hello!", True),
        ("/תור(ים)?/", "שני תוֹרים", True),
        (r"/\b1\d:30\b/", "בשעה 14:30.", True),
        ("/[?]$/", "מה שלומך?", True),
        ("/^כן/", "לא, כן", False),
    ],
)
def test_words_are_compared_as_they_are_spoken_and_patterns_as_they_are_written(
    text: str, said: str, *, there: bool
) -> None:
    assert (findings(Expectation(must=wording(text)), turn(said)) == []) is there
    assert (findings(Expectation(must_not=wording(text)), turn(said)) == []) is not there


LEAD = '{"name": "דָּנָה", "age": 31, "days": ["mon", "tue"], "sure": true, "at": {"hour": 14.5, "zone": null}}'


@pytest.mark.parametrize(
    ("arguments", "fits"),
    [
        ({}, True),
        ({"name": "דנה"}, True),
        ({"name": "/^ד/"}, True),
        ({"name": "רון"}, False),
        ({"age": 31}, True),
        ({"age": "31"}, False),
        ({"age": True}, False),
        ({"sure": True}, True),
        ({"sure": 1}, False),
        ({"days": ["mon", "tue"]}, True),
        ({"days": ["mon"]}, False),
        ({"at": {"hour": 14.5}}, True),
        ({"at": {"zone": None}}, True),
        ({"at": 14.5}, False),
        ({"phone": "050"}, False),
    ],
)
def test_the_arguments_that_are_named_must_be_the_same(arguments: dict[str, Any], *, fits: bool) -> None:
    wanted = Expectation(calls=(WantedCall("save_lead", arguments, 5),))

    assert (findings(wanted, turn("", ("save_lead", LEAD))) == []) is fits


def test_calls_that_are_wanted_are_made_once_each_and_no_others() -> None:
    lead, look_up = WantedCall("save_lead", {"name": "דנה"}, 5), WantedCall("look_up", {}, 6)
    wanted = Expectation(calls=(lead, look_up), line=4)
    made = ("save_lead", '{"name": "דנה"}')

    assert findings(wanted, turn("", ("look_up", ""), made)) == []
    assert [(each.line, each.expected) for each in findings(wanted, turn(""))] == [
        (5, 'calls: save_lead {"name": "דנה"}'),
        (6, "calls: look_up {}"),
    ]
    assert [each.came for each in findings(wanted, turn("", ("look_up", "{}"), made, made))] == [" ".join(made)]
    assert [each.came for each in findings(wanted, turn("", ("look_up", "{}"), ("save_lead", "not JSON")))] == [
        "look_up {}; save_lead not JSON"
    ]
    assert [each.expected for each in findings(Expectation(calls=()), turn("", made))] == ["calls: no other call"]
    assert findings(Expectation(), turn("", made)) == []


def test_limits_are_of_the_first_words_and_of_all_words() -> None:
    wanted = Expectation(max_ms=800, max_words=2, line=7)

    assert findings(wanted, turn("כן, בטח", first_piece_s=0.8)) == []
    assert [(each.line, each.expected, each.came) for each in findings(wanted, turn("א ב ג", first_piece_s=0.9))] == [
        (7, "max_ms: first words within 800 ms", "900 ms"),
        (7, "max_words: 2", "3 words: א ב ג"),
    ]
