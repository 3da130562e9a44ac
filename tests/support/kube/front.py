"""What the API server makes of one request, whatever brought it: rights, faults, versions, conflicts, the schema.

`support.kube.api` serves it over HTTP, on kmock; `support.kube.memory_api` without, in virtual time. Whoever asks has
the rights of the operator's role, as the chart's agreed rendering has it, and no others.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import Any, Final

import jsonpatch
import kmock

from support.chart.files import DEFAULT, snapshot
from support.kube.status_schema import refused_status
from support.kube.store import Change, Key, Manifest, RefusalError, Store, merge, selects

AGENTS: Final = "batkol.dev/v1alpha1/voiceagents"
_AGENT_KIND: Final = ("batkol.dev", "voiceagents")
_VERBS: Final = {"get", "list", "watch", "patch", "create", "update", "delete"}
_OPERATOR: Final = "batkol-operator"
_ACCOUNT: Final = "system:serviceaccount:batkol-system:batkol-operator"
_WRITES: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(slots=True)
class Fault:
    """Requests that fail: those whose "METHOD group/plural name[/subresource]" holds all the words, so many times."""

    words: tuple[str, ...]
    code: int
    reason: str
    message: str
    times: int = field(default=1_000_000)


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request, but for a watch."""

    method: str
    key: Key  # without a name: a listing, or a creation
    subresource: str = ""
    content_type: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    body: Any = None

    @property
    def line(self) -> str:
        """As `seen` has it, and as a fault's words are looked for."""
        path = "/".join(part for part in (self.key.name, self.subresource) if part)
        return f"{self.method} {self.key.group}/{self.key.plural} {path}".strip()


class ApiFront:
    """Answers requests from one `Store`. A test looks into `store` and changes it directly."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.seen: list[str] = []  # "METHOD group/plural name", but for watches
        self.forbidden: list[str] = []  # what was asked without the right to it
        self.followers: list[Callable[[Change], None]] = []
        self.watches_ended = 0
        self.forgotten_to = 0  # a watch from a version below this one is refused
        self.idle: list[str] = []  # the patches that changed nothing
        self.store = Store(has_status=lambda key: key[:2] in with_status(), told=self._tell)

    def fail(self, *words: str, code: int, reason: str = "", message: str = "", times: int = 1_000_000) -> Fault:
        """Have requests fail from now on."""
        fault = Fault(words, code, reason, message, times)
        self.faults.append(fault)
        return fault

    def end_watches(self) -> None:
        """End all watches; whoever watched goes on from the version that was seen last."""
        self.watches_ended += 1

    def forget_log(self) -> None:
        """Forget what has happened so far, as etcd's compaction does: whoever goes on from before lists again."""
        self.forgotten_to = self.store.version

    def _tell(self, change: Change) -> None:
        for follower in self.followers:
            follower(change)

    def answer(self, request: ApiRequest) -> Manifest:
        """Carry a request out. Raises `RefusalError`."""
        apply = "apply-patch" in request.content_type
        verb = _WRITES.get(request.method) or ("get" if request.key.name else "list")
        self.authorize(request.key, verb, request.subresource, creates=apply)
        self.seen.append(request.line)
        self._maybe_fail(request.line)
        before = self.store.version
        answer = self._answer(request)
        if request.method == "PATCH" and self.store.version == before:
            self.idle.append(request.line)
        return answer

    def authorize(self, key: Key, verb: str, subresource: str = "", *, creates: bool = False) -> None:
        """Check the right to a request. Raises `RefusalError`. `creates`: whether it creates an absent object."""
        resource = "/".join(part for part in (key.plural, subresource) if part)
        verbs = [verb, "create"] if creates and verb == "patch" and key not in self.store.objects else [verb]
        for each in verbs:
            if (key.group, resource, each) not in rights():
                what = f'{resource} "{key.name}" is forbidden: User "{_ACCOUNT}" cannot {each} resource "{resource}"'
                self.forbidden.append(what)
                raise RefusalError(403, "Forbidden", what)

    def _maybe_fail(self, line: str) -> None:
        for fault in self.faults:
            if fault.times > 0 and all(word in line.replace("/", " ").split() for word in fault.words):
                fault.times -= 1
                raise RefusalError(fault.code, fault.reason or "Injected", fault.message or "injected")

    def _answer(self, request: ApiRequest) -> Manifest:
        key, body = request.key, request.body
        match request.method:
            case "GET" if key.name:
                return self.store.get(key)
            case "GET":
                return self._list(key, request.params.get("labelSelector", ""))
            case "POST":
                return self.store.create(key._replace(name=body["metadata"]["name"]), body)
            case "DELETE":
                return self.store.delete(key)
            case "PUT":
                return self.store.replace(key, body)
        return self._patch(request)

    def _list(self, key: Key, selector: str) -> Manifest:
        items = self.store.find(key.group, key.plural, key.namespace, selector)
        items = [{name: part for name, part in each.items() if name not in ("apiVersion", "kind")} for each in items]
        version = str(self.store.version)
        return {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items}

    def _patch(self, request: ApiRequest) -> Manifest:
        key, body, kind = request.key, request.body, request.content_type
        if request.subresource == "status" and key[:2] == _AGENT_KIND:
            _admit_status(body)
        if "apply-patch" in kind:
            manager = request.params.get("fieldManager")
            if not manager:
                raise RefusalError(400, "BadRequest", "fieldManager is required for apply patch")
            force = request.params.get("force") == "true"
            return self.store.apply(key, manager, body, request.subresource, force=force)
        if "json-patch" in kind:
            return self.store.change(key, request.subresource, lambda old: _json_patched(old, body))
        return self.store.change(key, request.subresource, lambda old: merge(_unmoved(old, body), body))

    def changes(self, key: Key, selector: str, at: int, after: int) -> tuple[list[Change], int]:
        """Return what a watch has to send of the log from entry `at` on, and the entry to go on from. Raises
        `RefusalError` where the log is forgotten from there on.
        """
        if at == 0 and 0 < after < self.forgotten_to:
            raise RefusalError(410, "Expired", f"too old resource version: {after} ({self.forgotten_to})")
        log = self.store.log
        found = [change for change in log[at:] if change.version > after and _concerns(change, key, selector)]
        return found, len(log)


@cache
def resources() -> dict[tuple[str, str], tuple[str, kmock.ResourceInfo]]:
    """The kinds that the API server has, by group and plural, with their version: kmock's and the chart's."""
    found: dict[tuple[str, str], tuple[str, kmock.ResourceInfo]] = {}
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        bundled = kmock.KubernetesScaffold().resources
        bundled.load_bundled()  # reads its own data by a way that the standard library is giving up
    for resource, info in bundled.items():
        if isinstance(resource, kmock.resource) and isinstance(info, kmock.ResourceInfo):
            found[str(resource.group), str(resource.plural)] = (str(resource.version), info)
    for name, info in own_resources():
        group, version, plural = name.split("/")
        found[group, plural] = (version, info)
    return found


def own_resources() -> Iterator[tuple[str, kmock.ResourceInfo]]:
    """The kinds of the chart's definitions, and kopf's."""
    for name, kind, namespaced in (
        (AGENTS, "VoiceAgent", True),
        ("core.openfeature.dev/v1beta1/featureflags", "FeatureFlag", True),
        ("kopf.dev/v1/kopfpeerings", "KopfPeering", True),
        ("kopf.dev/v1/clusterkopfpeerings", "ClusterKopfPeering", False),
    ):
        yield (
            name,
            kmock.ResourceInfo(
                kind=kind,
                singular=kind.lower(),
                namespaced=namespaced,
                subresources={"status", "scale"} if name == AGENTS else set(),
                verbs=_VERBS,
            ),
        )


@cache
def with_status() -> frozenset[tuple[str, str]]:
    """Group and plural of the kinds whose status is a world of its own."""
    return frozenset(kind for kind, (_, info) in resources().items() if "status" in info.subresources)


@cache
def rights() -> frozenset[tuple[str, str, str]]:
    """Return (group, resource, verb) of the operator's role; a name that a rule is restricted to is not looked at."""
    (role,) = [
        each for each in snapshot(DEFAULT) if each["kind"] == "ClusterRole" and each["metadata"]["name"] == _OPERATOR
    ]
    # With namespaces there is a peering in each, with the same rights as over the cluster's.
    plurals = {"clusterkopfpeerings": ("clusterkopfpeerings", "kopfpeerings")}
    return frozenset(
        (group, plural, verb)
        for rule in role["rules"]
        for group, resource, verb in product(rule["apiGroups"], rule["resources"], rule["verbs"])
        for plural in plurals.get(resource, (resource,))
    )


def _admit_status(body: Manifest) -> None:
    """As the definition's schema does. What stands elsewhere in the object, and does not change, is not looked at."""
    if found := refused_status(body.get("status") or {}):
        raise RefusalError(422, "Invalid", f"VoiceAgent is invalid: {found[0]}")


def _concerns(change: Change, key: Key, selector: str) -> bool:
    same = (
        change.key[:2] == key[:2] and key.namespace in ("", change.key.namespace) and key.name in ("", change.key.name)
    )
    return same and selects(selector, change.object)


def _unmoved(old: Manifest, patch: Manifest) -> Manifest:
    expected = (patch.get("metadata") or {}).get("resourceVersion")
    if expected and expected != old["metadata"]["resourceVersion"]:
        raise RefusalError(409, "Conflict", "the object has been modified")
    return old


def _json_patched(old: Manifest, patch: Any) -> Manifest:
    try:
        patched: Manifest = jsonpatch.apply_patch(old, patch)
    except jsonpatch.JsonPatchException as error:
        raise RefusalError(422, "Invalid", str(error)) from error
    return patched


def status_of(error: RefusalError) -> Manifest:
    """Write a refusal as a `Status`, as an answer or a watch has it."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": str(error),
        "reason": error.reason,
        "code": error.code,
        **({"details": error.details} if error.details else {}),
    }


def body_of(text: bytes) -> Any:
    """Read a request's body."""
    return json.loads(text) if text else None


def writes(api: ApiFront) -> list[str]:
    """What was asked of it that was no reading."""
    return [line for line in api.seen if not line.startswith("GET")]
