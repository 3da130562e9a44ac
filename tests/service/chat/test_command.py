"""`batkol chat` as it is run: in a pipe, on a terminal, and with the dialogues of `examples/`."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from batkol.chat.carrying_out import ChatOptions, carry_out
from batkol.chat.parts import reply_settings
from batkol.chat.settings import ChatSettings
from batkol.errors import ConfigurationError
from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings
from batkol.simulators.llm.tool_deltas import ScriptedCall
from batkol.terminal_text import isolated
from batkol.voices.stored import TEXTS, Stored
from support.http.one_answer import answering, http

EXAMPLES = Path(__file__).parents[3] / "examples" / "dialogues"
QUICK = LLMSettings(profile="fixed:1", tokens_per_s=0)
RULES = (
    Rule("לקבוע תור", "בשמחה! לאיזה יום ולאיזו שעה?"),
    Rule("שלישי", "מעולה, קבענו ליום שלישי בעשר."),
    Rule("להתראות", "תודה, להתראות!"),
    Rule("כואב", "אני לא יכולה לייעץ. אפשר לקבוע תור לרופא."),
)
UNSEEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f]")
"""What steers a terminal or turns the direction of a line, the line break excepted."""


@asynccontextmanager
async def double(*rules: Rule, settings: LLMSettings = QUICK) -> AsyncIterator[tuple[LLMDouble, dict[str, str]]]:
    async with LLMDouble(settings) as made:
        url = await made.start()
        made.script(*rules)
        yield made, {"ANSWERER": "openai", "ANSWERER_URL": url, "ANSWERER_MODEL": "gpt-4.1"}


async def chat(environment: dict[str, str], lines: str, *options: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "batkol", "chat", *options),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | environment,
    )
    out, error = await process.communicate(lines.encode())
    return process.returncode, out.decode(), error.decode()


async def test_in_a_pipe_each_line_has_one_line_that_answers_it_and_all_else_is_beside_it() -> None:
    async with double(Rule("שלום", "**שלום** וברכה.\nמה שלומך?")) as (made, environment):
        greeted = environment | {"GREETING": "ברוכים הבאים.", "ANSWERER_PROMPT": "be kind"}
        code, out, error = await chat(greeted, "\ufeffשלום\n\n/what\nשלום שוב", "--times")
        made.reset()

    assert (code, out.splitlines()) == (0, ["שלום וברכה. מה שלומך?", "", "", "שלום וברכה. מה שלומך?"])
    assert f"· the agent's greeting: {isolated('ברוכים הבאים.')}\n" in error
    assert UNSEEN.search(out + re.sub(r"\u2068([^\u2068\u2069\n]+)\u2069", r"\1", error)) is None
    assert len(re.findall(r"^· first token \d+ ms, first words \d+ ms, whole \d+ ms, \d+ ", error, re.MULTILINE)) == 2
    assert "/quit or Ctrl-D ends the chat" in error


class Terminal:
    """A terminal with the command in it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._own, its = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "batkol", "chat"],
            **dict.fromkeys(("stdin", "stdout", "stderr"), its),  # type: ignore[call-overload]
            env=os.environ | environment | {"TERM": "xterm"},
        )
        os.close(its)
        self._shown = ""
        asyncio.get_running_loop().add_reader(self._own, self._read)

    async def until(self, text: str) -> str:
        """Wait until a text is on the screen; return all that came up to it, without colours."""
        async with asyncio.timeout(30):
            while text not in self._shown:
                await asyncio.sleep(0.01)
        before, _, self._shown = self._shown.partition(text)
        return before

    def type(self, text: str) -> None:
        os.write(self._own, text.encode())

    async def ended(self) -> int:
        async with asyncio.timeout(30):
            while self.process.poll() is None:
                await asyncio.sleep(0.01)
        return int(self.process.returncode)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._own)
        os.close(self._own)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _read(self) -> None:
        try:
            came = os.read(self._own, 65536).decode(errors="replace")
        except OSError:  # the other end is closed
            asyncio.get_running_loop().remove_reader(self._own)
            return
        self._shown += re.sub(r"\x1b\[[0-9;]*m", "", came)


async def test_on_a_terminal_an_interrupted_answer_is_heard_as_far_as_it_was_shown() -> None:
    slow = LLMSettings(profile="fixed:1", tokens_per_s=20)
    long = "אחת, שתיים. " + "שלוש ארבע חמש שש שבע שמונה תשע עשר " * 20
    async with double(Rule("ספר", long), Rule("תודה", "כן."), settings=slow) as (made, environment):
        terminal = Terminal(environment)
        try:
            await terminal.until("> ")
            terminal.type("ספר לי\n")
            await terminal.until("אחת,")
            terminal.process.send_signal(signal.SIGINT)
            shown = "אחת," + (await terminal.until("\u2069\r\n· interrupted"))
            await terminal.until("> ")
            terminal.type("תודה\n")
            await terminal.until("כן.")
            await terminal.until("> ")
            terminal.process.send_signal(signal.SIGINT)
            await terminal.until("Ctrl-D ends")
            terminal.type("\x04")

            assert await terminal.ended() == 0
        finally:
            terminal.close()
        asked = made.records[-1]
    assert shown.startswith("אחת,")
    assert len(shown) < 200
    assert [message.content for message in asked.messages] == ["ספר לי", " ".join(shown.split()), "תודה"]


async def try_dialogues(
    environment: dict[str, str], options: ChatOptions, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, str]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    page = io.StringIO()
    console = Console(file=page, width=140)
    return await carry_out(options, console, console), page.getvalue()


async def test_the_example_passes_with_a_model_that_answers_as_it_should(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ChatOptions(
        prompt_file=EXAMPLES / "front_desk.txt",
        dialogues=(EXAMPLES / "appointment.yaml",),
        repeat=2,
        junit=tmp_path / "report.xml",
        json=tmp_path / "report.json",
    )
    async with double(*RULES) as (made, environment):
        code, printed = await try_dialogues(environment, options, monkeypatch)
        prompts = {record.messages[0].content for record in made.records}

    assert (code, printed.splitlines()[-1]) == (0, "PASSED  4 of 4 runs passed")
    assert prompts == {(EXAMPLES / "front_desk.txt").read_text().strip()}
    assert (tmp_path / "report.xml").read_text().startswith("<?xml")
    assert (tmp_path / "report.json").read_text().startswith("[")


async def test_the_example_fails_with_a_model_that_gives_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    options = ChatOptions(dialogues=(EXAMPLES / "appointment.yaml",))
    async with double(*RULES[:3], Rule("כואב", "קח אקמול, או לך לרופא.")) as (_, environment):
        code, printed = await try_dialogues(environment, options, monkeypatch)

    assert (code, printed.splitlines()[-1]) == (1, "FAILED  1 of 2 runs passed")
    assert f"    expected     {isolated('must not: אקמול')}" in printed.splitlines()


@pytest.mark.parametrize(
    ("options", "name", "prompt"),
    [
        ({}, "ANSWERER_PROMPT", "the prompt in force"),
        ({"answerer": "new"}, "the prompt of new", "the new prompt"),
        ({"answerer": "new", "prompt_file": EXAMPLES / "front_desk.txt"}, str(EXAMPLES / "front_desk.txt"), "את נועה"),
    ],
)
async def test_an_answerer_is_chosen_by_its_name_and_has_its_own_prompt_unless_another_is_given(
    options: dict[str, Any], name: str, prompt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "report.json"
    chosen = ChatOptions(dialogues=(EXAMPLES / "appointment.yaml",), json=report, **options)
    async with double(*RULES) as (made, environment):
        new = {"kind": "openai", "url": environment["ANSWERER_URL"], "model": "new", "prompt": "the new prompt"}
        more = {"ANSWERERS": json.dumps({"new": new}), "ANSWERER_PROMPT": "the prompt in force"}
        await try_dialogues(environment | more, chosen, monkeypatch)
        asked = {(record.model, record.messages[0].content[: len(prompt)]) for record in made.records}

    assert asked == {("new" if "answerer" in options else "gpt-4.1", prompt)}
    assert [each["prompt"] for each in json.loads(report.read_text())] == [name]


BOOKING = """
tools: {book: {hour: 10}}
turns:
  - caller: קבע לי תור לעשר
    agent:
      calls: {tool: book, arguments: {hour: 10}}
      must: /נקבע/
"""
BOOK = {"name": "book", "parameters": {"type": "object", "properties": {"hour": {"type": "integer"}}}}


@pytest.mark.parametrize(("carried_out", "answer"), [(False, "נקבע לעשר."), (True, "נקבע לאחת עשרה.")])
async def test_a_webhook_is_asked_only_if_tools_are_to_be_carried_out(
    *, carried_out: bool, answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, report, reply = (tmp_path / name for name in ("booking.yaml", "report.json", "reply.json"))
    file.write_text(BOOKING)
    options = ChatOptions(dialogues=(file,), tools=carried_out, json=report)
    rules = (
        Rule("", "נקבע לעשר.", result='{"hour": 10}'),
        Rule("", "נקבע לאחת עשרה.", result="11"),
        Rule("קבע", tool=ScriptedCall("book", '{"hour": 10}')),
    )
    async with answering(http("200 OK", b"11")) as (url, asked), double(*rules) as (_, environment):
        reply.write_text(json.dumps({"prompt": "you book", "tools": [{**BOOK, "url": url}]}))
        code, printed = await try_dialogues(environment | {"LIVE_SOURCE": f"file:{tmp_path}"}, options, monkeypatch)

    (only,) = json.loads(report.read_text())
    assert (code, len(asked)) == (0, int(carried_out)), printed
    assert only["prompt"] == "that of reply.json"
    assert only["dialogues"][0]["runs"][0]["turns"][0]["agent"] == answer


@pytest.mark.parametrize(
    ("document", "carried_out", "why"),
    [
        ({"transfers": ["sales"]}, False, "transfers[0] is no label of TRANSFER_ALLOWED"),
        ({"tools": [{"name": "save_lead"}]}, False, "the tool save_lead needs a field"),
        (
            {"tools": [{**BOOK, "url": "http://tool.example/", "tokenEnv": "TOOL_NONE"}]},
            True,
            "the tool book cannot be carried out: the variable TOOL_NONE is not set",
        ),
        ({"tools": [{**BOOK, "url": "http://tool.example/", "tokenEnv": "TOOL_NONE"}]}, False, ""),
    ],
)
def test_a_reply_file_that_does_not_fit_the_settings_is_refused_as_a_pod_refuses_it(
    document: dict[str, Any], carried_out: bool, why: str, tmp_path: Path
) -> None:
    file = tmp_path / "reply.json"
    file.write_text(json.dumps(document))
    if not why:
        assert reply_settings(ChatSettings(), file, carried_out=carried_out).tools
        return

    with pytest.raises(ConfigurationError, match=rf"reply\.json does not fit the settings: {re.escape(why)}"):
        reply_settings(ChatSettings(), file, carried_out=carried_out)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            {"prompt_file": Path("gone.txt"), "dialogues": (EXAMPLES / "appointment.yaml",)},
            "the prompt gone.txt cannot",
        ),
        ({"dialogues": (Path("gone.yaml"),)}, "gone.yaml cannot be read: No such file"),
        ({"dialogues": (EXAMPLES / "front_desk.txt",)}, "front_desk.txt, line 3: is not YAML"),
        ({"dialogues": (EXAMPLES / "appointment.yaml",), "junit": Path("gone/a.xml")}, "the report gone/a.xml cannot"),
        ({"junit": Path("a.xml")}, "are for dialogues"),
        ({"reply_file": Path("gone.json")}, "gone.json cannot be read: No such file"),
        ({"answerer": "other"}, "--answerer other is no answerer; ANSWERERS and the variables ANSWERER… have default."),
    ],
)
async def test_what_cannot_be_tried_is_a_sentence_before_anything_is_asked(
    options: dict[str, object], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with double() as (made, environment):
        with pytest.raises(ConfigurationError, match=re.escape(why)):
            await try_dialogues(environment, ChatOptions(**options), monkeypatch)  # type: ignore[arg-type]

        assert made.records == []


async def test_settings_that_cannot_answer_are_named_as_those_of_a_service_are(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="ANSWERER=openai needs ANSWERER_URL and ANSWERER_MODEL"):
        await try_dialogues({"ANSWERER": "openai"}, ChatOptions(), monkeypatch)


@pytest.mark.nightly  # a third process; in one process: test_trials.py
async def test_a_pipe_with_a_turn_that_has_no_answer_ends_with_a_two() -> None:
    away = {"ANSWERER": "openai", "ANSWERER_URL": "http://127.0.0.1:1/v1", "ANSWERER_MODEL": "gpt-4.1"}
    code, out, error = await chat(away, "שלום\n")

    assert (code, out) == (2, f"{TEXTS['he'][Stored.APOLOGY]}\n")
    assert error.count("cannot be reached (ConnectError). Check its URL") == 2
