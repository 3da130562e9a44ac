"""`batkol chat`: from options to an exit code."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from batkol.chat.dialogues import report_files
from batkol.chat.dialogues.dialogue import Dialogue
from batkol.chat.dialogues.reading import dialogues
from batkol.chat.dialogues.report import exit_code, show
from batkol.chat.dialogues.trials import TriedPrompt, try_all
from batkol.chat.page import Page
from batkol.chat.parts import ChatAnswerers, reply_settings, text_agent
from batkol.chat.settings import ChatSettings, prompt_from, read
from batkol.chat.stdin_lines import StdinLines
from batkol.chat.talking import HELP, Chat
from batkol.chat.text_call import TextAgent, TextCall
from batkol.chat.text_tools import StatedResults
from batkol.commands.report_file import check_writable, write
from batkol.conversation.tools.webhook import ToolWebhooks
from batkol.errors import ConfigurationError
from batkol.live.reply import ReplySettings
from batkol.named_specs import DEFAULT
from batkol.terminal_text import without_steering


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """The options of the command line."""

    prompt_file: Path | None = None
    reply_file: Path | None = None
    answerer: str = DEFAULT
    against: Path | None = None
    dialogues: tuple[Path, ...] = ()
    repeat: int = 1
    at_once: int = 4
    times: bool = False
    tools: bool = False
    junit: Path | None = None
    json: Path | None = None
    caller: str = ""


@dataclass(frozen=True, slots=True)
class _Parts:
    settings: ChatSettings
    reply: ReplySettings
    answerers: ChatAnswerers
    name: str
    """The name of the answerer."""
    webhooks: ToolWebhooks | None
    """None: the user's own tools are not carried out."""
    caller: str
    """The caller's number."""

    def agent(self, prompt_file: Path | None) -> TextAgent:
        prompt = prompt_from(prompt_file) if prompt_file else ""
        answerer = self.answerers.get(self.name, own_prompt=not prompt)
        return replace(text_agent(self.settings, self.reply, answerer, prompt), caller=self.caller)

    def call(self, agent: TextAgent, dialogue: Dialogue | None = None) -> TextCall:
        if self.webhooks is not None:
            return TextCall(agent, self.webhooks.carry_out)
        return TextCall(agent, StatedResults(dialogue.tools if dialogue else {}).post)

    def prompt_name(self, file: Path | None) -> str:
        """Return where the prompt is from."""
        if file is not None:
            return str(file)
        if self.answerers.has_prompt(self.name):
            return f"the prompt of {self.name}"
        return "that of reply.json" if self.reply.prompt else "ANSWERER_PROMPT"


async def carry_out(options: ChatOptions, out: Console, notes: Console) -> int:
    """Chat, or try dialogues. Raises `ConfigurationError` for what cannot be tried. Cancelling it drops the answer."""
    _check(options)
    settings = read()
    async with AsyncExitStack() as stack:
        answerers = await stack.enter_async_context(aclosing(ChatAnswerers(settings)))
        webhooks = await stack.enter_async_context(aclosing(ToolWebhooks())) if options.tools else None
        reply = reply_settings(settings, options.reply_file, carried_out=options.tools)
        parts = _Parts(settings, reply, answerers, options.answerer, webhooks, options.caller)
        if options.dialogues:
            return await _try_dialogues(options, parts, out)
        return await _talk(options, parts, out, notes)


def _check(options: ChatOptions) -> None:
    if not options.dialogues and (options.against or options.junit or options.json or options.repeat > 1):
        raise ConfigurationError(
            "--against, --repeat, --junit and --json are for dialogues; give a file with --dialogue FILE.yaml."
        )
    for file in (options.junit, options.json):
        if file is not None:
            check_writable(file)


async def _talk(options: ChatOptions, parts: _Parts, out: Console, notes: Console) -> int:
    agent = parts.agent(options.prompt_file)
    terminal = sys.stdin.isatty() and out.is_terminal
    page = Page(out, out if terminal else notes, terminal=terminal, times=options.times, tools=options.tools)
    if terminal:
        prompt = parts.prompt_name(options.prompt_file)
        named = f"the answerer is {parts.name} ({agent.answerer.name}), the prompt {prompt}."
        page.note(f"{without_steering(named)} {HELP}")
    if agent.greeting:
        page.greet(agent.greeting)
    async with aclosing(parts.call(agent)) as call:
        return await Chat(call, StdinLines(), page, terminal=terminal).run()


async def _try_dialogues(options: ChatOptions, parts: _Parts, out: Console) -> int:
    planned = dialogues(options.dialogues)
    files = (options.prompt_file, options.against) if options.against else (options.prompt_file,)
    tried = []
    for name, agent in [(parts.prompt_name(file), parts.agent(file)) for file in files]:

        def call_for(dialogue: Dialogue, agent: TextAgent = agent) -> TextCall:
            return parts.call(agent, dialogue)

        done = await try_all(planned, call_for, repeat=options.repeat, at_once=options.at_once)
        tried.append(TriedPrompt(name, done))
    show(out, tried)
    if options.junit:
        write(options.junit, report_files.junit(tried))
    if options.json:
        write(options.json, report_files.as_json(tried))
    return exit_code(tried[0])
