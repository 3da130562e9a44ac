"""The demo's live configuration, and what there is to try while it stays up."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Final

from batkol.live.flag_definitions import STREAMING_FLAG
from batkol.live.source import FLAGS, TUNING

_FLAGS: Final = {
    "$schema": "https://flagd.dev/schema/v0/flags.json",
    "$comment": (
        "Streaming for every call. To roll back, set defaultVariant to off; the change takes effect within a second."
    ),
    "flags": {
        STREAMING_FLAG: {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"},
    },
}
_TUNING: Final = {"recognition": {"batchMilliseconds": 150, "partialDebounceMilliseconds": 180}, "turns": {}}


def write(directory: Path) -> None:
    """Make the directory, with streaming on and the tuning that the service ships with."""
    directory.mkdir(parents=True)
    for name, content in ((FLAGS, _FLAGS), (TUNING, _TUNING)):
        (directory / name).write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def program(path: Path, folder: Path) -> str:
    """Return how a terminal in `folder` runs a program: below the folder by the way from there, for a shell."""
    return shlex.quote(str(path.relative_to(folder) if path.is_relative_to(folder) else path))


_TO_TRY: Final = """
Everything stays up; Ctrl-C ends it.

In a browser; no address asks for a token:

    {internal}/console/           the console: calls, a phone
    {internal}/docs               every route of the API
{kept}
To talk to the agent, choose "Phone" in the console, and let the built-in voice
speak: Google's double hears no other voice.

In another terminal, in the same folder. A call
(add --words "שלום אני רוצה תור" for other words):

    {batkol} call {url} \\
      {service}

Other answers of the model, and what it was asked:

    curl {control}/rules \\
      -d '[{{"contains": "תור", "answer": "מחר בעשר."}}]'
    curl {control}/stats

What is going on; the second one follows the calls until Ctrl-C:

    curl {internal}/v1/status
    curl -N {internal}/v1/events
    curl {internal}/metrics

The rollout checklist, in about a minute:

    {batkol} gonogo {url} \\
      {service} \\
      --log-file {file}

Streaming off, and on again, for calls in progress too:

    sed -i 's/"defaultVariant": "on"/"defaultVariant": "off"/' \\
      {flags}
    sed -i 's/"defaultVariant": "off"/"defaultVariant": "on"/' \\
      {flags}

The caller has to speak for longer to interrupt the agent, in those calls too:

    sed -i -e 's/"turns": {{}}/"turns": {{"interruptWords": 9}}/' \\
      -e 's/{{"interruptW/{{"interruptionMilliseconds": 2000, "interruptW/' \\
      {tuning}

The service's log, until Ctrl-C:

    tail -f {file}
"""


def to_try(
    *,
    url: str,
    public_url: str,
    internal: str,
    auth_token: str,
    model: str,
    live: Path,
    log: Path,
    batkol: str,
    stored: bool,
) -> str:
    """Return addresses and commands to try. The commands run as they are in another terminal, in the same folder."""
    control = model.removesuffix("/v1") + "/control"
    service = f"--internal {internal} \\\n      --auth-token {auth_token} \\\n      --public-url {public_url}"
    flags, tuning, file = (shlex.quote(str(path)) for path in (live / FLAGS, live / TUNING, log))
    kept = f"""    {internal}/v1/history/calls   the history
    {internal}/v1/leads           the leads
"""
    return _TO_TRY.format(
        url=url,
        internal=internal,
        control=control,
        service=service,
        flags=flags,
        tuning=tuning,
        file=file,
        batkol=batkol,
        kept=kept if stored else "",
    )
