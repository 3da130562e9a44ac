"""The part of `batkol voice-double` that is Google's text to speech: its options, and its two ports."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from batkol.simulators import double_cli
from batkol.simulators.google.control import serve_control
from batkol.simulators.google_voice.faults import GoogleVoiceFault
from batkol.simulators.google_voice.server import GoogleVoiceDouble
from batkol.simulators.google_voice.settings import GoogleVoiceSettings

FAULT: Final = '{"kind": "abort", "at_s": 0.5, "code": "UNAVAILABLE", "times": 1}'


@dataclass(frozen=True, slots=True)
class GoogleVoiceOptions:
    """The options of the command line."""

    settings: GoogleVoiceSettings
    port: int
    control_port: int
    faults: tuple[GoogleVoiceFault, ...]


def settings_from(pairs: Sequence[str]) -> GoogleVoiceSettings:
    """See `double_cli.settings_from`."""
    return double_cli.settings_from(GoogleVoiceSettings, pairs)


def faults_from(texts: Sequence[str]) -> tuple[GoogleVoiceFault, ...]:
    """See `double_cli.faults_from`."""
    return double_cli.faults_from(GoogleVoiceFault, texts, FAULT)


async def listen(options: GoogleVoiceOptions, host: str, stack: AsyncExitStack) -> Sequence[str]:
    """Open the ports; return the lines to print. The stack closes all of it."""
    double = await stack.enter_async_context(GoogleVoiceDouble(options.settings))
    double.inject(*options.faults)
    port = await double.start(host, options.port)
    control = await serve_control(double, host, options.control_port, GoogleVoiceFault)
    await stack.enter_async_context(control)
    named = f"GCP_TTS_ENDPOINT={host}:{port} GCP_TTS_INSECURE=true"
    return (
        f"google voice double: gRPC on {host}:{port}, control on http://{host}:{double_cli.bound(control)}",
        f"serve against it: AGENT_REPLIES=true VOICE=google {named} batkol serve",
    )
