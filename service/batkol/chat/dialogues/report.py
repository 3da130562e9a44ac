"""The report of tried dialogues, for people: what was expected, and what came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from batkol.chat.dialogues.trials import TriedDialogue, TriedPrompt, TriedTurn, spread
from batkol.chat.page import short
from batkol.terminal_text import isolated, without_steering


def exit_code(prompt: TriedPrompt) -> int:
    """Return 0 if every run passed, 1 if one failed, 2 if one could not be tried and none failed."""
    if any(trial.failed for trial in prompt.trials):
        return 1
    return 0 if prompt.trials and all(trial.passed for trial in prompt.trials) else 2


def show(console: Console, prompts: Sequence[TriedPrompt]) -> None:
    """Print a table a prompt, its findings, and the prompts side by side if there are two."""
    for prompt in prompts:
        console.print(_dialogues(prompt))
        for line in _findings(prompt):
            console.print(Text(line), soft_wrap=True)
    if len(prompts) > 1:
        console.print(_side_by_side(prompts))
    for line in verdict(prompts):
        console.print(Text(line, "bold green" if exit_code(prompts[0]) == 0 else "bold red"), soft_wrap=True)


def verdict(prompts: Sequence[TriedPrompt]) -> Iterator[str]:
    """Yield the last line: whether the first prompt passed."""
    first = prompts[0]
    count = f"{first.passed} of {len(first.trials)} runs passed"
    match exit_code(first):
        case 0:
            yield f"PASSED  {count}"
        case 1:
            yield f"FAILED  {count}"
        case _:
            yield f"NOT TRIED  {count}; the others could not be tried to their end"


def _dialogues(prompt: TriedPrompt) -> Table:
    sheet = Table(box=SIMPLE_HEAD, pad_edge=False, title=prompt.name, title_justify="left")
    for heading in ("", "dialogue", "passed", "first words, median", "p95"):
        sheet.add_column(heading, overflow="fold")
    for each in prompt.dialogues:
        mark = Text("PASS", "green") if each.passed == len(each.trials) else Text("FAIL", "bold red")
        if not each.failed and each.passed < len(each.trials):
            mark = Text("NOT TRIED", "bold red")
        times = [turn.first_words_ms for trial in each.trials for turn in trial.turns if turn.first_words_ms]
        sheet.add_row(mark, Text(each.dialogue.name), f"{each.passed}/{len(each.trials)}", *milliseconds(spread(times)))
    return sheet


def milliseconds(spread_ms: tuple[float, float] | None) -> tuple[str, str]:
    """Return a median and a 95th percentile as they are shown."""
    return ("–", "–") if spread_ms is None else (f"{spread_ms[0]:.0f} ms", f"{spread_ms[1]:.0f} ms")


def _findings(prompt: TriedPrompt) -> Iterator[str]:
    for each in prompt.dialogues:
        yield from findings(each)


def findings(tried: TriedDialogue) -> Iterator[str]:
    """Yield lines about what was wrong in a dialogue's runs, each thing once, and in how many of the runs it was."""
    counts: dict[tuple[int, str], int] = {}
    examples: dict[tuple[int, str], tuple[int, TriedTurn, str]] = {}
    for trial in tried.trials:
        for number, turn in enumerate(trial.turns, 1):
            for found in turn.findings:
                key = (found.line, found.expected)
                counts[key] = counts.get(key, 0) + 1
                examples.setdefault(key, (number, turn, found.came))
    for key, (number, turn, came) in examples.items():
        line, expected = key
        runs = f"{counts[key]} of {len(tried.trials)} runs"
        yield f"{tried.dialogue.file}:{line}  {tried.dialogue.name}, turn {number}, {runs}"
        yield f"    caller said  {isolated(short(turn.caller))}"
        yield f"    expected     {isolated(short(expected))}"
        yield f"    came         {isolated(short(came)) or 'nothing'}"
    untried = {trial.untried: None for trial in tried.trials if trial.untried}
    for reason in untried:
        count = sum(trial.untried == reason for trial in tried.trials)
        yield f"{tried.dialogue.file}  {tried.dialogue.name}, {count} of {len(tried.trials)} runs could not be tried"
        yield f"    {without_steering(reason)}"


def _side_by_side(prompts: Sequence[TriedPrompt]) -> Table:
    sheet = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("prompt", "passed", "", "first words, median", "p95"):
        sheet.add_column(heading, overflow="fold")
    for prompt in prompts:
        share = 100 * prompt.passed / max(1, len(prompt.trials))
        passed = f"{prompt.passed}/{len(prompt.trials)}"
        sheet.add_row(Text(prompt.name), passed, f"{share:.0f} %", *milliseconds(prompt.first_words_ms()))
    return sheet
