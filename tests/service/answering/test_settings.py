"""`ANSWERERS`, `VOICES` and the variables of the ones called `default`: what is read of them, and what is refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from batkol.answering.behind import BehindAnswerer
from batkol.answering.factory import Answerers
from batkol.answering.hedged import HedgedAnswerer
from batkol.answering.openai import OpenAIAnswerer
from batkol.answering.prompted import PromptedAnswerer
from batkol.answering.webhook import WebhookAnswerer
from batkol.errors import ConfigurationError
from batkol.settings import read, shown

LLM = {"kind": "openai", "url": "http://llm/v1", "model": "m"}
ECHO = {"kind": "echo"}
SECRET = f"whsec_{base64.b64encode(bytes(32)).decode()}"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_VALIDATE_SIGNATURES", "false")
    monkeypatch.setenv("STORE", "none")
    monkeypatch.setenv("LLM_KEY", "sk-0123456789")
    monkeypatch.setenv("BOT_SECRET", f"{SECRET}\n")


def refusal(monkeypatch: pytest.MonkeyPatch, **values: Any) -> str:
    for name, value in values.items():
        monkeypatch.setenv(name, value if isinstance(value, str) else json.dumps(value))
    with pytest.raises(ConfigurationError) as raised:
        read()
    return str(raised.value)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("ANSWERERS", "{", 'ANSWERERS: must be JSON such as {"fast"'),
        ("ANSWERERS", "[]", "ANSWERERS: must be a JSON object"),
        ("ANSWERERS", '{"a": {"kind": "echo"}, "a": {"kind": "echo"}}', "ANSWERERS: has a twice in one object"),
        ("ANSWERERS", {"default": ECHO}, "has the name default, which is that of the single variables"),
        ("ANSWERERS", {"Fast One": ECHO}, "has the name 'Fast One'; a name has 1 to 32"),
        ("ANSWERERS", {f"a{n}": ECHO for n in range(21)}, "has 21 names; it may have 20"),
        ("ANSWERERS", {"a": {"kind": "magic"}}, "a: Invalid enum value 'magic' - at `a.kind`"),
        ("ANSWERERS", {"a": {"kind": "echo", "colour": 1}}, "a: Object contains unknown field `colour`"),
        ("ANSWERERS", {"a": {}}, "a: Object missing required field `kind`"),
        ("ANSWERERS", {"a": {"kind": "echo", "url": "http://x/"}}, "a: url is no field of kind echo; remove it"),
        ("ANSWERERS", {"a": {"kind": "openai", "url": "http://x/v1"}}, "a: kind openai needs url and model"),
        ("ANSWERERS", {"a": {**LLM, "url": "http://x/v1/chat/completions"}}, "a: url must end before the path"),
        ("ANSWERERS", {"a": {**LLM, "url": "http://u:secret@x/v1"}}, "a: url has a user or a password"),
        ("ANSWERERS", {"a": {**LLM, "maxTokens": 0}}, "a: Expected `int` >= 1 - at `a.maxTokens`"),
        ("ANSWERERS", {"a": {**LLM, "keyEnv": "NOT_SET"}}, "a: keyEnv: the variable NOT_SET is not set; set it"),
        ("ANSWERERS", {"a": {**LLM, "keyEnv": "sk-secret"}}, "a: keyEnv must be the name of an environment variable"),
        ("ANSWERERS", {"a": {"kind": "webhook", "url": "http://b/", "keyEnv": "LLM_KEY"}}, "a: the variable LLM_KEY"),
        ("ANSWERERS", {"a": {**ECHO, "then": "b"}}, "a: then names b, which there is not; the names are a, default"),
        ("ANSWERERS", {"a": {**ECHO, "then": "b"}, "b": {**ECHO, "then": "a"}}, "then leads back to where it was (a →"),
        ("ANSWERERS", {"a": {**ECHO, "then": "a"}}, "(a → a)"),
        ("ANSWERERS", {"a": {"kind": "hedged", "first": "default"}}, "a: kind hedged needs first and second"),
        ("ANSWERERS", {"a": {"kind": "hedged", "first": "a", "second": "default"}}, "a: first must be no hedged"),
        ("ANSWERERS", {"a": {"kind": "hedged", "first": "default", "second": "default"}}, "must be two answerers"),
        ("VOICES", {"a": {"kind": "magic"}}, "VOICES: a: Invalid enum value 'magic'"),
        ("VOICES", {"a": {"kind": "openai", "url": "http://v/v1"}}, "VOICES: a: kind=openai needs url and model"),
        ("VOICES", {"a": {"kind": "builtin", "then": "b"}}, "VOICES: a: then names b"),
        ("VOICES", {"a": {"kind": "builtin", "then": "a"}}, "VOICES: a: then leads back"),
        ("ANSWERER", "webhook", "ANSWERER=webhook needs ANSWERER_URL"),
        ("ANSWERER", "hedged", "ANSWERER=hedged needs ANSWERER_FIRST and ANSWERER_SECOND"),
        ("ANSWERER_THEN", "b", "ANSWERER_THEN must be a name of ANSWERERS, and b is none"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_at_the_start_by_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: Any, says: str
) -> None:
    sentence = refusal(monkeypatch, **{variable: value})
    assert says in sentence
    assert "secret" not in sentence
    assert "sk-0123456789" not in sentence


def test_a_webhook_whose_secret_is_none_is_refused_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"ANSWERER": "webhook", "ANSWERER_URL": "http://bot/v1/chat/completions", "ANSWERER_API_KEY": "a-password"}
    sentence = refusal(monkeypatch, **values)
    assert "ANSWERER_API_KEY must be whsec_ and 24 to 64 bytes in base64" in sentence
    assert "a-password" not in sentence


async def test_the_answerers_are_made_as_they_are_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSWERER_THEN", "bot")
    monkeypatch.setenv(
        "ANSWERERS",
        json.dumps(
            {
                "fast": {**LLM, "keyEnv": "LLM_KEY", "then": "bot"},
                "terse": {**LLM, "prompt": "Be terse."},
                "bot": {"kind": "webhook", "url": "http://bot/answer", "keyEnv": "BOT_SECRET"},
                "both": {"kind": "hedged", "first": "fast", "second": "terse", "afterMs": 400, "then": "bot"},
            }
        ),
    )
    settings = read()
    assert settings.answerer_keys() == {
        "default": "", "fast": "sk-0123456789", "terse": "", "bot": SECRET, "both": ""
    }  # fmt: skip
    made = Answerers(settings.answerer_specs, settings.answerer_keys())
    kinds = {name: type(answerer) for name, answerer in made.by_name.items()}
    assert kinds == {
        "default": BehindAnswerer, "fast": BehindAnswerer, "terse": PromptedAnswerer, "bot": WebhookAnswerer,
        "both": BehindAnswerer,
    }  # fmt: skip
    hedged = made.by_name["both"]._first  # type: ignore[attr-defined]
    assert isinstance(hedged, HedgedAnswerer)
    assert isinstance(hedged._first, OpenAIAnswerer), "without the one behind it"
    assert made.servers.keys() == {"default", "fast", "terse", "bot"}
    await made.aclose()


def test_the_log_has_the_maps_without_what_is_secret_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    described = {**LLM, "url": "http://llm/v1?key=secret", "keyEnv": "LLM_KEY", "prompt": "secret of the house"}
    monkeypatch.setenv("ANSWERERS", json.dumps({"fast": described}))
    monkeypatch.setenv("VOICES", '{"warm": {"kind": "google", "name": "Achernar", "then": "default"}}')
    settings = read()
    assert shown(settings)["answerers"] == {
        "fast": {**described, "url": "http://llm/v1?***", "prompt": "(19 characters)"}
    }
    assert shown(settings)["voices"] == {"warm": {"kind": "google", "name": "Achernar", "then": "default"}}
    assert "secret" not in repr(settings)
