"""Answers against what they must be. Pure.

Words are compared as `speech.sameness` compares them: niqqud, punctuation and the signs of geresh mean nothing, and a
text is there if its words stand in the answer one after the other. A regular expression is searched in the answer
without niqqud, with its punctuation.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from batkol.chat.dialogues.dialogue import Expectation, WantedCall, Wording, pattern_in
from batkol.chat.text_call import TextTurn
from batkol.chat.text_tools import TriedTool
from batkol.quantity import quantity
from batkol.speech.sameness import same, spoken


class Finding(msgspec.Struct, frozen=True):
    """One thing that an answer was not; `line` is that of what was expected."""

    line: int
    expected: str
    came: str


def findings(wanted: Expectation, turn: TextTurn) -> list[Finding]:
    """Return what is wrong with an answer; nothing if it is as it must be."""
    return [*_words(wanted, turn), *_calls(wanted, turn), *_limits(wanted, turn)]


def _words(wanted: Expectation, turn: TextTurn) -> Iterator[Finding]:
    said = turn.text
    for each in wanted.must:
        if not has(said, each):
            yield Finding(each.line, f"must: {each.text}", said)
    for each in wanted.must_not:
        if has(said, each):
            yield Finding(each.line, f"must not: {each.text}", said)


def has(said: str, wording: Wording) -> bool:
    """Whether an answer has these words."""
    if wording.pattern is not None:
        return wording.pattern.search(without_niqqud(said)) is not None
    return f" {spoken(wording.text)} " in f" {spoken(said)} "


def without_niqqud(text: str) -> str:
    """Return a text without combining marks and format characters, in Unicode's composed form."""
    apart = unicodedata.normalize("NFKD", text)
    kept = (each for each in apart if unicodedata.category(each) not in {"Mn", "Me", "Cf"})
    return unicodedata.normalize("NFC", "".join(kept))


def _calls(wanted: Expectation, turn: TextTurn) -> Iterator[Finding]:
    if wanted.calls is None:
        return
    made = [tried for tried in turn.tools if tried.counts]
    left = list(made)
    missing: set[str] = set()
    came = "; ".join(map(_call_text, made)) or "no tool was called"
    for each in wanted.calls:
        found = next((tried for tried in left if _fits(each, tried)), None)
        if found is None:
            missing.add(each.tool)
            yield Finding(each.line, f"calls: {each.tool} {_json(each.arguments)}", came)
        else:
            left.remove(found)
    if more := [tried for tried in left if tried.call.name not in missing]:
        yield Finding(wanted.line, "calls: no other call", "; ".join(map(_call_text, more)))


def _fits(wanted: WantedCall, tried: TriedTool) -> bool:
    if wanted.tool != tried.call.name:
        return False
    try:
        given = json.loads(tried.call.arguments or "{}")
    except (ValueError, RecursionError):
        return False
    return _equals(wanted.arguments, given)


def _equals(wanted: Any, given: Any) -> bool:
    """Whether a value is the wanted one: texts by sameness, a mapping by its named keys."""
    match wanted:
        case Mapping():
            return isinstance(given, dict) and all(
                name in given and _equals(value, given[name]) for name, value in wanted.items()
            )
        case list():
            return isinstance(given, list) and len(given) == len(wanted) and all(map(_equals, wanted, given))
        case str():
            return isinstance(given, str) and _same_text(wanted, given)
        case bool() | None:
            return wanted is given
    return not isinstance(given, bool) and bool(wanted == given)


def _same_text(wanted: str, given: str) -> bool:
    if (pattern := pattern_in(wanted)) is not None:
        return pattern.search(without_niqqud(given)) is not None
    return same(wanted, given)


def _limits(wanted: Expectation, turn: TextTurn) -> Iterator[Finding]:
    if wanted.max_ms is not None and turn.first_piece_s is not None and turn.first_piece_s * 1000 > wanted.max_ms:
        came = f"{turn.first_piece_s * 1000:.0f} ms"
        yield Finding(wanted.line, f"max_ms: first words within {wanted.max_ms:.0f} ms", came)
    words = len(spoken(turn.text).split())
    if wanted.max_words is not None and words > wanted.max_words:
        yield Finding(wanted.line, f"max_words: {wanted.max_words:.0f}", f"{quantity(words, 'word')}: {turn.text}")


def _call_text(tried: TriedTool) -> str:
    return f"{tried.call.name} {tried.call.arguments}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
