"""`batkol voice-double`: the voice doubles on their own, with pace and faults from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from rich.console import Console

from batkol.simulators import double_cli
from batkol.simulators.google.control import serve_control
from batkol.simulators.google_voice.cli import GoogleVoiceOptions
from batkol.simulators.google_voice.cli import listen as listen_as_google
from batkol.simulators.speaker.faults import VoiceFault
from batkol.simulators.speaker.server import VoiceDouble
from batkol.simulators.speaker.settings import SpeakerSettings

FAULT: Final = '{"kind": "stall", "at_s": 0.5, "times": 1}'


@dataclass(frozen=True, slots=True)
class VoiceDoubleOptions:
    """The options of the command line."""

    settings: SpeakerSettings
    host: str
    port: int
    control_port: int
    faults: tuple[VoiceFault, ...]
    google: GoogleVoiceOptions


def settings_from(pairs: Sequence[str]) -> SpeakerSettings:
    """See `double_cli.settings_from`."""
    return double_cli.settings_from(SpeakerSettings, pairs)


def faults_from(texts: Sequence[str]) -> tuple[VoiceFault, ...]:
    """See `double_cli.faults_from`."""
    return double_cli.faults_from(VoiceFault, texts, FAULT)


async def carry_out(options: VoiceDoubleOptions, console: Console) -> int:
    """See `double_cli.serve`."""
    double, settings = VoiceDouble(options.settings), options.settings

    async def listen(stack: AsyncExitStack) -> Sequence[str]:
        double.inject(*options.faults)
        url = f"http://{options.host}:{await double.start(options.host, options.port)}/v1"
        control = await stack.enter_async_context(
            await serve_control(double, options.host, options.control_port, VoiceFault)
        )
        named = f"VOICE_MODEL={settings.models[0]} VOICE_NAME={settings.voices[0]}"
        key = f"VOICE_API_KEY={settings.api_key or 'any'}"
        return (
            f"voice double: {url}, control on http://{options.host}:{double_cli.bound(control)}",
            f"serve against it: AGENT_REPLIES=true VOICE=openai VOICE_URL={url} {named} {key} batkol serve",
            *await listen_as_google(options.google, options.host, stack),
        )

    google = options.google
    ports = ", ".join(map(str, (options.port, options.control_port, google.port, google.control_port)))
    return await double_cli.serve(double, listen, console, address=f"One of the ports {ports} of {options.host}")
