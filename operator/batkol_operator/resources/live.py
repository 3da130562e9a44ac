"""The ConfigMap with the live configuration, which may change during calls: such a change writes only this object."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import Spec, VoiceAgent
from batkol_operator.model.recognition import live_tuning
from batkol_operator.model.reply import ReplySpec
from batkol_operator.resources.flag_sources import MergedFlags
from batkol_operator.resources.flags import definitions
from batkol_operator.resources.objects import owned_object
from batkol_operator.resources.replies import reply_settings, turn_numbers


@dataclass(frozen=True, slots=True)
class LiveFiles:
    """The files, and the revisions that pods report; without `spec.reply` both of `reply` are empty."""

    tuning: str
    tuning_revision: str
    flags: str
    flags_revision: str
    reply: str = field(default="", repr=False)
    reply_revision: str = ""


def live_files(spec: Spec, merged: MergedFlags | None = None) -> LiveFiles:
    """Write the files; the same spec gives the same bytes, in any order of its fields. `merged`: of FeatureFlags."""
    numbers: dict[str, Any] = live_tuning(spec.recognition, spec.endpointing) | turn_numbers(spec.reply)
    tuning_revision = revision(_canonical(numbers))
    flags = _readable(definitions(spec, merged or MergedFlags()))
    reply, reply_revision = _reply(spec.reply)
    return LiveFiles(
        tuning=_readable({"revision": tuning_revision, **numbers}),
        tuning_revision=tuning_revision,
        flags=flags,
        flags_revision=revision(flags),
        reply=reply,
        reply_revision=reply_revision,
    )


def _reply(spec: ReplySpec | None) -> tuple[str, str]:
    if spec is None:
        return "", ""
    document = reply_settings(spec)
    named = revision(_canonical(document))
    return _readable({"revision": named, **document}), named


def config_map(agent: VoiceAgent, files: LiveFiles) -> Manifest:
    """Return the ConfigMap that every pod watches, and mounts in case the API server is unreachable."""
    return owned_object(
        agent,
        "v1",
        "ConfigMap",
        name=names.live_name(agent.metadata.name),
        data={
            names.TUNING_KEY: files.tuning,
            names.FLAGS_KEY: files.flags,
            **({names.REPLY_KEY: files.reply} if files.reply else {}),
        },
    )


def revision(text: str) -> str:
    """Return the revision of a text: the first twelve digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _canonical(document: dict[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _readable(document: dict[str, Any]) -> str:
    """Indent the JSON for `kubectl describe`; Hebrew is not escaped."""
    return json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
