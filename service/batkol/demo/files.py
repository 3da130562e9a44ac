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


def to_try(
    *, url: str, public_url: str, internal: str, auth_token: str, model: str, live: Path, log: Path, programs: Path
) -> str:
    """Return the commands to try, ready to be pasted into another terminal."""
    control = model.removesuffix("/v1") + "/control"
    signed = f"--auth-token {auth_token} --public-url {public_url}"
    flags = live / FLAGS
    return f"""
Everything stays up; Ctrl-C ends it. In a browser, the console: talk to the agent, and watch the calls:

    {internal}/console/

It asks for no token. Place a call at "Phone", and let the built-in voice speak: the double hears no other.

In another terminal:

  first, so that the terminal finds batkol
    export PATH={shlex.quote(str(programs))}:$PATH

  a call (add --words "שלום אני רוצה תור", or --wav FILE)
    batkol call {url} {signed} --internal {internal}

  other answers of the model, and what it was asked
    curl {control}/rules -d '[{{"contains": "תור", "answer": "מחר בעשר."}}]'
    curl {control}/stats

  speech has to last longer to interrupt the agent, for calls in progress too
    sed -i 's/"turns": {{}}/"turns": {{"interruptionMilliseconds": 2000, "interruptWords": 9}}/' {live / TUNING}

  what is going on
    curl {internal}/v1/status
    curl -N {internal}/v1/events
    curl {internal}/metrics

  streaming off, and on again, for calls in progress too
    sed -i 's/"defaultVariant": "on"/"defaultVariant": "off"/' {flags}
    sed -i 's/"defaultVariant": "off"/"defaultVariant": "on"/' {flags}

  the rollout checklist
    batkol gonogo {url} --internal {internal} {signed} --log-file {log}

  the service's log
    tail -f {log}
"""
