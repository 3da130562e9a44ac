"""`batkol gonogo`."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

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
)

InternalUrl = Annotated[
    str,
    typer.Option(
        help=(
            "The service's internal API; by default port 8081 of the same host, and with --voice-agent the agent's "
            "own, which kubectl reaches."
        )
    ),
]
LiveDir = Annotated[
    Path | None,
    typer.Option(
        help="The directory with the service's flags.json; by default the directory that the service reports."
    ),
]
ConfigMap = Annotated[
    str,
    typer.Option(
        metavar="NAMESPACE/NAME", help="The ConfigMap with the service's flags.json, in the cluster of KUBECONFIG."
    ),
]
VoiceAgent = Annotated[
    str,
    typer.Option(
        metavar="NAMESPACE/NAME",
        help=(
            "The VoiceAgent whose flags the operator writes into the ConfigMap. Without --internal, kubectl forwards a "
            "port to its pods and reads their token."
        ),
    ),
]
AllCalls = Annotated[
    bool, typer.Option("--all-calls", help="Flip the flag for every call instead of the rehearsal's own calls.")
]
LogFile = Annotated[
    Path | None, typer.Option(help="The service's log file, to count the lines of the streaming sessions.")
]
Deadline = Annotated[
    float, typer.Option(metavar="S", callback=bounded(1), help="Longest wait for each step, in seconds.")
]
Cadence = Annotated[
    str, typer.Option(metavar="MS,MS", help="Lowest and highest median time between partials, in milliseconds.")
]
AnyWords = Annotated[
    bool,
    typer.Option(
        "--no-expect-words",
        help="Compare no recognized words: the real Google cannot recognize the synthetic voice reliably.",
    ),
]

Real = Annotated[
    bool,
    typer.Option(
        "--real",
        help=(
            "The service uses real vendors: print what was heard, and compare no words, neither the caller's nor the "
            "agent's. Give a recording with --wav."
        ),
    ),
]
Wav = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.wav", help="A recording that the caller plays instead of the built-in voice's words; any rate."
    ),
]
AsIs = Annotated[
    bool, typer.Option("--as-is", help="Place one call as the service hears callers now, and do not flip the flag.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the report as one JSON object to stdout, and the progress to stderr.")
]
FirstReplyMs = Annotated[
    float,
    typer.Option(
        metavar="MS",
        callback=bounded(1),
        help="Longest time from the caller's last word to the agent's first sound, in milliseconds.",
    ),
]


def gonogo(
    url: Url,
    *,
    internal: InternalUrl = "",
    live_dir: LiveDir = None,
    config_map: ConfigMap = "",
    voice_agent: VoiceAgent = "",
    all_calls: AllCalls = False,
    log_file: LogFile = None,
    deadline: Deadline = 15,
    cadence_ms: Cadence = "150,400",
    any_words: AnyWords = False,
    real: Real = False,
    wav: Wav = None,
    as_is: AsIs = False,
    as_json: AsJson = False,
    first_reply_ms: FirstReplyMs = 3500,
    public_url: PublicUrl = None,
    auth_token: AuthToken = "",
    api_token: ApiToken = "",
    caller: From = "+972500000001",
    called: To = "+972300000001",
    no_color: NoColor = False,
    env_file: EnvFileOption = None,  # noqa: ARG001  its callback has read it
) -> None:
    """Rehearse calls with a running service: exit code 0 for GO, 1 for NO-GO, 2 where no rehearsal was possible."""
    from batkol.gonogo.checks import RehearsalLimits
    from batkol.gonogo.command import Options, carry_out, internal_beside
    from batkol.gonogo.target import Target
    from batkol.simulators.client.conversation import Internal

    target = Target(
        url=url, internal=Internal(internal or internal_beside(url), api_token), public_url=public_url or None,
        auth_token=newest(auth_token), caller=caller, called=called,
    )  # fmt: skip
    limits = RehearsalLimits(
        cadence_ms=_pair(cadence_ms), expect_words=not any_words and not real and wav is None, real=real,
        first_reply_ms=first_reply_ms,
    )  # fmt: skip
    asked = Options(
        target=target, live_dir=live_dir, config_map=config_map, voice_agent=voice_agent, all_calls=all_calls,
        limits=limits, deadline_s=deadline, log_file=log_file, wav=wav, as_is=as_is, as_json=as_json,
        through_kubectl=bool(voice_agent) and not internal,
    )  # fmt: skip
    exit_with(carry_out(asked, console(no_color=no_color)))


def _pair(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = math.nan
    if not 0 <= low <= high < math.inf:
        raise typer.BadParameter("it must be two numbers, the lower one first", param_hint="--cadence-ms")
    return low, high
