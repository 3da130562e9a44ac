"""The settings of the console."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from batkol.console_settings import ConsoleFields


@pytest.mark.parametrize(
    "url", ["", "https://jaeger.example.com/trace/{trace_id}", "http://tempo:3000/explore?query={trace_id}&org=1"]
)
def test_an_address_of_traces_has_a_place_for_the_id(url: str) -> None:
    assert ConsoleFields(trace_url=url).trace_url == url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://jaeger.example.com/trace/", "{trace_id} exactly once"),
        ("https://jaeger.example.com/{trace_id}/{trace_id}", "{trace_id} exactly once"),
        ("javascript:alert('{trace_id}')", "must be https://host"),
        ("https://user:secret@jaeger.example.com/{trace_id}", "no user and no password"),
        ("jaeger.example.com/{trace_id}", "must be https://host"),
    ],
)
def test_what_is_no_such_address_is_refused_unquoted(url: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said.replace("{", r"\{")) as caught:
        ConsoleFields(trace_url=url)

    assert "secret" not in str(caught.value.errors(include_input=False, include_url=False))


def test_other_consoles_are_named_with_their_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSOLE_AGENTS", '{"sales": "https://sales.example.com/console/", "lab": "http://[::1]:8081"}')

    assert ConsoleFields().console_agents == {
        "sales": "https://sales.example.com/console/",
        "lab": "http://[::1]:8081",
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ('{"sales": "javascript:alert(1)"}', "sales: the address must be https://host"),
        ('{"sales": "https://user:secret@sales.example.com/"}', "sales: the address must have no user"),
        ('{"": "https://sales.example.com/"}', "must have names of 1 to 63"),
        ('{"a": "https://a.example/", "a": "https://b.example/"}', "has a twice"),
        ("sales", "must be JSON such as"),
        (str({str(number): "https://a.example/" for number in range(51)}).replace("'", '"'), "has 51 agents"),
    ],
)
def test_what_is_no_console_is_refused_unquoted(given: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSOLE_AGENTS", given)
    with pytest.raises(ValidationError, match=said) as caught:
        ConsoleFields()

    assert "secret" not in str(caught.value.errors(include_input=False, include_url=False))
