"""`reply.json`: what is accepted, what is refused and with which sentence, and what no sentence quotes."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from batkol.errors import ConfigurationError
from batkol.live.reply import LONGEST_PROMPT, ReplySettings, parse_reply
from batkol.live.source import LARGEST
from batkol.live.turn_tuning import TurnTuning
from batkol.speech.turn_thresholds import TurnThresholds
from batkol.tools.definition import ToolDefinition
from support.properties import few_by_day

TOOL = {"name": "book", "description": "Books a visit.", "url": "https://shop.example/book"}
WHOLE: dict[str, Any] = {
    "revision": "7",
    "prompt": "You answer for a clinic.",
    "greeting": "שלום!",
    "greetingInterruptible": False,
    "phrases": {"filler": "רגע", "apology": "", "repeat": "מה?", "idle": "הלו?", "goodbye": "שלום"},
    "tools": [
        TOOL
        | {
            "parameters": {"type": "object"},
            "tokenEnv": "TOOL_TOKEN_BOOK",
            "secretEnv": "TOOL_SECRET_BOOK",
            "timeoutSeconds": 7,
            "speculative": False,
        },
        {"name": "hang_up"},
    ],
    "leadFields": {"phone": "A number to call back.", "urgent": {"type": "boolean"}},
    "transfers": ["sales", "night-desk"],
    "interruption": {
        "milliseconds": 400,
        "words": 3,
        "falseInterruptions": 1,
        "backchannelWords": ["כן"],
        "stopWords": ["די"],
    },
    "idle": {"milliseconds": 8000, "prompts": 2},
    "limits": {"longestCallSeconds": 600},
    "budget": {"tokens": 50_000, "minutes": 10, "characters": 20_000},
}


def parsed(document: Any) -> ReplySettings:
    return parse_reply(json.dumps(document).encode())


def refusal(document: Any) -> str:
    with pytest.raises(ConfigurationError) as refused:
        parsed(document)
    return str(refused.value)


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the whole document with one field changed; `[]` in a path is the first of a list."""
    document: Any = json.loads(json.dumps(WHOLE))
    part: Any = document
    *steps, last = path.replace("[]", ".0").split(".")
    for step in steps:
        part = part[int(step) if step.isdigit() else step]
    part[int(last) if last.isdigit() else last] = value
    return dict(document)


def test_a_whole_file_comes_back_as_it_was_written() -> None:
    settings = parsed(WHOLE)
    rest = msgspec.structs.replace(settings, tools=UNSET)
    book, hang_up = settings.tools or ()

    assert json.loads(msgspec.json.encode(rest)) | {"tools": WHOLE["tools"]} == WHOLE
    assert json.loads(msgspec.json.encode(book)) == WHOLE["tools"][0]
    assert hang_up == ToolDefinition(name="hang_up")


def test_an_empty_file_sets_nothing_and_is_named_by_its_contents() -> None:
    settings = parse_reply(b"{}\n")

    assert settings == msgspec.structs.replace(ReplySettings(), revision=hashlib.sha256(b"{}\n").hexdigest()[:12])
    assert settings.phrase_texts() == {}
    assert settings.turns(TurnTuning()) == TurnTuning()


def test_its_numbers_and_words_go_before_those_of_the_tuning() -> None:
    tuning = TurnTuning(thresholds=TurnThresholds(idle_ms=1, filler_ms=900), stopping=("עצור",))

    turns = parsed({"idle": {"milliseconds": 8000}, "interruption": {"words": 3, "backchannelWords": []}}).turns(tuning)

    assert turns.thresholds == msgspec.structs.replace(tuning.thresholds, idle_ms=8000, interrupt_words=3)
    assert (turns.backchannel, turns.stopping) == ((), ("עצור",))


WRONG = [
    ("prompt", "x" * (LONGEST_PROMPT + 1), "must be a text of at most 32768 characters"),
    ("greeting", "x" * 301, "must be a text of at most 300 characters"),
    ("greeting", None, "must be a text of at most 300 characters"),
    ("greetingInterruptible", "yes", "must be true or false"),
    ("phrases.apology", 1, "must be a text of at most 300 characters"),
    ("tools", 7, "must be a list of tools"),
    ("tools[]", 7, "must be an object with a name"),
    ("tools[].url", None, "must be a text"),
    ("tools[].timeoutSeconds", "5", "must be a number of seconds"),
    ("tools[].speculative", True, "must be false"),
    ("transfers[]", "+972501234567", "must be 1 to 64 letters, digits, spaces, - and _"),
    ("interruption.milliseconds", -1, "must be a whole number of milliseconds from 0 to 60000"),
    ("interruption.words", 21, "must be a whole number from 0 to 20"),
    ("interruption.stopWords", [""], "must be a word of 1 to 50 characters"),
    ("idle.prompts", 1.5, "must be a whole number from 0 to 20"),
    ("limits.longestCallSeconds", 86_401, "must be a whole number of seconds from 0 to 86400"),
    ("budget.minutes", -1, "must be a whole number of minutes from 0 to 1440"),
]


@pytest.mark.parametrize(
    ("path", "value", "rule"), WRONG, ids=[f"{path}-{index}" for index, (path, *_) in enumerate(WRONG)]
)
def test_what_is_wrong_is_named_with_the_whole_rule(path: str, value: Any, rule: str) -> None:
    says = refusal(changed(path, value))

    assert re.match(rf"reply\.json: {re.escape(path.split('[]', maxsplit=1)[0])}", says)
    assert rule in says
    assert "keeps the last valid reply settings" in says


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"promt": "x"}, "there is no field promt"),
        ({"phrases": {"greeting": "x"}}, "there is no field phrases.greeting"),
        ({"tools": [TOOL | {"token": "secret"}]}, "there is no field tools[0].token"),
        ({"tools": [TOOL, TOOL]}, "reply.json: there are two tools with the name book. The service"),
        ({"tools": [{"name": "book"}]}, "reply.json: book has no url, and is none of the built-in tools"),
        ({"tools": [TOOL | {"url": "ftp://x"}]}, "url of book must "),
        ({"tools": [TOOL | {"parameters": []}]}, "parameters of book"),
        (
            {"tools": [TOOL | {"tokenEnv": "TWILIO_AUTH_TOKEN"}]},
            "tools[0].tokenEnv and secretEnv must begin with TOOL_",
        ),
        ({"leadFields": {"phone": 7}}, "the lead field phone is no JSON Schema"),
        ({"transfers": ["sales", "desk", "sales"]}, "transfers has a label twice"),
        ([], "the file must be a JSON object"),
        ({"idle": 5}, "idle must be a JSON object"),
        ({"revision": ""}, "revision must be a text of 1 to 253 characters"),
    ],
)
def test_what_cannot_work_is_refused_whole(document: Any, says: str) -> None:
    assert says in refusal(document)


def test_a_file_that_no_config_map_could_hold_is_refused_unread() -> None:
    with pytest.raises(ConfigurationError, match=r"reply\.json is larger than 1 MiB"):
        parse_reply(b" " * (LARGEST + 1))


def test_every_field_has_a_rule_to_be_told() -> None:
    """A field of a later version cannot forget its sentence: without one it would ask for a JSON object."""
    for path, value in _leaves(WHOLE):
        if path == "revision" or path.startswith(("tools[].parameters", "leadFields.")):  # theirs is JSON Schema
            continue
        wrong: Any = {} if not isinstance(value, dict) else 7
        assert "must be a JSON object" not in refusal(changed(path, wrong)), path


def _leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, f"{path}.{key}".lstrip("."))]
    if isinstance(value, list):
        return [(path, value), *_leaves(value[0], f"{path}[]")]
    return [(path, value)]


@pytest.mark.parametrize("value", ["מילת סוד", ["מילת סוד"], {"x": "מילת סוד"}], ids=["text", "list", "object"])
def test_no_refusal_quotes_a_text_of_the_file(value: Any) -> None:
    paths = sorted({path for path, _ in _leaves(WHOLE) if path != "prompt"})
    refusals = [says for path in paths if (says := _refusal_or_none(changed(path, value)))]

    assert [says for says in refusals if "מילת סוד" in says] == []
    assert len(refusals) > len(paths) / 2


def _refusal_or_none(document: Any) -> str | None:
    try:
        parsed(document)
    except ConfigurationError as error:
        return str(error)
    return None


@few_by_day(25)
@given(
    st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda x: json.dumps(x).encode())
)
def test_any_bytes_are_settings_or_a_refusal(raw: bytes) -> None:
    try:
        settings = parse_reply(raw)
    except ConfigurationError:
        return
    assert settings.turns(TurnTuning()) == TurnTuning()
