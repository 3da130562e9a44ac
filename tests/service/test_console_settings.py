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
