"""`batkol speech-double`, `soniox-double`, `llm-double`, `voice-double` and `twilio-double`."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs

from __future__ import annotations

from typing import Annotated

import typer

from batkol.commands.shared import bounded, console, exit_with, refuse
from batkol.errors import BatkolError

Host = Annotated[str, typer.Option(help="The address to listen on.")]
_port = bounded(0, 65_535)
ControlPort = Annotated[
    int,
    typer.Option(metavar="PORT", callback=_port, help="The HTTP port for faults and records; 0 selects a free port."),
]
GoogleControlPort = Annotated[
    int,
    typer.Option(
        metavar="PORT",
        callback=_port,
        help="The HTTP port for faults and records of Google's voice; 0 selects a free port.",
    ),
]
_EXAMPLE = "A fault that the double causes, such as '{}'."


def speech_double(
    *,
    host: Host = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", callback=_port, help="The gRPC port; 0 selects a free port.")
    ] = 9090,
    control_port: ControlPort = 9091,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A limit or a pace of the double, such as stream_limit_s=30."),
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option(metavar="JSON", help=_EXAMPLE.format('{"kind": "stall", "lasts_s": 5}'))
    ] = None,
) -> None:
    """Run the double of Google Cloud Speech, a strict stand-in for tests, which hears the synthetic voice."""
    from batkol.simulators import speech_double_cli as cli

    try:
        read, faults = cli.settings_from(settings or ()), cli.faults_from(fault or ())
    except BatkolError as error:
        refuse(error)
    exit_with(cli.carry_out(cli.SpeechDoubleOptions(read, host, port, control_port, faults), console(no_color=True)))


def soniox_double(
    *,
    host: Host = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", callback=_port, help="The port of the WebSocket; 0 selects a free port.")
    ] = 9100,
    control_port: ControlPort = 9101,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A limit or a pace of the double, such as sessions=2."),
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option(metavar="JSON", help=_EXAMPLE.format('{"kind": "half_open", "when": "audio"}'))
    ] = None,
) -> None:
    """Run the double of Soniox's recognition, a strict stand-in for tests, which hears the synthetic voice."""
    from batkol.simulators import soniox_double_cli as cli

    try:
        read, faults = cli.settings_from(settings or ()), cli.faults_from(fault or ())
    except BatkolError as error:
        refuse(error)
    exit_with(cli.carry_out(cli.SonioxDoubleOptions(read, host, port, control_port, faults), console(no_color=True)))


def llm_double(
    *,
    host: Host = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", callback=_port, help="The HTTP port; 0 selects a free port.")
    ] = 9092,
    profile: Annotated[
        str,
        typer.Option(
            help="The time to the first token: the name of a published model, or fixed:350 in milliseconds. "
            "Empty: the profile of the model that a request names."
        ),
    ] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A pace of the double, such as tokens_per_s=30."),
    ] = None,
    answer: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT=ANSWER", help="An answer to messages that contain the text."),
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option(metavar="JSON", help=_EXAMPLE.format('{"kind": "stall", "after_tokens": 5}'))
    ] = None,
) -> None:
    """Run the double of OpenAI's chat completions, a strict stand-in for tests, which answers in Hebrew."""
    from batkol.simulators import llm_double_cli as cli

    try:
        read, faults = cli.settings_from(profile, settings or ()), cli.faults_from(fault or ())
        options = cli.LLMDoubleOptions(read, host, port, cli.rules_from(answer or ()), faults)
    except BatkolError as error:
        refuse(error)
    exit_with(cli.carry_out(options, console(no_color=True)))


def voice_double(
    *,
    host: Host = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", callback=_port, help="The port of /v1/audio/speech; 0 selects a free port.")
    ] = 9094,
    control_port: ControlPort = 9095,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A pace or a limit, such as first_byte_s=0.3 or pace=8."),
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option(metavar="JSON", help=_EXAMPLE.format('{"kind": "stall", "at_s": 0.5}'))
    ] = None,
    google_port: Annotated[
        int,
        typer.Option(metavar="PORT", callback=_port, help="The gRPC port of Google's voice; 0 selects a free port."),
    ] = 9098,
    google_control_port: GoogleControlPort = 9099,
    google_settings: Annotated[
        list[str] | None,
        typer.Option("--google-set", metavar="NAME=VALUE", help="The same for Google's voice, such as sessions=2."),
    ] = None,
    google_fault: Annotated[
        list[str] | None, typer.Option(metavar="JSON", help=_EXAMPLE.format('{"kind": "abort", "at_s": 0.5}'))
    ] = None,
) -> None:
    """Run the doubles of OpenAI's and Google's voices, strict stand-ins for tests, with the synthetic voice's words."""
    from batkol.simulators import voice_double_cli as cli
    from batkol.simulators.google_voice import cli as google

    try:
        read, faults = cli.settings_from(settings or ()), cli.faults_from(fault or ())
        google_read, google_faults = google.settings_from(google_settings or ()), google.faults_from(google_fault or ())
    except BatkolError as error:
        refuse(error)
    of_google = google.GoogleVoiceOptions(google_read, google_port, google_control_port, google_faults)
    options = cli.VoiceDoubleOptions(read, host, port, control_port, faults, of_google)
    exit_with(cli.carry_out(options, console(no_color=True)))


def twilio_double(
    *,
    host: Host = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", callback=_port, help="The port of the REST API; 0 selects a free port.")
    ] = 9096,
    control_port: ControlPort = 9097,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="The account or a pace, such as auth_token=… or at_once=5."),
    ] = None,
    call: Annotated[list[str] | None, typer.Option(metavar="CA…", help="The SID of a call in progress.")] = None,
    fault: Annotated[
        list[str] | None, typer.Option(metavar="JSON", help=_EXAMPLE.format('{"kind": "refuse", "code": 20429}'))
    ] = None,
) -> None:
    """Run the double of Twilio's REST API, a strict stand-in for tests, which knows calls and updates them."""
    from batkol.simulators import twilio_double_cli as cli

    try:
        read, faults = cli.settings_from(settings or ()), cli.faults_from(fault or ())
        options = cli.TwilioDoubleOptions(read, host, port, control_port, cli.calls_from(call or ()), faults)
    except BatkolError as error:
        refuse(error)
    exit_with(cli.carry_out(options, console(no_color=True)))
