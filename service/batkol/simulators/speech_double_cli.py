"""`batkol speech-double`: the Google double on its own, with limits and faults from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from rich.console import Console

from batkol.simulators import double_cli
from batkol.simulators.google.control import serve_control
from batkol.simulators.google.faults import Fault
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.google.settings import DoubleSettings

FAULT: Final = '{"kind": "end", "when": "audio", "seconds": 2.5, "code": "UNAVAILABLE"}'


@dataclass(frozen=True, slots=True)
class SpeechDoubleOptions:
    """The options of the command line."""

    settings: DoubleSettings
    host: str
    port: int
    control_port: int
    faults: tuple[Fault, ...]


def settings_from(pairs: Sequence[str]) -> DoubleSettings:
    """See `double_cli.settings_from`."""
    return double_cli.settings_from(DoubleSettings, pairs)


def faults_from(texts: Sequence[str]) -> tuple[Fault, ...]:
    """See `double_cli.faults_from`."""
    return double_cli.faults_from(Fault, texts, FAULT)


async def carry_out(options: SpeechDoubleOptions, console: Console) -> int:
    """See `double_cli.serve`."""
    double = SpeechDouble(options.settings)

    async def listen(stack: AsyncExitStack) -> Sequence[str]:
        double.inject(*options.faults)
        address = f"{options.host}:{await double.start(options.host, options.port)}"
        control = await stack.enter_async_context(await serve_control(double, options.host, options.control_port))
        return (
            f"speech double: gRPC on {address}, control on http://{options.host}:{double_cli.bound(control)}",
            f"serve against it: GCP_STT_ENDPOINT={address} GCP_STT_INSECURE=true batkol serve",
        )

    ports = f"Port {options.port} or {options.control_port} of {options.host}"
    return await double_cli.serve(double, listen, console, address=ports)
