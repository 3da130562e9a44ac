"""`batkol voice-double`: the voice double on its own, with pace and faults from the command line."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from rich.console import Console

from batkol.errors import ConfigurationError
from batkol.simulators.google.control import serve_control
from batkol.simulators.speaker.faults import VoiceFault
from batkol.simulators.speaker.server import VoiceDouble
from batkol.simulators.speaker.settings import SpeakerSettings


@dataclass(frozen=True, slots=True)
class VoiceDoubleOptions:
    """The options of the command line."""

    settings: SpeakerSettings
    host: str
    port: int
    control_port: int
    faults: tuple[VoiceFault, ...]


class _StrictSettings(SpeakerSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same settings, but a name that does not exist is refused."""


def settings_from(pairs: Sequence[str]) -> SpeakerSettings:
    """Read `name=value` pairs into the double's settings; lists have commas. Raises `ConfigurationError`."""
    given: dict[str, str | list[str]] = {}
    for name, _, value in (pair.partition("=") for pair in pairs):
        field = name.replace("-", "_")
        given[field] = value.split(",") if field in ("models", "voices") else value
    try:
        strict = msgspec.convert(given, _StrictSettings, strict=False)
    except msgspec.ValidationError as error:
        defaults = msgspec.structs.asdict(SpeakerSettings())
        names = ", ".join(f"{name}={','.join(v) if isinstance(v, tuple) else v}" for name, v in defaults.items())
        raise ConfigurationError(f"--set cannot be used: {error}. The settings and their defaults: {names}") from error
    return SpeakerSettings(**msgspec.structs.asdict(strict))


def faults_from(texts: Sequence[str]) -> tuple[VoiceFault, ...]:
    """Read faults as JSON. Raises `ConfigurationError`."""
    try:
        return tuple(msgspec.json.decode(text, type=VoiceFault) for text in texts)
    except msgspec.DecodeError as error:
        example = '{"kind": "stall", "at_s": 0.5, "times": 1}'
        raise ConfigurationError(f"--fault is not a fault: {error}. One looks like {example}") from error


async def carry_out(options: VoiceDoubleOptions, console: Console) -> int:
    """Serve until SIGTERM or Ctrl-C. Raises `ConfigurationError` if a port is taken."""
    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop_requested.set)
    async with VoiceDouble(options.settings) as double:
        double.inject(*options.faults)
        try:
            port = await double.start(options.host, options.port)
            control = await serve_control(double, options.host, options.control_port, VoiceFault)
        except OSError as error:
            raise ConfigurationError(
                f"Port {options.port} or {options.control_port} of {options.host} cannot be listened on; is "
                "another double there already? Take others with --port and --control-port."
            ) from error
        async with control:
            at = control.sockets[0].getsockname()[1]
            url = f"http://{options.host}:{port}/v1"
            key = options.settings.api_key or "any"
            model, voice = options.settings.models[0], options.settings.voices[0]
            serve = (
                f"VOICE=openai VOICE_URL={url} VOICE_MODEL={model} VOICE_NAME={voice} VOICE_API_KEY={key} batkol serve"
            )
            for line in (
                f"voice double: {url}, control on http://{options.host}:{at}",
                f"serve against it: {serve}",
            ):
                console.print(line, highlight=False, markup=False, soft_wrap=True)
            await stop_requested.wait()
    return 0
