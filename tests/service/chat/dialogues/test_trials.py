"""Dialogues against a model's double: pass rates, exit codes, and the reports for people and programs."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from batkol.answering.answerer import ToolCall
from batkol.answering.openai import OpenAIAnswerer
from batkol.chat.dialogues.reading import dialogues
from batkol.chat.dialogues.report import exit_code, show
from batkol.chat.dialogues.report_files import as_json, junit
from batkol.chat.dialogues.trials import TriedPrompt, attempt, try_all
from batkol.chat.text_call import TextAgent, TextCall
from batkol.chat.text_tools import StatedResults
from batkol.conversation.agent import AgentSettings
from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.faults import LLMFault, LLMFaultKind
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings
from batkol.terminal_text import isolated
from batkol.tools.definition import ToolDefinition
from support.agent.scripted_parts import PartsAnswerer

DIALOGUE = """\
turns:
  - caller: אני רוצה תור
    agent: {must: [מחר, /1\\d:30/], must_not: פיצה}
  - caller: תודה
    agent:
      must: בשמחה
"""
RULES = (Rule("תור", "מחר ב-14:30."), Rule("תודה", "בְּשִׂמְחָה!"))
QUICK = LLMSettings(profile="fixed:1", tokens_per_s=0)


async def tried(tmp_path: Path, *faults: LLMFault, rules: tuple[Rule, ...] = RULES, repeat: int = 3) -> TriedPrompt:
    file = tmp_path / "booking.yaml"
    file.write_text(DIALOGUE)
    async with LLMDouble(QUICK) as double:
        answerer = OpenAIAnswerer(url=await double.start(), model="gpt-4.1", hold_s=0)
        double.script(*rules)
        double.inject(*faults)
        agent = TextAgent(answerer, apology="סליחה.")
        try:
            done = await try_all(
                dialogues([file]),
                lambda planned: TextCall(agent, StatedResults(planned.tools).post),
                repeat=repeat,
                at_once=2,
            )
        finally:
            await answerer.aclose()
        return TriedPrompt("a\x00 prompt", done)


def printed(*prompts: TriedPrompt) -> list[str]:
    page = io.StringIO()
    show(Console(file=page, width=140), prompts)
    return page.getvalue().splitlines()


def runs(prompt: TriedPrompt) -> dict[str, Any]:
    (only,) = json.loads(as_json([prompt]))
    return {name: only[name] for name in ("runs", "passed", "exit_code")}


async def test_every_run_that_is_as_it_must_be_passes(tmp_path: Path) -> None:
    prompt = await tried(tmp_path)

    assert runs(prompt) == {"runs": 3, "passed": 3, "exit_code": 0}
    assert printed(prompt)[-1] == "PASSED  3 of 3 runs passed"
    assert [turn.agent for turn in prompt.trials[0].turns] == ["מחר ב-14:30.", "בְּשִׂמְחָה!"]


async def test_a_run_that_fails_is_told_with_what_was_expected_and_what_came(tmp_path: Path) -> None:
    prompt = await tried(tmp_path, rules=(RULES[0], Rule("תודה", "אין בעד מה.")), repeat=2)
    lines = printed(prompt)
    suite = ET.fromstring(junit([prompt])).find("testsuite")

    assert runs(prompt) == {"runs": 2, "passed": 0, "exit_code": 1}
    assert lines[-5:] == [
        f"{tmp_path}/booking.yaml:6  booking, turn 2, 2 of 2 runs",
        f"    caller said  {isolated('תודה')}",
        f"    expected     {isolated('must: בשמחה')}",
        f"    came         {isolated('אין בעד מה.')}",
        "FAILED  0 of 2 runs passed",
    ]
    assert suite is not None
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("booking (a  prompt)", "2", "2")
    assert [failure.get("message") for failure in suite.iter("failure")] == ["must: בשמחה"] * 2


async def test_one_failure_is_a_failure_and_the_pass_rate_says_how_often(tmp_path: Path) -> None:
    twice_empty = LLMFault(kind=LLMFaultKind.EMPTY, times=2, contains="תודה")
    prompt = await tried(tmp_path, twice_empty, repeat=1)
    more = await tried(tmp_path, repeat=1)
    both = TriedPrompt("both", (*prompt.dialogues, *more.dialogues))

    assert (exit_code(both), both.passed, len(both.trials)) == (1, 1, 2)
    assert f"    came         {isolated('an empty answer, twice, and so the apology')}" in printed(both)


async def test_an_answerer_that_is_away_is_not_a_failure_of_the_dialogue(tmp_path: Path) -> None:
    prompt = await tried(tmp_path, LLMFault(kind=LLMFaultKind.REFUSE, status=401), repeat=2)
    lines = printed(prompt)
    suite = ET.fromstring(junit([prompt])).find("testsuite")

    assert runs(prompt) == {"runs": 2, "passed": 0, "exit_code": 2}
    assert lines[-1].startswith("NOT TRIED  0 of 2 runs passed")
    assert "2 of 2 runs could not be tried" in lines[-3]
    assert "The server refuses the API key" in lines[-2]
    assert suite is not None
    assert (suite.get("failures"), suite.get("errors")) == ("0", "2")


async def test_two_prompts_stand_side_by_side_and_the_first_decides(tmp_path: Path) -> None:
    new = await tried(tmp_path, repeat=2)
    old = await tried(tmp_path, rules=(RULES[0],), repeat=2)
    side_by_side = [line.split() for line in printed(new, old) if "%" in line]

    assert [line[2:5] for line in side_by_side] == [["2/2", "100", "%"], ["0/2", "0", "%"]]
    assert printed(new, old)[-1] == "PASSED  2 of 2 runs passed"


@pytest.mark.virtual_time
async def test_a_dialogue_that_goes_on_after_the_agent_ended_the_call_fails(tmp_path: Path) -> None:
    (tmp_path / "booking.yaml").write_text(DIALOGUE)
    answerer = PartsAnswerer(["מחר ב-14:30. ", ToolCall("1", "hang_up", "{}")])
    agent = TextAgent(answerer, AgentSettings(tools=(ToolDefinition(name="hang_up"),)))
    call = TextCall(agent, StatedResults().post)
    trial = await attempt(dialogues([tmp_path / "booking.yaml"])[0], call)

    assert [[each.expected for each in turn.findings] for turn in trial.turns] == [[], ["the call goes on"]]
