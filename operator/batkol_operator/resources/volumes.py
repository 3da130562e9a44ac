"""The volumes of a pod. Its root file system is read-only; it writes only to these."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.model.pod import CABundle
from batkol_operator.model.reserved import CA_DIR, CA_FILE
from batkol_operator.resources.objects import written

TMP: Final[Manifest] = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108 -- an emptyDir of the pod's own
LIVE_DIR: Final = "/etc/batkol/live"
GOOGLE_DIR: Final = "/etc/batkol/google"
GOOGLE_KEY_FILE: Final = f"{GOOGLE_DIR}/credentials.json"
STATE_DIR: Final = "/var/lib/batkol"
JOURNAL_DIR: Final = f"{STATE_DIR}/journal"
MEMORY_DIR: Final = "/run/batkol"

MEMORY_MEBIBYTES: Final = 64
"""MiB for records that are not on disk yet: the service holds at most 16 MiB for a disk that hangs. The used part
counts as the container's memory.
"""

BESIDE_THE_JOURNAL_MEBIBYTES: Final = 64
"""MiB for the files beside the journal: 16 MiB of dead letters, and as much again while some are removed; 16 MiB of a
damaged journal that was set aside; 4 MiB kept free for deleting, and the log. The kubelet evicts a pod whose volume
grows past its limit, so the journal has to be full first.
"""


def volumes(agent: VoiceAgent) -> list[Manifest]:
    """Return the pod's volumes."""
    spec = agent.spec
    wanted: list[Manifest] = [
        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
        # Optional: a pod that starts without it uses the defaults until the watch delivers it.
        {"name": "live", "configMap": {"name": names.live_name(agent.metadata.name), "optional": True}},
    ]
    if key := spec.google.credentials_secret_ref:
        items = [{"key": key.key, "path": "credentials.json"}]
        wanted.append({"name": "google", "secret": {"secretName": key.name, "items": items}})
    if bundle := spec.pod.ca_bundle:
        wanted += _bundle(bundle)
    if spec.database:
        size = spec.database.journal.size_limit_mebibytes + BESIDE_THE_JOURNAL_MEBIBYTES
        wanted += [
            {"name": "state", "emptyDir": {"sizeLimit": f"{size}Mi"}},
            # Not the container's /dev/shm: the runtime decides its size, and whether it outlives the container.
            {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": f"{MEMORY_MEBIBYTES}Mi"}},
        ]
    return wanted + [written(volume) for volume in spec.pod.volumes]


def _bundle(bundle: CABundle) -> Iterator[Manifest]:
    """Mount the one key under a name that does not depend on it."""
    path = CA_FILE.rpartition("/")[2]
    if key := bundle.config_map_ref:
        yield {"name": "ca", "configMap": {"name": key.name, "items": [{"key": key.key, "path": path}]}}
    if secret := bundle.secret_ref:
        yield {"name": "ca", "secret": {"secretName": secret.name, "items": [{"key": secret.key, "path": path}]}}


def shared_mounts(agent: VoiceAgent) -> list[Manifest]:
    """Return the mounts of the program and of `migrate`."""
    pod = agent.spec.pod
    bundle = [{"name": "ca", "mountPath": CA_DIR, "readOnly": True}] if pod.ca_bundle else []
    return [dict(TMP), *bundle, *(written(mount) for mount in pod.volume_mounts)]


def mounts(agent: VoiceAgent) -> list[Manifest]:
    """Return the mounts: whole directories, for the kubelet never updates a `subPath`."""
    spec = agent.spec
    wanted: list[Manifest] = [
        *shared_mounts(agent),
        {"name": "live", "mountPath": LIVE_DIR, "readOnly": True},
    ]
    if spec.google.credentials_secret_ref:
        wanted.append({"name": "google", "mountPath": GOOGLE_DIR, "readOnly": True})
    if spec.database:
        wanted += [{"name": "state", "mountPath": STATE_DIR}, {"name": "memory", "mountPath": MEMORY_DIR}]
    return wanted
