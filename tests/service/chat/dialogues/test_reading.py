"""Dialogues out of files: what is right is read as it is written, and what is wrong is named by its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from batkol.chat.dialogues.reading import dialogues
from batkol.errors import ConfigurationError

WHOLE = """\
name: an appointment
tools:
  save_lead: {saved: true}
  look_up: מחר בעשר
turns:
  - caller: no
    agent:
      must: [תּוֹר, /1\\d:30/]
      must_not: פיצה
      calls:
        - tool: save_lead
          arguments: {name: דנה, age: 31}
      max_ms: 1500
      max_words: 20
  - caller: 12:30
"""

TURNS = "a list of turns, each a mapping with `caller` and `agent`"
CALLS = "a list of calls, each a mapping with `tool` and `arguments`"
AGENT = "a mapping with `must`, `must_not`, `calls`, `max_ms`, `max_words`"


def read(tmp_path: Path, text: str | bytes) -> list[str]:
    """The lines of the error; the first one is the same for all."""
    file = tmp_path / "a.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError) as raised:
        dialogues([file])
    return [line.replace(f"  {file}", "FILE") for line in str(raised.value).splitlines()[1:]]


def test_a_dialogue_is_read_as_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "booking.yaml"
    file.write_text(WHOLE)
    (only,) = dialogues([file])
    first, second = only.turns

    assert (only.name, only.tools) == ("an appointment", {"save_lead": '{"saved": true}', "look_up": "מחר בעשר"})
    assert (first.caller, second.caller, second.line) == ("no", "12:30", 15)
    assert [(each.text, each.pattern is not None, each.line) for each in first.agent.must] == [
        ("תּוֹר", False, 8),
        (r"/1\d:30/", True, 8),
    ]
    assert [each.text for each in first.agent.must_not] == ["פיצה"]
    assert first.agent.calls is not None
    assert [(each.tool, each.arguments) for each in first.agent.calls] == [("save_lead", {"name": "דנה", "age": 31})]
    assert (first.agent.max_ms, first.agent.max_words, second.agent.calls) == (1500, 20, None)


def test_a_file_has_several_dialogues_which_have_its_name_and_a_number(tmp_path: Path) -> None:
    file = tmp_path / "booking.yaml"
    file.write_text("turns: [{caller: a, agent: {calls: []}}]\n---\nturns: [{caller: b}]\n---\n")

    assert [(each.name, each.turns[0].agent.calls) for each in dialogues([file])] == [
        ("booking 1", ()),
        ("booking 2", None),
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("turns:\n- caller: a\n  agnet: {}", "line 3: 'agnet' is no key of turns[1]; the keys are caller, agent."),
        ("turn: []", "line 1: 'turn' is no key of a dialogue; the keys are name, tools, turns."),
        ("name: x", "line 1: the document has no `turns`."),
        ("turns: []", "line 1: turns has no turn."),
        ("- caller: a", "line 1: the document must be a mapping with `name`, `tools`, `turns`, not a list."),
        ("5", "line 1: the document must be a mapping with `name`, `tools`, `turns`, not a single value."),
        ("turns: 5", f"line 1: turns must be {TURNS}, not a single value."),
        ("turns:", f"line 1: turns must be {TURNS}, not empty."),
        ("turns:\n- 5", "line 2: turns[1] must be a mapping with `caller`, `agent`, not a single value."),
        ("turns:\n-", "line 2: turns[1] must be a mapping with `caller`, `agent`, not empty."),
        ("turns:\n- {caller: a, agent: hello}", f"line 2: turns[1].agent must be {AGENT}, not a single value."),
        ("turns:\n- {caller: a, agent: [b]}", f"line 2: turns[1].agent must be {AGENT}, not a list."),
        (
            "turns:\n- {caller: a, agent: {calls: x}}",
            f"line 2: turns[1].agent.calls must be {CALLS}, not a single value.",
        ),
        ("turns:\n- {caller: a, agent: {must: {b: c}}}", "line 2: turns[1].agent.must must be a text, not a mapping."),
        ("turns:\n- {caller: a, agent: {must: [[b]]}}", "line 2: turns[1].agent.must[1] must be a text, not a list."),
        (
            "tools: 5\nturns: [{caller: a}]",
            "line 1: tools must be a mapping of results by the names of tools, not a single value.",
        ),
        (
            "turns:\n- {caller: a, agent: {calls: {tool: x, arguments: 5}}}",
            "line 2: turns[1].agent.calls.arguments must be a mapping of arguments by name.",
        ),
        ("turns:\n- agent: {must: a}", "line 2: turns[1] has no `caller`: what the caller says."),
        ("turns:\n- caller:", "line 2: turns[1].caller is empty."),
        ("turns:\n- caller: ' '", "line 2: turns[1].caller is empty."),
        ("turns:\n- caller: [a]", "line 2: turns[1].caller must be a text, not a list."),
        ("turns:\n- caller: a\n  caller: b", "line 3: turns[1].caller is there twice."),
        ("turns:\n- {caller: a, agent: {max_ms: soon}}", "line 2: turns[1].agent.max_ms must be a number above 0."),
        ("turns:\n- {caller: a, agent: {max_ms: yes}}", "line 2: turns[1].agent.max_ms must be a number above 0."),
        (
            "turns:\n- caller: a\n  agent:\n    must: [b, /(/]",
            (
                "line 4: turns[1].agent.must[2] is no regular expression: missing ), unterminated subpattern at "
                "position 0."
            ),
        ),
        (
            "turns:\n- {caller: a, agent: {must: '?'}}",
            "line 2: turns[1].agent.must has no word; a regular expression stands between two slashes.",
        ),
        (
            "turns:\n- {caller: a, agent: {calls: {name: x}}}",
            "line 2: 'name' is no key of turns[1].agent.calls; the keys are tool, arguments.",
        ),
        (
            "turns:\n- {caller: a, agent: {calls: {tool: x, arguments: {day: 2026-01-02}}}}",
            (
                "line 2: turns[1].agent.calls.arguments.day is a date or a kind that JSON does not have; put "
                "quotation marks around it."
            ),
        ),
        (
            "turns:\n- {caller: a, agent: {calls: {tool: x, arguments: {day: '/[/'}}}}",
            (
                "line 2: turns[1].agent.calls.arguments is no regular expression: unterminated character set at "
                "position 0."
            ),
        ),
        ("turns: &t []\nname: *t", "line 1: has an anchor or an alias; write the text again."),
        ("turns: [", "line 1: is not YAML: expected the node content, but found '<stream end>'."),
        ("a: b: c", "line 1: is not YAML: mapping values are not allowed here."),
        ("a: \x00", "line 1: is not YAML: it has a character that YAML does not allow."),
        ("[" * 60, "line 1: has values nested more than 50 deep."),
        ("# nothing", "line 1: the file has no dialogue."),
        (" " * (1 << 20) + "\n", "line 1: the file has more than 1048576 bytes."),
    ],
    ids=lambda text: None if text.startswith("line") else text[:30],
)
def test_what_is_wrong_is_named_by_its_line(text: str, line: str, tmp_path: Path) -> None:
    assert read(tmp_path, text) == [f"FILE, {line}"]


def test_every_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("turns: [{caller: é}]".encode("latin-1"))
    (tmp_path / "right.yaml").write_text("turns: [{caller: a}]")
    files = [tmp_path / name for name in ("latin.yaml", "right.yaml", "gone.yaml", ".")]
    with pytest.raises(ConfigurationError) as raised:
        dialogues(files)

    said = str(raised.value).replace(str(tmp_path), "")
    assert said.splitlines()[1:] == [
        "  /latin.yaml cannot be read: the file is not UTF-8.",
        "  /gone.yaml cannot be read: No such file or directory.",
        "   cannot be read: Is a directory.",
    ]
