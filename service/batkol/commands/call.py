"""`batkol call`."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from batkol.commands.env_file import EnvFileOption
from batkol.commands.shared import (
    ApiToken,
    AuthToken,
    From,
    NoColor,
    PublicUrl,
    To,
    Url,
    bounded,
    console,
    exit_with,
    newest,
    refuse,
)
from batkol.errors import BatkolError

T = TypeVar("T")

Wav = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.wav", help="A recording that the caller plays instead of the built-in voice's words; any rate."
    ),
]
Words = Annotated[
    str | None,
    typer.Option(
        metavar="WORDS",
        help="The words that the caller speaks, from the synthetic voice's words, which a wrong one prints; a comma is "
        "a pause.",
    ),
]
Calls = Annotated[int, typer.Option(min=1, help="Calls to place at once.")]
Stay = Annotated[
    bool, typer.Option("--stay", help="Stay on the line after the last word, until the service hangs up or Ctrl-C.")
]
Abrupt = Annotated[bool, typer.Option("--abrupt", help="End the call by a lost connection instead of a hang-up.")]
DelayMs = Annotated[
    float,
    typer.Option(
        metavar="MS",
        callback=bounded(0, 10_000),
        help="Milliseconds that each message takes from the service to Twilio, and back.",
    ),
]
JitterMs = Annotated[
    float,
    typer.Option(
        metavar="MS", callback=bounded(0, 10_000), help="Milliseconds by which a message is later at most, both ways."
    ),
]
OwnTwiml = Annotated[
    bool,
    typer.Option(
        "--own-twiml", help="Open the stream from TwiML of the account's own, and not from the service's webhook."
    ),
]
Twiml = Annotated[
    Path | None,
    typer.Option(
        "--twiml",
        metavar="FILE",
        help="That TwiML, as in a TwiML Bin: {{From}}, {{To}} and {{CallSid}} are the call's.",
    ),
]
Secret = Annotated[
    str,
    typer.Option(
        "--secret", envvar="STREAM_SECRET", help="The parameter `secret` of that TwiML: a secret of STREAM_SECRET."
    ),
]
Parameters = Annotated[
    list[str] | None, typer.Option("--parameter", metavar="NAME=VALUE", help="A further parameter of that TwiML.")
]
TwilioDoubleUrl = Annotated[
    str,
    typer.Option(help="The control port of a `batkol twilio-double`, which is to know the calls and their states."),
]
InternalUrl = Annotated[
    str,
    typer.Option(help="The service's internal API; with it, the command prints what was recognized and said."),
]


def call(
    url: Url,
    *,
    wav: Wav = None,
    words: Words = None,
    calls: Calls = 1,
    stay: Stay = False,
    abrupt: Abrupt = False,
    delay_ms: DelayMs = 0.0,
    jitter_ms: JitterMs = 0.0,
    own_twiml: OwnTwiml = False,
    twiml: Twiml = None,
    secret: Secret = "",
    parameter: Parameters = None,
    twilio_double: TwilioDoubleUrl = "",
    internal: InternalUrl = "",
    public_url: PublicUrl = None,
    auth_token: AuthToken = "",
    api_token: ApiToken = "",
    caller: From = "+972500000001",
    called: To = "+972300000001",
    no_color: NoColor = False,
    env_file: EnvFileOption = None,  # noqa: ARG001  its callback has read it
) -> None:
    """Place simulated Twilio calls to a service; exit code 1 if one did not go as a call should, or was not heard."""
    from batkol.simulators.call_cli import CallOptions, carry_out, sound, twiml_of
    from batkol.simulators.client.conversation import Internal
    from batkol.simulators.twilio.caller import CallEnding, CallPlan

    spoken = _tried(lambda: sound(wav, words))
    own = _tried(lambda: twiml_of(public_url or url, twiml, newest(secret) or "", parameter or (), asked=own_twiml))
    plan = CallPlan(
        base_url=url, public_url=public_url or None, auth_token=newest(auth_token), caller=caller, called=called,
        audio=spoken.mulaw, tail_ms=1000, ending=CallEnding.ABRUPT if abrupt else CallEnding.HANG_UP,
        delay_ms=delay_ms, jitter_ms=jitter_ms, own_twiml=own,
    )  # fmt: skip
    watched = Internal(internal, api_token) if internal else None
    options = CallOptions(plan, calls, watched, spoken.words, twilio_double, stay=stay, recording=spoken.recording)
    exit_with(carry_out(options, console(no_color=no_color)))


def _tried(read: Callable[[], T]) -> T:
    """Return what an option gives; end the command with a sentence if it cannot be used."""
    try:
        return read()
    except BatkolError as error:
        refuse(error)
