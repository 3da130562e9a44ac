"""The ConfigMap with what may change while calls are up: the only object that a change of it writes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import Spec, VoiceAgent
from batkol_operator.model.recognition import live_numbers
from batkol_operator.resources.flags import definitions
from batkol_operator.resources.objects import child


@dataclass(frozen=True, slots=True)
class LiveFiles:
    """The two files, and the revisions by which pods report them."""

    tuning: str
    tuning_revision: str
    flags: str
    flags_revision: str


def live_files(spec: Spec) -> LiveFiles:
    """Write both files; the same spec gives the same bytes, in whatever order its fields came."""
    numbers: dict[str, Any] = live_numbers(spec.recognition, spec.endpointing)
    tuning_revision = revision(_canonical(numbers))
    flags = _readable(definitions(spec))
    return LiveFiles(
        tuning=_readable({"revision": tuning_revision, **numbers}),
        tuning_revision=tuning_revision,
        flags=flags,
        flags_revision=revision(flags),
    )


def config_map(agent: VoiceAgent, files: LiveFiles) -> Manifest:
    """Return the ConfigMap that every pod watches, and mounts for the time the API server is away."""
    return child(
        agent,
        "v1",
        "ConfigMap",
        name=names.live_name(agent.metadata.name),
        data={names.TUNING_KEY: files.tuning, names.FLAGS_KEY: files.flags},
    )


def revision(text: str) -> str:
    """Name contents by themselves: the first twelve digits of what `sha256sum` prints."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _canonical(document: dict[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _readable(document: dict[str, Any]) -> str:
    """Indent, for whoever reads `kubectl describe`; Hebrew stays Hebrew."""
    return json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
