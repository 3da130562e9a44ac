"""What a pod mounts. Its root is read-only; what it writes, it writes here."""

from __future__ import annotations

from typing import Final

from batkol_operator import names
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.names import Manifest

LIVE_DIR: Final = "/etc/batkol/live"
GOOGLE_DIR: Final = "/etc/batkol/google"
GOOGLE_KEY_FILE: Final = f"{GOOGLE_DIR}/credentials.json"
STATE_DIR: Final = "/var/lib/batkol"
JOURNAL_DIR: Final = f"{STATE_DIR}/journal"


def volumes(agent: VoiceAgent) -> list[Manifest]:
    """Return the pod's volumes."""
    spec = agent.spec
    wanted: list[Manifest] = [
        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
        # Optional: a pod that starts without it runs on its defaults until the watch brings it.
        {"name": "live", "configMap": {"name": names.live_name(agent.metadata.name), "optional": True}},
    ]
    if key := spec.google.credentials_secret_ref:
        items = [{"key": key.key, "path": "credentials.json"}]
        wanted.append({"name": "google", "secret": {"secretName": key.name, "items": items}})
    if spec.database:
        wanted.append({"name": "state", "emptyDir": {"sizeLimit": "1Gi"}})
    return wanted


def mounts(agent: VoiceAgent) -> list[Manifest]:
    """Return where they are mounted: whole directories, for a `subPath` is never updated."""
    spec = agent.spec
    wanted: list[Manifest] = [
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- an emptyDir of the pod's own
        {"name": "live", "mountPath": LIVE_DIR, "readOnly": True},
    ]
    if spec.google.credentials_secret_ref:
        wanted.append({"name": "google", "mountPath": GOOGLE_DIR, "readOnly": True})
    if spec.database:
        wanted.append({"name": "state", "mountPath": STATE_DIR})
    return wanted
