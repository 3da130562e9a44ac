"""`batkol llm-double`: the double of a language model on its own, with a profile, rules and faults."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from rich.console import Console

from batkol.errors import ConfigurationError
from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.faults import LLMFault
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings


@dataclass(frozen=True, slots=True)
class LLMDoubleOptions:
    """The options of the command line."""

    settings: LLMSettings
    host: str
    port: int
    rules: tuple[Rule, ...]
    faults: tuple[LLMFault, ...]


class _Strict(LLMSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same settings, but a name that does not exist is refused."""


def llm_settings_from(profile: str, pairs: Sequence[str]) -> LLMSettings:
    """Read the profile and `name=value` pairs into the double's settings. Raises `ConfigurationError`."""
    given: dict[str, object] = {name.replace("-", "_"): value for name, _, value in (p.partition("=") for p in pairs)}
    if isinstance(models := given.get("models"), str):
        given["models"] = [name.strip() for name in models.split(",") if name.strip()]
    try:
        read = msgspec.convert({"profile": profile, **given}, _Strict, strict=False)
    except msgspec.ValidationError as error:
        names = ", ".join(f"{field}={getattr(LLMSettings(), field)}" for field in LLMSettings.__struct_fields__)
        raise ConfigurationError(f"--set cannot be used: {error}. The settings and their defaults: {names}") from error
    return LLMSettings(**msgspec.structs.asdict(read))


def rules_from(texts: Sequence[str]) -> tuple[Rule, ...]:
    """Read `TEXT=ANSWER` into rules. Raises `ConfigurationError`."""
    for text in texts:
        if "=" not in text:
            raise ConfigurationError("--answer is not TEXT=ANSWER; one looks like תור=מחר בעשר.")
    return tuple(Rule(contains, answer) for contains, _, answer in (text.partition("=") for text in texts))


def llm_faults_from(texts: Sequence[str]) -> tuple[LLMFault, ...]:
    """Read faults as JSON. Raises `ConfigurationError`."""
    try:
        return tuple(msgspec.json.decode(text, type=LLMFault) for text in texts)
    except msgspec.DecodeError as error:
        example = '{"kind": "stall", "after_tokens": 5, "times": 1}'
        raise ConfigurationError(f"--fault is not a fault: {error}. One looks like {example}") from error


async def carry_out(options: LLMDoubleOptions, console: Console) -> int:
    """Serve until SIGTERM or Ctrl-C. Raises `ConfigurationError` if the port is taken."""
    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop_requested.set)
    async with LLMDouble(options.settings) as double:
        double.script(*options.rules)
        double.inject(*options.faults)
        try:
            url = await double.start(options.host, options.port)
        except OSError as error:
            raise ConfigurationError(
                f"Port {options.port} of {options.host} cannot be listened on; is another double there already? "
                "Take another port with --port."
            ) from error
        lines = (
            f"llm double: {url}, control on {url.removesuffix('/v1')}/control",
            f"serve against it: ANSWERER=openai ANSWERER_URL={url} ANSWERER_MODEL=gpt-4.1 batkol serve",
        )
        for line in lines:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        await stop_requested.wait()
    return 0
