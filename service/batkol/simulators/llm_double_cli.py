"""`batkol llm-double`: the double of a language model on its own, with a profile, rules and faults."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from rich.console import Console

from batkol.errors import ConfigurationError
from batkol.simulators import double_cli
from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.faults import LLMFault
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings

FAULT: Final = '{"kind": "stall", "after_tokens": 5, "times": 1}'


@dataclass(frozen=True, slots=True)
class LLMDoubleOptions:
    """The options of the command line."""

    settings: LLMSettings
    host: str
    port: int
    rules: tuple[Rule, ...]
    faults: tuple[LLMFault, ...]


def settings_from(profile: str, pairs: Sequence[str]) -> LLMSettings:
    """Read the profile, and see `double_cli.settings_from`."""
    return double_cli.settings_from(LLMSettings, pairs, profile=profile)


def rules_from(texts: Sequence[str]) -> tuple[Rule, ...]:
    """Read `TEXT=ANSWER` into rules. Raises `ConfigurationError`."""
    for text in texts:
        if "=" not in text:
            raise ConfigurationError("--answer is not TEXT=ANSWER; one looks like תור=מחר בעשר.")
    return tuple(Rule(contains, answer) for contains, _, answer in (text.partition("=") for text in texts))


def faults_from(texts: Sequence[str]) -> tuple[LLMFault, ...]:
    """See `double_cli.faults_from`."""
    return double_cli.faults_from(LLMFault, texts, FAULT)


async def carry_out(options: LLMDoubleOptions, console: Console) -> int:
    """See `double_cli.serve`."""
    double = LLMDouble(options.settings)

    async def listen(_: AsyncExitStack) -> Sequence[str]:
        double.script(*options.rules)
        double.inject(*options.faults)
        url = await double.start(options.host, options.port)
        return (
            f"llm double: {url}, control on {url.removesuffix('/v1')}/control",
            (
                "serve against it: AGENT_REPLIES=true ANSWERER=openai "
                f"ANSWERER_URL={url} ANSWERER_MODEL=gpt-4.1 batkol serve"
            ),
        )

    return await double_cli.serve(double, listen, console, address=f"Port {options.port} of {options.host}")
