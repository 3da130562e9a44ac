"""The report of tried dialogues, for programs: JUnit's XML, and JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import msgspec

from batkol.chat.dialogues.report import exit_code
from batkol.chat.dialogues.trials import Trial, TriedDialogue, TriedPrompt

_NO_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(prompts: Sequence[TriedPrompt]) -> bytes:
    """Return JUnit's XML: a suite for each dialogue and prompt, a case for each run."""
    root = Element("testsuites", name="batkol chat")
    for prompt in prompts:
        for tried in prompt.dialogues:
            _suite(root, prompt.name, tried)
    indent(root)
    text: str = tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode()


def _suite(root: Element, prompt: str, tried: TriedDialogue) -> None:
    suite = SubElement(
        root,
        "testsuite",
        name=_xml(f"{tried.dialogue.name} ({prompt})"),
        file=_xml(tried.dialogue.file),
        tests=str(len(tried.trials)),
        failures=str(tried.failed),
        errors=str(sum(bool(trial.untried) and not trial.failed for trial in tried.trials)),
        time=f"{sum(trial.seconds for trial in tried.trials):.3f}",
    )
    for number, trial in enumerate(tried.trials, 1):
        case = SubElement(
            suite,
            "testcase",
            classname=_xml(prompt),
            name=_xml(f"{tried.dialogue.name} {number}"),
            file=_xml(tried.dialogue.file),
            line=str(tried.dialogue.line),
            time=f"{trial.seconds:.3f}",
        )
        _outcome(case, trial)


def _outcome(case: Element, trial: Trial) -> None:
    found = [(number, turn, each) for number, turn in enumerate(trial.turns, 1) for each in turn.findings]
    if found:
        texts = [
            f"line {each.line}, turn {number}\ncaller said: {turn.caller}\nexpected: {each.expected}\ncame: {each.came}"
            for number, turn, each in found
        ]
        SubElement(case, "failure", message=_xml(found[0][2].expected)).text = _xml("\n\n".join(texts))
    elif trial.untried:
        SubElement(case, "error", message=_xml(trial.untried))


def _xml(text: str) -> str:
    return _NO_XML.sub(" ", text)


def as_json(prompts: Sequence[TriedPrompt]) -> bytes:
    """Return all that was said and found, with the figures of the tables."""
    return msgspec.json.format(msgspec.json.encode([_prompt(each) for each in prompts]), indent=2) + b"\n"


def _prompt(prompt: TriedPrompt) -> dict[str, Any]:
    spread = prompt.first_words_ms()
    return {
        "prompt": prompt.name,
        "exit_code": exit_code(prompt),
        "runs": len(prompt.trials),
        "passed": prompt.passed,
        "first_words_ms": None if spread is None else {"p50": spread[0], "p95": spread[1]},
        "dialogues": [
            {
                "name": each.dialogue.name,
                "file": each.dialogue.file,
                "passed": each.passed,
                "failed": each.failed,
                "runs": each.trials,
            }
            for each in prompt.dialogues
        ],
    }
