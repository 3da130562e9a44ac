"""`batkol chat`."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from batkol.commands.env_file import EnvFileOption
from batkol.commands.shared import NoColor, console, exit_with

PromptFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The file with the prompt, instead of ANSWERER_PROMPT."),
]
ReplyFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="A reply.json with tools, lead fields and phrases, instead of that in LIVE_SOURCE=file:…"
    ),
]
Tools = Annotated[bool, typer.Option("--tools", help="Carry out the tools that the answerer calls, by their webhooks.")]
AnswererName = Annotated[
    str, typer.Option("--answerer", metavar="NAME", help="An answerer of ANSWERERS; `default` is that of ANSWERER.")
]
Against = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A second prompt, tried with the same dialogues for comparison.")
]
Dialogues = Annotated[
    list[Path] | None, typer.Option("--dialogue", metavar="FILE", help="A YAML file with dialogues to try.")
]
MoreDialogues = Annotated[list[Path] | None, typer.Argument(metavar="FILE", help="Further files with dialogues.")]
Repeat = Annotated[int, typer.Option(min=1, max=1000, help="Times to try each dialogue.")]
AtOnce = Annotated[int, typer.Option(min=1, max=64, help="Dialogues to try at once.")]
Times = Annotated[bool, typer.Option("--times", help="Print the times and tokens of each answer.")]
Junit = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as JUnit XML.")]
CallerNumber = Annotated[
    str, typer.Option("--caller", metavar="NUMBER", help="The caller's number, for a prompt that names {{caller}}.")
]
Json = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as JSON.")]


def chat(
    more: MoreDialogues = None,
    *,
    prompt_file: PromptFile = None,
    reply_file: ReplyFile = None,
    answerer: AnswererName = "default",
    dialogue: Dialogues = None,
    against: Against = None,
    repeat: Repeat = 1,
    at_once: AtOnce = 4,
    times: Times = False,
    tools: Tools = False,
    junit: Junit = None,
    json: Json = None,
    caller: CallerNumber = "",
    no_color: NoColor = False,
    env_file: EnvFileOption = None,  # noqa: ARG001  its callback has read it
) -> None:
    """Type with the agent, or try scripted dialogues: the answerer and the prompt of `batkol serve`, without sound.

    Everything else is set by the environment variables of `batkol serve`.

    With dialogues, exit code 0: all runs passed; 1: one failed; 2: one could not be tried.
    """
    from batkol.chat.carrying_out import ChatOptions, carry_out

    options = ChatOptions(
        prompt_file=prompt_file,
        reply_file=reply_file,
        answerer=answerer,
        against=against,
        dialogues=(*(dialogue or ()), *(more or ())),
        repeat=repeat,
        at_once=at_once,
        times=times,
        tools=tools,
        junit=junit,
        json=json,
        caller=caller,
    )
    exit_with(carry_out(options, console(no_color=no_color), console(no_color=no_color, stderr=True)))
