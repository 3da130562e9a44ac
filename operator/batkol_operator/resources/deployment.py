"""The Deployment: pods that take calls, replaced without cutting a call.

No live field changes its template. A test changes every live field and compares the template's hash.
"""

from __future__ import annotations

from typing import Final

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.resources.added import added_containers, resolving
from batkol_operator.resources.environment import environment
from batkol_operator.resources.identity import account_name
from batkol_operator.resources.lifetime import grace_period, lifetime, progress_deadline
from batkol_operator.resources.live import revision
from batkol_operator.resources.objects import owned_object, written
from batkol_operator.resources.security import container_security, pod_security
from batkol_operator.resources.volumes import mounts, shared_mounts, volumes

API_REVISION: Final = "batkol.dev/api-revision"
"""Annotation of the template: pods read the token of the internal API at start only, so a new one has to roll them."""


def deployment(agent: VoiceAgent, *, image: str, token: str, replicas: int | None) -> Manifest:
    """Return the Deployment; `replicas` None leaves the number of pods to an autoscaler."""
    calls = agent.spec.calls
    spec: Manifest = {} if replicas is None else {"replicas": replicas}
    spec |= {
        "selector": {"matchLabels": names.selector(agent.metadata.name)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
        "minReadySeconds": 5,
        "progressDeadlineSeconds": progress_deadline(calls),
        "revisionHistoryLimit": 5,
        "template": _template(agent, image=image, token=token),
    }
    return owned_object(agent, "apps/v1", "Deployment", spec=spec)


def _template(agent: VoiceAgent, *, image: str, token: str) -> Manifest:
    pod = agent.spec.pod
    annotations = {
        **pod.annotations,
        # The cluster autoscaler would wait ten minutes at most, and then cut the calls.
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
        API_REVISION: revision(token),
    }
    return {
        "metadata": {
            "labels": dict(sorted({**pod.labels, **names.labels(agent.metadata.name)}.items())),
            "annotations": dict(sorted(annotations.items())),
        },
        "spec": _pod(agent, image),
    }


def _pod(agent: VoiceAgent, image: str) -> Manifest:
    spec, name = agent.spec, agent.metadata.name
    first = [*added_containers(agent), *([_migration(agent, image)] if spec.database else [])]
    pod: Manifest = {
        "serviceAccountName": account_name(agent),
        "automountServiceAccountToken": True,  # for the watch of the one ConfigMap
        "enableServiceLinks": False,  # a Service named `internal` would set INTERNAL_PORT to a URL
        "terminationGracePeriodSeconds": grace_period(spec.calls),
        "securityContext": pod_security(spec.pod.fs_group),
        "containers": [_container(agent, image)],
        **({"initContainers": first} if first else {}),
        "volumes": volumes(agent),
        "topologySpreadConstraints": [
            _spread(name, "topology.kubernetes.io/zone"),
            _spread(name, "kubernetes.io/hostname"),
        ],
    }
    return pod | _placing(agent) | resolving(agent)


def _container(agent: VoiceAgent, image: str) -> Manifest:
    return {
        **_program(agent, image, names.CONTAINER),
        "ports": [
            {"name": names.PUBLIC, "containerPort": names.PUBLIC_PORT, "protocol": "TCP"},
            {"name": names.INTERNAL, "containerPort": names.INTERNAL_PORT, "protocol": "TCP"},
        ],
        "volumeMounts": mounts(agent),
        **lifetime(),
    }


def _migration(agent: VoiceAgent, image: str) -> Manifest:
    """Migrate the database before the pod takes calls; pods that start together wait for a lock in the database.

    An unreachable database does not stop a pod from taking calls: its records wait in the journal. The container has
    the same resources as the pod's own, so that the pod requests no more than without it.
    """
    return {
        **_program(agent, image, names.MIGRATION),
        "args": ["migrate", "--if-reachable"],
        "volumeMounts": shared_mounts(agent),
        "terminationMessagePolicy": "FallbackToLogsOnError",  # puts its last sentence into the agent's status
    }


def _program(agent: VoiceAgent, image: str, name: str) -> Manifest:
    """Return the fields that all containers of a pod share."""
    pod = agent.spec.pod
    resources = pod.resources
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": str(agent.spec.image.pull_policy),
        "env": environment(agent),
        **({"envFrom": [written(each) for each in pod.env_from]} if pod.env_from else {}),
        "resources": {
            "requests": dict(sorted(resources.requests.items())),
            "limits": dict(sorted(resources.limits.items())),
        },
        "securityContext": container_security(),
    }


def _placing(agent: VoiceAgent) -> Manifest:
    pod, image = agent.spec.pod, agent.spec.image
    placing: Manifest = {}
    if image.pull_secrets:
        placing["imagePullSecrets"] = [{"name": secret.name} for secret in image.pull_secrets]
    if pod.node_selector:
        placing["nodeSelector"] = dict(sorted(pod.node_selector.items()))
    if pod.tolerations:
        placing["tolerations"] = [written(toleration) for toleration in pod.tolerations]
    if pod.affinity:
        placing["affinity"] = written(pod.affinity)
    if pod.priority_class_name:
        placing["priorityClassName"] = pod.priority_class_name
    if pod.runtime_class_name:
        placing["runtimeClassName"] = pod.runtime_class_name
    return placing


def _spread(name: str, topology: str) -> Manifest:
    """Spread the pods where possible; during a rollout each revision by itself."""
    return {
        "maxSkew": 1,
        "topologyKey": topology,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": names.selector(name)},
        "matchLabelKeys": ["pod-template-hash"],
    }
