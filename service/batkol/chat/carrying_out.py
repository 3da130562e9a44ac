"""`batkol chat`: from options to an exit code."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from batkol.answering.answerer import Answerer
from batkol.chat.dialogues import report_files
from batkol.chat.dialogues.dialogue import Dialogue
from batkol.chat.dialogues.reading import dialogues
from batkol.chat.dialogues.report import exit_code, show
from batkol.chat.dialogues.trials import TriedPrompt, try_all
from batkol.chat.page import Page
from batkol.chat.parts import answerer, text_agent
from batkol.chat.settings import ChatSettings, prompt_from, read
from batkol.chat.stated_tools import StatedTools
from batkol.chat.stdin_lines import StdinLines
from batkol.chat.talking import HELP, Chat
from batkol.chat.text_call import TextAgent, TextCall
from batkol.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """The options of the command line."""

    prompt_file: Path | None = None
    against: Path | None = None
    dialogues: tuple[Path, ...] = ()
    repeat: int = 1
    at_once: int = 4
    times: bool = False
    junit: Path | None = None
    json: Path | None = None


async def carry_out(options: ChatOptions, out: Console, notes: Console) -> int:
    """Chat, or try dialogues. Raises `ConfigurationError` for what cannot be tried. Cancelling it drops the answer."""
    _check(options)
    settings = read()
    answers = answerer(settings)
    try:
        if options.dialogues:
            return await _try_dialogues(options, settings, answers, out)
        return await _talk(options, settings, answers, out, notes)
    finally:
        await answers.aclose()


def _check(options: ChatOptions) -> None:
    if not options.dialogues and (options.against or options.junit or options.json or options.repeat > 1):
        raise ConfigurationError(
            "--against, --repeat, --junit and --json are for dialogues; give a file with --dialogue FILE.yaml."
        )
    for file in (options.junit, options.json):
        if file is not None:
            report_files.check_writable(file)


async def _talk(options: ChatOptions, settings: ChatSettings, answers: Answerer, out: Console, notes: Console) -> int:
    prompt = prompt_from(options.prompt_file) if options.prompt_file else settings.answerer_prompt
    agent = text_agent(settings, answers, prompt)
    terminal = sys.stdin.isatty() and out.is_terminal
    page = Page(out, out if terminal else notes, terminal=terminal, times=options.times)
    if terminal:
        page.note(f"answerer {answers.name}; {_which(options.prompt_file, prompt)}. {HELP}")
    if agent.greeting:
        page.say(agent.greeting)
        page.end_turn()
    chat = Chat(TextCall(agent, StatedTools()), StdinLines(), page, terminal=terminal)
    return await chat.run()


def _which(file: Path | None, prompt: str) -> str:
    if file is not None:
        return f"the prompt is {file}"
    return "the prompt is ANSWERER_PROMPT" if prompt else "there is no prompt"


async def _try_dialogues(options: ChatOptions, settings: ChatSettings, answers: Answerer, out: Console) -> int:
    planned = dialogues(options.dialogues)
    files = (options.prompt_file, options.against) if options.against else (options.prompt_file,)
    prompts = [(_name(file), prompt_from(file) if file else settings.answerer_prompt) for file in files]
    tried = []
    for name, prompt in prompts:
        agent = text_agent(settings, answers, prompt)

        def call_for(dialogue: Dialogue, agent: TextAgent = agent) -> TextCall:
            return TextCall(agent, StatedTools(dialogue.tools))

        done = await try_all(planned, call_for, repeat=options.repeat, at_once=options.at_once)
        tried.append(TriedPrompt(name, done))
    show(out, tried)
    if options.junit:
        report_files.write(options.junit, report_files.junit(tried))
    if options.json:
        report_files.write(options.json, report_files.as_json(tried))
    return exit_code(tried[0])


def _name(file: Path | None) -> str:
    return str(file) if file else "ANSWERER_PROMPT"
