"""Dialogues out of YAML files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from batkol.chat.dialogues.dialogue import (
    Dialogue,
    DialogueTurn,
    Expectation,
    WantedCall,
    Wording,
    pattern_in,
)
from batkol.chat.dialogues.yaml_nodes import YamlError, YamlValue, documents
from batkol.errors import ConfigurationError
from batkol.speech.sameness import spoken

LARGEST: Final = 1 << 20
"""Bytes of a file."""


def dialogues(files: Sequence[Path]) -> list[Dialogue]:
    """Read the dialogues of files. Raises `ConfigurationError`, which names every file that cannot be used."""
    found: list[Dialogue] = []
    wrong: list[str] = []
    for file in files:
        try:
            found += _of_file(file)
        except YamlError as error:
            wrong.append(f"  {file}, {error}")
        except (OSError, UnicodeDecodeError) as error:
            wrong.append(f"  {file} cannot be read: {_why(error)}.")
    if wrong:
        raise ConfigurationError("the dialogues cannot be tried:\n" + "\n".join(wrong))
    return found


def _why(error: Exception) -> str:
    return error.strerror or "it failed" if isinstance(error, OSError) else "the file is not UTF-8"


def _of_file(file: Path) -> Iterator[Dialogue]:
    with file.open("rb") as opened:
        raw = opened.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise YamlError(f"line 1: the file has more than {LARGEST} bytes.")
    read = documents(raw.decode("utf-8-sig"))
    if not read:
        raise YamlError("line 1: the file has no dialogue.")
    for number, document in enumerate(read, 1):
        name = file.stem if len(read) == 1 else f"{file.stem} {number}"
        yield dialogue(document, str(file), name)


def dialogue(document: YamlValue, file: str, name: str) -> Dialogue:
    """Return the dialogue of a document. Raises `YamlError`."""
    fields = document.fields("name", "tools", "turns")
    if "turns" not in fields:
        document.refuse("has no `turns`")
    turns = tuple(map(_turn, fields["turns"].items("a list of turns, each a mapping with `caller` and `agent`")))
    if not turns:
        fields["turns"].refuse("has no turn")
    return Dialogue(
        name=fields["name"].text() if "name" in fields else name,
        file=file,
        turns=turns,
        tools=_results(fields["tools"]) if "tools" in fields else {},
        line=document.line,
    )


def _turn(value: YamlValue) -> DialogueTurn:
    fields = value.fields("caller", "agent")
    if "caller" not in fields:
        value.refuse("has no `caller`: what the caller says")
    agent = _expectation(fields["agent"]) if "agent" in fields else Expectation(line=value.line)
    return DialogueTurn(fields["caller"].text(), agent, value.line)


def _expectation(value: YamlValue) -> Expectation:
    fields = value.fields("must", "must_not", "calls", "max_ms", "max_words")
    return Expectation(
        must=_wordings(fields.get("must")),
        must_not=_wordings(fields.get("must_not")),
        calls=_calls(fields["calls"]) if "calls" in fields else None,
        max_ms=fields["max_ms"].number() if "max_ms" in fields else None,
        max_words=fields["max_words"].number() if "max_words" in fields else None,
        line=value.line,
    )


def _wordings(value: YamlValue | None) -> tuple[Wording, ...]:
    return () if value is None else tuple(map(_wording, value.items()))


def _wording(value: YamlValue) -> Wording:
    text = value.text()
    pattern = _pattern(value, text)
    if pattern is None and not spoken(text):
        value.refuse("has no word; a regular expression stands between two slashes")
    return Wording(text, pattern, value.line)


def _pattern(value: YamlValue, text: str) -> re.Pattern[str] | None:
    try:
        return pattern_in(text)
    except re.error as error:
        value.refuse(f"is no regular expression: {error}")


def _calls(value: YamlValue) -> tuple[WantedCall, ...]:
    return tuple(map(_call, value.items("a list of calls, each a mapping with `tool` and `arguments`")))


def _call(value: YamlValue) -> WantedCall:
    fields = value.fields("tool", "arguments")
    if "tool" not in fields:
        value.refuse("has no `tool`: the name of the tool")
    arguments = fields["arguments"].plain() if "arguments" in fields else {}
    if not isinstance(arguments, dict):
        fields["arguments"].refuse("must be a mapping of arguments by name")
    for text in _texts(arguments):
        _pattern(fields["arguments"], text)
    return WantedCall(fields["tool"].text(), arguments, value.line)


def _texts(value: object) -> Iterator[str]:
    """Yield the texts in a value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _results(value: YamlValue) -> dict[str, str]:
    named = value.fields(wanted="a mapping of results by the names of tools")
    return {tool: _result(each) for tool, each in named.items()}


def _result(value: YamlValue) -> str:
    """Return what a tool gives back: a text as it is, all else as JSON."""
    plain = value.plain()
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
