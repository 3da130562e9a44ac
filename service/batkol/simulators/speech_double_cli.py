"""`batkol speech-double`: the Google double on its own, with limits and faults from the command line."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from rich.console import Console

from batkol.errors import ConfigurationError
from batkol.simulators.google.control import serve_control
from batkol.simulators.google.faults import Fault
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.google.settings import DoubleSettings


@dataclass(frozen=True, slots=True)
class SpeechDoubleOptions:
    """The options of the command line."""

    settings: DoubleSettings
    host: str
    port: int
    control_port: int
    faults: tuple[Fault, ...]


def settings_from(pairs: Sequence[str]) -> DoubleSettings:
    """Read `name=value` pairs into the double's settings. Raises `ConfigurationError`."""
    given = dict(pair.partition("=")[::2] for pair in pairs)
    try:
        return msgspec.convert({n.replace("-", "_"): v for n, v in given.items()}, StrictSettings, strict=False).plain()
    except msgspec.ValidationError as error:
        names = ", ".join(f"{field}={getattr(DoubleSettings(), field)}" for field in DoubleSettings.__struct_fields__)
        raise ConfigurationError(f"--set cannot be used: {error}. The settings and their defaults: {names}") from error


class StrictSettings(DoubleSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same settings, but a name that does not exist is refused."""

    def plain(self) -> DoubleSettings:
        """Return them as the double takes them."""
        return DoubleSettings(**msgspec.structs.asdict(self))


def faults_from(texts: Sequence[str]) -> tuple[Fault, ...]:
    """Read faults as JSON. Raises `ConfigurationError`."""
    try:
        return tuple(msgspec.json.decode(text, type=Fault) for text in texts)
    except msgspec.DecodeError as error:
        example = '{"kind": "end", "when": "audio", "seconds": 2.5, "code": "UNAVAILABLE"}'
        raise ConfigurationError(f"--fault is not a fault: {error}. One looks like {example}") from error


async def carry_out(options: SpeechDoubleOptions, console: Console) -> int:
    """Serve until SIGTERM or Ctrl-C. Raises `ConfigurationError` if a port is taken."""
    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop_requested.set)
    async with SpeechDouble(options.settings) as double:
        double.inject(*options.faults)
        try:
            port = await double.start(options.host, options.port)
            control = await serve_control(double, options.host, options.control_port)
        except (OSError, RuntimeError) as error:
            raise ConfigurationError(
                f"Port {options.port} or {options.control_port} of {options.host} cannot be listened on; is "
                "another double there already? Take others with --port and --control-port."
            ) from error
        async with control:
            at = control.sockets[0].getsockname()[1]
            address = f"{options.host}:{port}"
            lines = (
                f"speech double: gRPC on {address}, control on http://{options.host}:{at}",
                f"serve against it: GCP_STT_ENDPOINT={address} GCP_STT_INSECURE=true batkol serve",
            )
            for line in lines:
                console.print(line, highlight=False, markup=False, soft_wrap=True)
            await stop_requested.wait()
    return 0
