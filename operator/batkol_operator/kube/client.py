"""A client of the API server: apply, replace, list, delete, annotate, discover. Any kind, as plain JSON.

lightkube connects (kubeconfig, certificates, tokens that rotate); the requests are written here, for lightkube's client
needs a class for each kind and has no discovery. Every method makes one request or two, and raises `RefusedError` or
`UnreachableError`. A cancelled request may or may not have been carried out; all of them may be repeated.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, NoReturn, Self

import httpx2
from lightkube.config.client_adapter import AsyncClient, ConnectionParams
from lightkube.config.kubeconfig import SingleConfig

from batkol_operator.errors import ContestedError, RefusedError, UnreachableError
from batkol_operator.kube.answers import (
    LARGEST,
    ClusterAnswerError,
    field_conflicts,
    limit_answers,
    member,
    objects,
    read_object,
    status_message,
)
from batkol_operator.kube.names import API_VERSION, FIELD_MANAGER, KIND, PLURAL, Manifest

TIMEOUT_S: Final = 10.0
"""Seconds for one request and its answer, the wait for a connection included."""

_APPLY: Final = {"Content-Type": "application/apply-patch+yaml"}
_MERGE: Final = {"Content-Type": "application/merge-patch+json"}
_OUR_APPLY: Final = {"fieldManager": FIELD_MANAGER}
_FORCED_APPLY: Final = {"fieldManager": FIELD_MANAGER, "force": "true"}
_HANDOVER_APPLY: Final = {"fieldManager": f"{FIELD_MANAGER}-handover", "force": "true"}
"""Apply by another manager's name. An apply by force takes over a field that another manager owns; a field that our
last apply had and this one lacks is removed."""

_TRANSIENT: Final = {401: "unauthorized", 408: "timeout", 409: "conflict", 425: "server", 429: "throttled"}
"""Status codes for which a retry helps, with their kind for the metric; every 5xx is one, too."""

OwnedKinds = tuple[tuple[str, str, str], ...]
"""(API version, kind, plural) each."""


class Cluster:
    """One connection to one API server. An asynchronous context manager; it starts no task.

    `transport`: what carries the requests instead of TCP.
    """

    def __init__(
        self,
        access: SingleConfig,
        kinds: OwnedKinds,
        *,
        concurrency: int = 16,
        on_request: Callable[[str], object] = lambda _verb: None,
        timeout_s: float = TIMEOUT_S,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        # No proxy from the environment: HTTPS_PROXY is there for what is outside, and kopf takes none either.
        how = ConnectionParams(timeout=httpx2.Timeout(timeout_s), trust_env=False, transport=transport)  # type: ignore[arg-type]  # AsyncClient takes an asynchronous one
        self._http = AsyncClient(access, how)
        limit_answers(self._http, LARGEST)
        self._timeout_s = timeout_s
        self._plurals = {("v1", "Pod"): "pods", **{(version, kind): plural for version, kind, plural in kinds}}
        self._slots = asyncio.Semaphore(concurrency)
        self._on_request = on_request

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def apply(self, wanted: Manifest, *, force: bool = False) -> Manifest:
        """Apply a whole object, server-side; return it as the API server then has it.

        Without `force` raises `ContestedError` if another manager has changed one of its fields.
        """
        version, kind, metadata = str(wanted["apiVersion"]), str(wanted["kind"]), wanted["metadata"]
        url = self._path(version, kind, metadata["namespace"], metadata["name"])
        async with self._request("apply", f"{kind} {metadata['name']}"):
            how = _FORCED_APPLY if force else _OUR_APPLY
            return read_object(await self._http.patch(url, content=json.dumps(wanted), params=how, headers=_APPLY))

    async def replace(self, wanted: Manifest) -> Manifest:
        """Replace a whole object, or create it; return it as the API server then has it.

        For kinds that the operator may not read, and hence not patch: the answer to a patch, even to an empty one, has
        the whole object; the answer to this has only what was sent. Fields that others added are removed.
        """
        version, kind, metadata = str(wanted["apiVersion"]), str(wanted["kind"]), wanted["metadata"]
        folder = self._path(version, kind, metadata["namespace"])
        params = {"fieldManager": FIELD_MANAGER}
        what = f"{kind} {metadata['name']}"
        try:
            async with self._request("replace", what):
                return read_object(await self._http.put(f"{folder}/{metadata['name']}", json=wanted, params=params))
        except _MissingError:
            async with self._request("create", what):
                return read_object(await self._http.post(folder, json=wanted, params=params))

    async def apply_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> Manifest:
        """Apply the status of an agent; return the agent as the API server then has it."""
        metadata = {"name": name, "namespace": namespace}
        body = json.dumps({"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "status": status})
        url = f"{_path(API_VERSION, PLURAL, namespace, name)}/status"
        async with self._request("status", f"{KIND} {name}"):
            return read_object(await self._http.patch(url, content=body, params=_FORCED_APPLY, headers=_APPLY))

    async def hand_over_replicas(self, namespace: str, name: str) -> None:
        """Give the field `spec.replicas` of a Deployment, with its present value, to another manager if we own it.

        An apply without `spec.replicas` by its only owner removes the field, and the API server then sets it to 1,
        against the autoscaler (Kubernetes, "Server-Side Apply", transferring ownership).
        """
        url = self._path("apps/v1", "Deployment", namespace, name)
        try:
            async with self._request("get", f"Deployment {name}"):
                live = read_object(await self._http.get(url))
                owned, replicas = _owns_replicas(live), member(live, "spec").get("replicas")
        except _MissingError:
            return
        if not owned:
            return
        metadata = {"name": name, "namespace": namespace}
        kept = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}
        body = json.dumps({**kept, "spec": {"replicas": replicas}})
        async with self._request("apply", f"Deployment {name}"):
            read_object(await self._http.patch(url, content=body, params=_HANDOVER_APPLY, headers=_APPLY))

    async def list_labelled(
        self, api_version: str, kind: str, namespace: str, labels: Mapping[str, str]
    ) -> list[Manifest]:
        """List the objects of a kind with these labels; an empty list if the cluster does not have the kind."""
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        url = self._path(api_version, kind, namespace)
        try:
            async with self._request("list", kind):
                found = objects(read_object(await self._http.get(url, params={"labelSelector": selector})), "items")
        except _MissingError:
            return []
        return [{**each, "apiVersion": api_version, "kind": kind} for each in found]

    async def find(self, api_version: str, kind: str, namespace: str, name: str) -> Manifest | None:
        """Return an object; None if it does not exist."""
        try:
            async with self._request("get", f"{kind} {name}"):
                return read_object(await self._http.get(self._path(api_version, kind, namespace, name)))
        except _MissingError:
            return None

    async def delete(self, api_version: str, kind: str, namespace: str, name: str) -> None:
        """Delete an object. One that does not exist is no error."""
        try:
            async with self._request("delete", f"{kind} {name}"):
                read_object(await self._http.delete(self._path(api_version, kind, namespace, name)))
        except _MissingError:
            return

    async def annotate_pod(self, namespace: str, name: str, annotations: Mapping[str, str]) -> None:
        """Set annotations of a pod. A pod that does not exist is no error."""
        body = json.dumps({"metadata": {"annotations": dict(annotations)}})
        url = self._path("v1", "Pod", namespace, name)
        try:
            async with self._request("annotate", f"Pod {name}"):
                read_object(await self._http.patch(url, content=body, headers=_MERGE))
        except _MissingError:
            return

    async def create_event(self, event: Manifest) -> None:
        """Create an Event of the core API."""
        url = _path("v1", "events", event["metadata"]["namespace"])
        async with self._request("event", "Event"):
            read_object(await self._http.post(url, json=event))

    async def exists(self, api_version: str, plural: str, name: str, namespace: str = "") -> bool:
        """Whether an object exists that the operator does not own. False if the operator may not read it."""
        try:
            async with self._request("get", f"{plural} {name}"):
                read_object(await self._http.get(_path(api_version, plural, namespace, name)))
        except RefusedError:
            return False
        return True

    async def served_kinds(self, kinds: Collection[str]) -> frozenset[str]:
        """Return which of these owned kinds, as "group/Kind", this cluster serves."""
        wanted = [(version, kind) for version, kind in self._plurals if qualified(version, kind) in kinds]
        served = {version: await self._served(version) for version in {version for version, _ in wanted}}
        return frozenset(qualified(version, kind) for version, kind in wanted if kind in served[version])

    async def _served(self, api_version: str) -> Collection[str]:
        try:
            async with self._request("discover", api_version):
                found = objects(read_object(await self._http.get(_root(api_version))), "resources")
        except _MissingError:
            return ()
        return {str(each.get("kind")) for each in found}

    def _path(self, api_version: str, kind: str, namespace: str, name: str = "") -> str:
        return _path(api_version, self._plurals[api_version, kind], namespace, name)

    @asynccontextmanager
    async def _request(self, verb: str, what: str) -> AsyncIterator[None]:
        async with self._slots:
            self._on_request(verb)
            try:
                async with asyncio.timeout(self._timeout_s):
                    yield
            except httpx2.HTTPStatusError as error:
                _translate(error, what)
            except ClusterAnswerError as error:
                raise UnreachableError(
                    f"The operator cannot use the API server's answer about {what}: {error}. Check that the operator's "
                    "kubeconfig or service account leads to an API server, not to a proxy. The operator tries again.",
                    kind="answer",
                ) from error
            except (httpx2.TransportError, TimeoutError) as error:
                raise UnreachableError(
                    f"The API server does not answer ({type(error).__name__}). The operator tries again.",
                    kind="connection",
                ) from error


def _owns_replicas(body: Manifest) -> bool:
    return any(
        "f:replicas" in member(member(entry, "fieldsV1"), "f:spec")
        for entry in objects(member(body, "metadata"), "managedFields")
        if entry.get("manager") == FIELD_MANAGER and not entry.get("subresource")
    )


class _MissingError(RefusedError):
    """The object, or the kind, does not exist."""


def _translate(error: httpx2.HTTPStatusError, what: str) -> NoReturn:
    code, message = error.response.status_code, status_message(error.response)
    if code == 404:
        sentence = f"The API server does not know {what}: {message or 'not found'}."
        raise _MissingError(sentence, reason="Refused") from error
    if code == 409 and (conflicts := field_conflicts(error.response)):
        raise ContestedError(f"The API server refused {what}: {message}.", conflicts=conflicts) from error
    if code >= 500 or code in _TRANSIENT:
        why = f"HTTP {code}: {message}" if message else f"HTTP {code}"
        sentence = f"The API server cannot handle {what} now ({why}). The operator tries again."
        raise UnreachableError(sentence, kind=_TRANSIENT.get(code, "server")) from error
    # Both are 403: a right that the operator lacks, and an object that a quota or an admission webhook refuses.
    if code == 403 and 'User "' in message and " cannot " in message:
        sentence = f"The operator's role does not allow this for {what}: {message}. Change the role."
        raise RefusedError(sentence, reason="Forbidden") from error
    raise RefusedError(f"The API server refused {what}: {message or f'HTTP {code}'}.", reason="Refused") from error


def qualified(api_version: str, kind: str) -> str:
    """Write a kind as "group/Kind"."""
    return f"{api_version.rpartition('/')[0]}/{kind}"


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _path(api_version: str, plural: str, namespace: str, name: str = "") -> str:
    within = f"/namespaces/{namespace}" if namespace else ""
    return f"{_root(api_version)}{within}/{plural}{'/' + name if name else ''}"
