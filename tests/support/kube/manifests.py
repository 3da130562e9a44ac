"""Looks at planned objects: by kind, by Kubernetes' own schemas, by the restricted Pod Security Standard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # has no types
import yaml  # type: ignore[import-untyped]  # has no types

from batkol_operator.resources.plan import Plan

VERSIONS = ("1.30", "1.32", "1.34", "1.37")
FOREIGN = frozenset({"ScaledObject", "PodMonitor", "HTTPRoute"})
"""Kinds that are not Kubernetes' own: no schema of theirs is at hand."""

_VOLUMES = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
)


def one(plan: Plan, kind: str, name: str = "") -> dict[str, Any]:
    """Return the plan's only object of a kind, or of a kind and a name."""
    found = [each for each in plan.objects if each["kind"] == kind and name in ("", each["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} of {kind}"
    return found[0]


def kinds(plan: Plan) -> list[str]:
    """Return what is planned, in order."""
    return [wanted["kind"] for wanted in plan.objects]


def container(plan: Plan) -> dict[str, Any]:
    """Return the one container of the pods."""
    (only,) = one(plan, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def variables(plan: Plan) -> dict[str, Any]:
    """Return the container's environment: the value, or where it comes from."""
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container(plan)["env"]}


def refusal(manifest: Mapping[str, Any], version: str) -> str:
    """Why a version of Kubernetes would not take the object, an unknown field included; empty if it would."""
    try:
        kubernetes_validate.validate(dict(manifest), version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return str(error)
    return ""


def not_restricted(pod: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the restricted Pod Security Standard forbids in a pod's spec.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    """
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield field
    for volume in pod.get("volumes", ()):
        if not (set(volume) - {"name"}) <= _VOLUMES:
            yield f"volume {volume['name']}"
    for each in (*pod["containers"], *pod.get("initContainers", ())):
        yield from _not_restricted(each, pod.get("securityContext", {}))


def _not_restricted(each: Mapping[str, Any], pods: Mapping[str, Any]) -> Iterator[str]:
    own = each.get("securityContext", {})
    profile = own.get("seccompProfile", pods.get("seccompProfile", {}))
    capabilities = own.get("capabilities", {})
    forbidden = {
        "privileged": own.get("privileged"),
        "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is not False,
        "capabilities": "ALL" not in capabilities.get("drop", ()) or set(capabilities.get("add", ())),
        "runAsNonRoot": not own.get("runAsNonRoot", pods.get("runAsNonRoot")),
        "runAsUser": own.get("runAsUser", pods.get("runAsUser", 1)) == 0,
        "seccompProfile": profile.get("type") not in ("RuntimeDefault", "Localhost"),
        "hostPort": any("hostPort" in port for port in each.get("ports", ())),
    }
    yield from (name for name, broken in forbidden.items() if broken)


class _Readable(yaml.SafeDumper):  # type: ignore[misc]  # has no types
    """Files inside a ConfigMap as files, and nothing by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)


def snapshot(of: Plan) -> str:
    """Write a plan for people to look over."""
    written: str = yaml.dump_all(of.objects, Dumper=_Readable, sort_keys=False, allow_unicode=True, width=120)
    return f"# PYTHONPATH=tests python tests/operator/resources/test_plan.py writes this anew\n{written}"
