"""The metadata of every object of an agent: name, labels, owner."""

from __future__ import annotations

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.model.part import ResourcePart


def owned_object(agent: VoiceAgent, api_version: str, kind: str, *, name: str = "", **fields: Manifest) -> Manifest:
    """Build an object of this agent. `name`: by default the agent's. `fields`: the fields after the metadata."""
    about = agent.metadata
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name or about.name,
            "namespace": about.namespace,
            "labels": names.labels(about.name),
            "ownerReferences": [names.owner(about.name, about.uid)],
        },
        **fields,
    }


def written(part: ResourcePart) -> Manifest:
    """Write a part as its owner did. Unset fields are left out: an empty selector has another meaning than none."""
    return part.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
