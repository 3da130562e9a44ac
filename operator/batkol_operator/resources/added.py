"""The additions of a team to the pods: sidecars and other containers, and the resolution of names.

A sidecar is an init container that Kubernetes keeps running (`restartPolicy: Always`, from 1.29 on): it starts before
`migrate` and the program, and gets SIGTERM only when the program has ended. A container beside the program would end
at the beginning of a drain, and a database proxy with it, while calls go on.
"""

from __future__ import annotations

from batkol_operator.kube.names import Manifest
from batkol_operator.model.added_containers import AddedContainer
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.resources.objects import written
from batkol_operator.resources.security import container_security


def added_containers(agent: VoiceAgent) -> list[Manifest]:
    """Return the sidecars, then the containers that end, in the order of their start."""
    pod = agent.spec.pod
    sidecars = [{**_container(each), "restartPolicy": "Always"} for each in pod.sidecars]
    return sidecars + [_container(each) for each in pod.init_containers]


def _container(each: AddedContainer) -> Manifest:
    """Write the container; its security context sets only the user and the kind of root file system."""
    fields = written(each)
    return {**fields, "securityContext": {**container_security(), **fields.get("securityContext", {})}}


def resolving(agent: VoiceAgent) -> Manifest:
    """Return the fields of the pod about names of hosts."""
    pod = agent.spec.pod
    fields: Manifest = {}
    if pod.dns_policy:
        fields["dnsPolicy"] = str(pod.dns_policy)
    if pod.dns_config:
        fields["dnsConfig"] = written(pod.dns_config)
    if pod.host_aliases:
        fields["hostAliases"] = [written(alias) for alias in pod.host_aliases]
    return fields
