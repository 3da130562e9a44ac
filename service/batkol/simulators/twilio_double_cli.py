"""`batkol twilio-double`: the double of Twilio's REST API on its own, with calls and faults from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from rich.console import Console

from batkol.errors import ConfigurationError
from batkol.simulators import double_cli
from batkol.simulators.twilio_rest.calls import RestCall
from batkol.simulators.twilio_rest.control import serve_twilio_control
from batkol.simulators.twilio_rest.faults import TwilioFault
from batkol.simulators.twilio_rest.server import TwilioDouble
from batkol.simulators.twilio_rest.settings import TwilioDoubleSettings
from batkol.twilio.call_resource import is_call_sid

FAULT: Final = '{"kind": "refuse", "code": 20429, "times": 1}'


@dataclass(frozen=True, slots=True)
class TwilioDoubleOptions:
    """The options of the command line."""

    settings: TwilioDoubleSettings
    host: str
    port: int
    control_port: int
    calls: tuple[RestCall, ...]
    faults: tuple[TwilioFault, ...]


def settings_from(pairs: Sequence[str]) -> TwilioDoubleSettings:
    """See `double_cli.settings_from`."""
    return double_cli.settings_from(TwilioDoubleSettings, pairs)


def faults_from(texts: Sequence[str]) -> tuple[TwilioFault, ...]:
    """See `double_cli.faults_from`."""
    return double_cli.faults_from(TwilioFault, texts, FAULT)


def calls_from(sids: Sequence[str]) -> tuple[RestCall, ...]:
    """Return calls in progress with these SIDs. Raises `ConfigurationError`."""
    for sid in sids:
        if not is_call_sid(sid):
            raise ConfigurationError("--call is not a call SID; one is CA and 32 hexadecimal digits.")
    return tuple(RestCall(sid=sid) for sid in sids)


async def carry_out(options: TwilioDoubleOptions, console: Console) -> int:
    """See `double_cli.serve`."""
    double, settings = TwilioDouble(options.settings), options.settings

    async def listen(stack: AsyncExitStack) -> Sequence[str]:
        double.inject(*options.faults)
        for call in options.calls:
            double.put(call)
        url = await double.start(options.host, options.port)
        control = await stack.enter_async_context(
            await serve_twilio_control(double, options.host, options.control_port)
        )
        login = f"TWILIO_ACCOUNT_SID={settings.account_sid} TWILIO_AUTH_TOKEN={settings.auth_token}"
        return (
            f"twilio double: {url}, control on http://{options.host}:{double_cli.bound(control)}",
            f"serve against it: STREAM_TOKEN=optional TWILIO_API_URL={url} {login} batkol serve",
        )

    ports = f"Port {options.port} or {options.control_port} of {options.host}"
    return await double_cli.serve(double, listen, console, address=ports)
