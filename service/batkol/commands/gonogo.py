"""`batkol gonogo`."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from batkol.commands.shared import ApiToken, AuthToken, From, NoColor, PublicUrl, To, Url, console, exit_with, newest

InternalUrl = Annotated[str, typer.Option(help="The service's internal API; by default port 8081 of the same host.")]
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
    typer.Option(metavar="NAMESPACE/NAME", help="The VoiceAgent whose flags the operator writes into the ConfigMap."),
]
AllCalls = Annotated[
    bool, typer.Option("--all-calls", help="Flip the flag for every call instead of the rehearsal's own calls.")
]
LogFile = Annotated[
    Path | None, typer.Option(help="The service's log file, to count the lines of the streaming sessions.")
]
Deadline = Annotated[float, typer.Option(min=1, help="Longest wait for each step, in seconds.")]
Cadence = Annotated[str, typer.Option(help="Lowest and highest median time between partials, in milliseconds.")]
ExpectWords = Annotated[
    bool,
    typer.Option(
        help=(
            "Compare the recognized words; turn off with the real Google, which cannot recognize the synthetic "
            "voice reliably."
        )
    ),
]

Real = Annotated[
    bool,
    typer.Option(
        "--real", help="The service uses real vendors: compare no words, neither the caller's nor the agent's."
    ),
]
FirstReplyMs = Annotated[
    float,
    typer.Option(min=1, help="Longest time from the caller's last word to the agent's first sound, in milliseconds."),
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
    expect_words: ExpectWords = True,
    real: Real = False,
    first_reply_ms: FirstReplyMs = 3500,
    public_url: PublicUrl = None,
    auth_token: AuthToken = "",
    api_token: ApiToken = "",
    caller: From = "+972500000001",
    called: To = "+972300000001",
    no_color: NoColor = False,
) -> None:
    """The rollout checklist: exit code 0 for GO, 1 for NO-GO, 2 where it could not be carried out."""
    from batkol.gonogo.checks import RehearsalLimits
    from batkol.gonogo.command import Options, carry_out, internal_beside
    from batkol.gonogo.target import Target
    from batkol.simulators.client.conversation import Internal

    target = Target(
        url=url, internal=Internal(internal or internal_beside(url), api_token), public_url=public_url or None,
        auth_token=newest(auth_token), caller=caller, called=called,
    )  # fmt: skip
    limits = RehearsalLimits(
        cadence_ms=_pair(cadence_ms), expect_words=expect_words and not real, first_reply_ms=first_reply_ms
    )
    asked = Options(
        target=target, live_dir=live_dir, config_map=config_map, voice_agent=voice_agent, all_calls=all_calls,
        limits=limits, deadline_s=deadline, log_file=log_file,
    )  # fmt: skip
    exit_with(carry_out(asked, console(no_color=no_color)))


def _pair(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter("--cadence-ms needs two numbers, such as 150,400") from None
    return low, high
