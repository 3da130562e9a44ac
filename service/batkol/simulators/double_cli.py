"""Common parts of the doubles' command lines: settings and faults as text, and a double that runs until a signal."""

from __future__ import annotations

import asyncio
import math
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

import msgspec
from rich.console import Console

from batkol.errors import BatkolError, ConfigurationError
from batkol.simulators.double_faults import DoubleFault, NoFaultError, faults_in

T = TypeVar("T", bound=msgspec.Struct)
F = TypeVar("F", bound=DoubleFault)

Listen = Callable[[AsyncExitStack], Awaitable[Sequence[str]]]
"""Opens the double's ports, and returns the lines to print; the stack closes what was opened."""


def settings_from(kind: type[T], pairs: Sequence[str], **given: object) -> T:
    """Read `name=value` pairs, beside what is given, into the double's settings; lists have commas.

    Raises `ConfigurationError`, which names the settings and their defaults.
    """
    defaults = msgspec.structs.asdict(kind())
    values: dict[str, object] = {**given}
    for name, _, value in (pair.partition("=") for pair in pairs):
        field = name.replace("-", "_")
        values[field] = _listed(value) if isinstance(defaults.get(field), tuple) else value
    strict = msgspec.defstruct(
        f"Strict{kind.__name__}", [], bases=(kind,), frozen=True, kw_only=True, forbid_unknown_fields=True
    )
    try:
        read = msgspec.convert(values, strict, strict=False)
        _check(msgspec.structs.asdict(read), defaults)
    except (msgspec.ValidationError, NoSettingError) as error:
        names = ", ".join(f"{name}={_shown(value)}" for name, value in defaults.items())
        raise ConfigurationError(f"--set cannot be used: {error}. The settings and their defaults: {names}") from error
    return kind(**msgspec.structs.asdict(read))


def faults_from(kind: type[F], texts: Sequence[str], example: str) -> tuple[F, ...]:
    """Read faults as JSON. Raises `ConfigurationError`, with what there is and the example."""
    try:
        return tuple(fault for text in texts for fault in faults_in(kind, text))
    except NoFaultError as error:
        raise ConfigurationError(f"--fault is not a fault: {error} One looks like {example}") from error


class NoSettingError(BatkolError):
    """A value means nothing for this setting."""


def _check(values: Mapping[str, object], defaults: Mapping[str, object]) -> None:
    """Refuse what no pace, limit or list of a double can be. Raises `NoSettingError`."""
    for name, value in values.items():
        parts = value if isinstance(value, tuple) else (value,)
        numbers = [part for part in parts if isinstance(part, int | float)]
        if any(not math.isfinite(number) or (number < 0 and name != "seed") for number in numbers):
            raise NoSettingError(f"{name} is no number from 0 on")
        if isinstance(value, tuple) and numbers != sorted(numbers):
            raise NoSettingError(f"{name} is a least and a most value, and the first is more than the second")
        if value == () and defaults[name] != ():
            raise NoSettingError(f"{name} is an empty list")


async def serve(double: AbstractAsyncContextManager[Any], listen: Listen, console: Console, *, address: str) -> int:
    """Serve until SIGTERM or Ctrl-C. Raises `ConfigurationError` if a port of `address` is taken."""
    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_requested.set)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(double)
        try:
            lines = await listen(stack)
        except (OSError, RuntimeError) as error:
            raise ConfigurationError(
                f"{address} cannot be listened on; is another double there already? Take another port (see --help)."
            ) from error
        for line in lines:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        await stop_requested.wait()
    return 0


def bound(server: asyncio.Server) -> int:
    """Return the port that a server listens on."""
    return int(server.sockets[0].getsockname()[1])


def _listed(value: str) -> list[str]:
    return [part.strip() for part in value.split(",")] if value.strip() else []


def _shown(value: object) -> object:
    """Return a default as `--set` takes it."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "null" if value is None else value
