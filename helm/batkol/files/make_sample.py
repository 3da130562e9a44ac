"""Make the chart's sample, a VoiceAgent, as soon as the API server serves its kind.

Argument: the VoiceAgent, as JSON.
"""

# ruff: noqa: INP001 - a script of the chart, not a package

import json
import sys
import time

import httpx2
from lightkube import Client
from lightkube.generic_resource import create_namespaced_resource

PATIENCE_S = 120
NOT_YET = (403, 404, 429, 500, 503, 504)
"""Answers of an API server that does not serve the kind yet, or has not read the Role yet, or is busy."""

VoiceAgent = create_namespaced_resource("batkol.dev", "v1alpha1", "VoiceAgent", "voiceagents")
wanted = json.loads(sys.argv[1])
name = f"VoiceAgent {wanted['metadata']['namespace']}/{wanted['metadata']['name']}"
client = Client(field_manager="helm")
deadline = time.monotonic() + PATIENCE_S
while True:
    try:
        client.create(VoiceAgent.from_dict(wanted))
    except httpx2.HTTPStatusError as error:
        if error.response.status_code == 409:
            sys.stdout.write(f"{name} was there already, and stays as it is\n")
            break
        if error.response.status_code not in NOT_YET:
            raise SystemExit(f"The API server refused {name}: {error.response.text}") from None
        said = error.response.text
    except httpx2.TransportError as error:
        said = str(error)
    else:
        sys.stdout.write(f"made {name}\n")
        break
    if time.monotonic() > deadline:
        raise SystemExit(f"The API server did not take {name} within {PATIENCE_S} s: {said}")
    time.sleep(0.5)
