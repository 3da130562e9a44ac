"""Kubernetes objects in memory, kept as an API server keeps them: versions, generations, server-side apply with its
conflicts, owners, finalizers.

Not here: schemas, defaults, lists merged by key, controllers, kubelets.
"""

from __future__ import annotations

import copy
import itertools
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

Manifest: TypeAlias = dict[str, Any]


class Key(NamedTuple):
    """Where an object stands; `namespace` is empty for one of the cluster's own."""

    group: str
    plural: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a watch."""

    version: int
    key: Key
    type: str
    object: Manifest


class RefusalError(Exception):
    """What the API server says no with."""

    def __init__(self, code: int, reason: str, message: str, details: Manifest | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details


@dataclass(slots=True)
class Store:
    """All objects. Every method may be called from any thread. `has_status`: whether a kind's status is a world of
    its own.
    """

    has_status: Callable[[Key], bool]
    told: Callable[[Change], None] = lambda _change: None
    objects: dict[Key, Manifest] = field(default_factory=dict)
    log: list[Change] = field(default_factory=list)
    version: int = 100
    _versions: Iterable[int] = field(default_factory=lambda: itertools.count(101))
    _applied: dict[tuple[Key, str, str], Manifest] = field(default_factory=dict)
    _edited: dict[Key, dict[tuple[str, ...], str]] = field(default_factory=dict)  # the manager by field
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def get(self, key: Key) -> Manifest:
        """Return a copy of an object. Raises `RefusalError`."""
        with self._lock:
            if key not in self.objects:
                raise RefusalError(404, "NotFound", f'{key.plural} "{key.name}" not found')
            return copy.deepcopy(self.objects[key])

    def find(self, group: str, plural: str, namespace: str = "", selector: str = "") -> list[Manifest]:
        """Return copies of the objects of a kind; of all namespaces, if none is named."""
        with self._lock:
            return [
                copy.deepcopy(each)
                for key, each in self.objects.items()
                if key[:2] == (group, plural) and namespace in ("", key.namespace) and selects(selector, each)
            ]

    def create(self, key: Key, body: Manifest) -> Manifest:
        """Create an object. Raises `RefusalError`."""
        with self._lock:
            if key in self.objects:
                raise RefusalError(409, "AlreadyExists", f'{key.plural} "{key.name}" already exists')
            new = copy.deepcopy(body)
            if self.has_status(key):
                new.pop("status", None)
            return self._write(key, new, None)

    def change(
        self, key: Key, subresource: str, edit: Callable[[Manifest], Manifest], manager: str = "kubectl-edit"
    ) -> Manifest:
        """Edit a copy of an object and keep what comes out, of its status or of all the rest. Raises `RefusalError`."""
        with self._lock:
            old = self.get(key)
            new = self._isolated(key, old, edit(copy.deepcopy(old)), subresource)
            before = dict(_leaves(old))
            changed = {path: manager for path, value in _leaves(new) if before.get(path) != value}
            self._edited.setdefault(key, {}).update(changed)
            return self._write(key, new, old)

    def replace(self, key: Key, body: Manifest) -> Manifest:
        """Replace an object, its status apart, and answer with what stands then. Raises `RefusalError`."""
        with self._lock:
            old = self.get(key)
            metadata, version = body["metadata"], old["metadata"]["resourceVersion"]
            if metadata["name"] != key.name:
                raise RefusalError(400, "BadRequest", "the name of the object does not match the name on the URL")
            if metadata.get("resourceVersion", version) != version:
                raise RefusalError(409, "Conflict", "the object has been modified")
            if body.get("type", old.get("type")) != old.get("type"):
                raise RefusalError(422, "Invalid", "type: field is immutable")
            new = copy.deepcopy(body)
            new["metadata"] |= {"namespace": key.namespace} if key.namespace else {}
            return self._write(key, self._isolated(key, old, new, ""), old)

    def apply(self, key: Key, manager: str, body: Manifest, subresource: str = "", *, force: bool = False) -> Manifest:
        """Apply server-side: what this manager applied before and no longer says is taken away, unless another manager
        has applied it too; absent objects are created. Raises `RefusalError`, without `force` also where another
        manager has changed a field.
        """
        with self._lock:
            old = copy.deepcopy(self.objects.get(key))
            if old is None and subresource:
                raise RefusalError(404, "NotFound", f'{key.plural} "{key.name}" not found')
            self._take_over(key, old or {}, body, force=force)
            new = copy.deepcopy(old) if old else {"metadata": {}}
            _take_away(new, self._applied.get((key, manager, subresource), {}), body)
            for (of, by, part), said in self._applied.items():
                if (of, part) == (key, subresource) and by != manager:
                    _give_back(new, old or {}, said)
            merge(new, body)
            new["metadata"].update(name=key.name, **({"namespace": key.namespace} if key.namespace else {}))
            if old:
                new = self._isolated(key, old, new, subresource)
            self._applied[key, manager, subresource] = copy.deepcopy(body)
            return self._write(key, new, old)

    def _take_over(self, key: Key, old: Manifest, body: Manifest, *, force: bool) -> None:
        """Refuse, or by force settle, what an apply would change of fields that others have changed."""
        edited, live = self._edited.get(key, {}), dict(_leaves(old))
        fields = [path for path, value in _leaves(body) if path in edited and live.get(path, value) != value]
        if fields and not force:
            raise _conflict({path: edited[path] for path in fields})
        for path in fields:
            del edited[path]

    def delete(self, key: Key) -> Manifest:
        """Delete an object, or mark it for deletion where finalizers hold it. Raises `RefusalError`."""
        with self._lock:
            old = self.get(key)
            if not old["metadata"].get("finalizers"):
                return self._remove(key, old)
            new = copy.deepcopy(old)
            new["metadata"].setdefault("deletionTimestamp", _now())
            return self._write(key, new, old)

    def _isolated(self, key: Key, old: Manifest, new: Manifest, subresource: str) -> Manifest:
        if not self.has_status(key):
            return new
        part, rest = (new, old) if subresource == "status" else (old, new)
        isolated = {name: value for name, value in rest.items() if name != "status"}
        return {**isolated, "status": part["status"]} if "status" in part else isolated

    def _write(self, key: Key, new: Manifest, old: Manifest | None) -> Manifest:
        meta = new.setdefault("metadata", {})
        if old is None:
            meta.update(uid=str(uuid.uuid4()), creationTimestamp=_now(), generation=1)
        else:
            for kept in ("uid", "creationTimestamp", "generation", "resourceVersion"):
                meta[kept] = old["metadata"][kept]
            if _asked_for(new) != _asked_for(old):
                meta["generation"] += 1
        meta["managedFields"] = [
            {"manager": manager, "operation": "Apply", "fieldsV1": _standing(body, new), "subresource": subresource}
            for (of, manager, subresource), body in self._applied.items()
            if of == key
        ]
        if new == old:  # nothing has changed: no version, no event
            return new
        if meta.get("deletionTimestamp") and not meta.get("finalizers"):
            return self._remove(key, new)
        self._stamp(new)
        self.objects[key] = copy.deepcopy(new)
        self._tell(key, "MODIFIED" if old else "ADDED", new)
        return new

    def _remove(self, key: Key, last: Manifest) -> Manifest:
        del self.objects[key]
        self._edited.pop(key, None)
        self._applied = {at: body for at, body in self._applied.items() if at[0] != key}
        self._stamp(last)
        self._tell(key, "DELETED", last)
        uid = last["metadata"]["uid"]
        owned = [
            child
            for child, body in self.objects.items()
            if any(owner.get("uid") == uid for owner in body["metadata"].get("ownerReferences", ()))
        ]
        for child in owned:
            self.delete(child)
        return last

    def _stamp(self, body: Manifest) -> None:
        self.version = next(iter(self._versions))
        body["metadata"]["resourceVersion"] = str(self.version)

    def _tell(self, key: Key, type_: str, body: Manifest) -> None:
        change = Change(self.version, key, type_, copy.deepcopy(body))
        self.log.append(change)
        self.told(change)


def merge(target: Manifest, patch: Mapping[str, Any]) -> Manifest:
    """Merge as RFC 7386 has it: null removes, lists are replaced."""
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        elif isinstance(value, Mapping):
            inner = target.get(name)
            target[name] = merge(inner if isinstance(inner, dict) else {}, value)
        else:
            target[name] = copy.deepcopy(value)
    return target


def selects(selector: str, body: Manifest) -> bool:
    """Whether an object has these labels: `name`, `name=value`, with commas between."""
    labels = body["metadata"].get("labels", {})
    for part in filter(None, selector.split(",")):
        name, has_value, value = part.partition("=")
        if name not in labels or (has_value and labels[name] != value.lstrip("=")):
            return False
    return True


def _take_away(target: Manifest, before: Manifest, now: Mapping[str, Any]) -> None:
    for name, value in before.items():
        if name not in now:
            target.pop(name, None)
        elif isinstance(value, dict) and isinstance(now[name], Mapping) and isinstance(target.get(name), dict):
            _take_away(target[name], value, now[name])


def _give_back(target: Manifest, before: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    for name, value in said.items():
        if name not in target and name in before and before[name] == value:
            target[name] = copy.deepcopy(value)
        elif (
            isinstance(value, Mapping) and isinstance(target.get(name), dict) and isinstance(before.get(name), Mapping)
        ):
            _give_back(target[name], before[name], value)


def _standing(applied: Mapping[str, Any], live: Mapping[str, Any]) -> Manifest:
    """Return the fields that a manager applied and nobody has changed since, as `fieldsV1` writes them."""
    fields: Manifest = {}
    for name, value in applied.items():
        if isinstance(value, Mapping) and isinstance(live.get(name), Mapping):
            fields[f"f:{name}"] = _standing(value, live[name])
        elif name in live and live[name] == value:
            fields[f"f:{name}"] = {}
    return fields


def _leaves(body: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each field that holds no others; a list is one field."""
    for name, value in body.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, name))
        else:
            yield (*path, name), value


def _conflict(fields: Mapping[tuple[str, ...], str]) -> RefusalError:
    """Refuse as the API server does, which writes the manager's name into a sentence only."""
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{manager}" using v1',
            "field": f".{'.'.join(path)}",
        }
        for path, manager in fields.items()
    ]
    message = f"Apply failed with {len(causes)} conflicts: {causes[0]['message']}"
    return RefusalError(409, "Conflict", message, {"causes": causes})


def _asked_for(body: Manifest) -> Manifest:
    return {name: value for name, value in body.items() if name not in ("metadata", "status")}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
