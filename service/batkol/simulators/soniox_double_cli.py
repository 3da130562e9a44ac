"""`batkol soniox-double`: the Soniox double on its own, with limits and faults from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from rich.console import Console

from batkol.recognizers.soniox.wire import DEFAULT_MODEL
from batkol.simulators import double_cli
from batkol.simulators.google.control import serve_control
from batkol.simulators.soniox.faults import SonioxFault
from batkol.simulators.soniox.server import SonioxDouble
from batkol.simulators.soniox.settings import SonioxDoubleSettings

FAULT: Final = '{"kind": "error", "code": 503, "when": "audio", "seconds": 2.5}'


@dataclass(frozen=True, slots=True)
class SonioxDoubleOptions:
    """The options of the command line."""

    settings: SonioxDoubleSettings
    host: str
    port: int
    control_port: int
    faults: tuple[SonioxFault, ...]


def settings_from(pairs: Sequence[str]) -> SonioxDoubleSettings:
    """See `double_cli.settings_from`."""
    return double_cli.settings_from(SonioxDoubleSettings, pairs)


def faults_from(texts: Sequence[str]) -> tuple[SonioxFault, ...]:
    """See `double_cli.faults_from`."""
    return double_cli.faults_from(SonioxFault, texts, FAULT)


async def carry_out(options: SonioxDoubleOptions, console: Console) -> int:
    """See `double_cli.serve`."""
    double = SonioxDouble(options.settings)

    async def listen(stack: AsyncExitStack) -> Sequence[str]:
        double.inject(*options.faults)
        url = await double.start(options.host, options.port)
        control = await stack.enter_async_context(
            await serve_control(double, options.host, options.control_port, SonioxFault)
        )
        key = f"SONIOX_API_KEY={options.settings.api_key or 'any'}"
        models = options.settings.models
        taken = "" if models == (DEFAULT_MODEL,) else f"SONIOX_MODELS={','.join(models)} "
        chosen = f"ENABLE_STREAMING_STT=true {taken}STT_RECOGNIZER=soniox/{models[0]}"
        return (
            f"soniox double: {url}, control on http://{options.host}:{double_cli.bound(control)}",
            f"serve against it: {chosen} SONIOX_URL={url} {key} batkol serve",
        )

    ports = f"Port {options.port} or {options.control_port} of {options.host}"
    return await double_cli.serve(double, listen, console, address=ports)
