"""Subjects: each agent is one token, whatever its name, and no two agents have the same."""

from __future__ import annotations

import re
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from batkol.sinks.nats.subjects import Subjects, token


def test_the_type_keeps_its_dots_and_partials_are_apart() -> None:
    subjects = Subjects("acme.voice")
    assert subjects.of("front.desk", "call.ended") == "acme.voice.front%2Edesk.call.ended"
    assert subjects.live("front-desk", "partial") == "acme.voice-live.front-desk.partial"
    assert (subjects.stored, subjects.stream) == ("acme.voice.>", "acme_voice")
    assert Subjects("batkol").of("", "final") == "batkol.-.final"


@given(st.text(), st.text())
def test_an_agent_is_one_token_without_wildcards_and_agents_stay_apart(one: str, other: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_%-]+", token(one))
    assert one == other or token(one) != token(other)
    assert not one or unquote(token(one)) == one
