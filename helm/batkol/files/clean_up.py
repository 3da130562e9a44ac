"""Take the operator's finalizer from every VoiceAgent, so that they can be deleted without it.

Arguments: the namespaces to look into; none for all.
"""

# ruff: noqa: INP001 - a script of the chart, not a package

import sys

import httpx2
from lightkube import Client
from lightkube.generic_resource import create_namespaced_resource
from lightkube.types import PatchType

FINALIZER = "batkol.dev/finalizer"
GONE = (404, 410)

VoiceAgent = create_namespaced_resource("batkol.dev", "v1alpha1", "VoiceAgent", "voiceagents")
client = Client()
released = 0
for namespace in sys.argv[1:] or ["*"]:
    try:
        agents = list(client.list(VoiceAgent, namespace=namespace))
    except httpx2.HTTPStatusError as error:
        if error.response.status_code not in GONE:
            raise
        agents = []  # the definition went first
    for agent in agents:
        here = agent.metadata.finalizers or []
        if FINALIZER not in here:
            continue
        # The change has the version, so the API server refuses it if another client changes the list at the same time.
        change = {
            "metadata": {
                "finalizers": [each for each in here if each != FINALIZER],
                "resourceVersion": agent.metadata.resourceVersion,
            }
        }
        try:
            client.patch(
                VoiceAgent, agent.metadata.name, change, namespace=agent.metadata.namespace, patch_type=PatchType.MERGE
            )
        except httpx2.HTTPStatusError as error:
            if error.response.status_code not in GONE:
                raise
        else:
            released += 1
sys.stdout.write(f"released {released} VoiceAgents\n")
