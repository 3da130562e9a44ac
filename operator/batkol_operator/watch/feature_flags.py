"""The cache of the FeatureFlag objects that the watch has shown: their `flagSpec` as JSON, by namespace and name."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from batkol_operator.watch.object_state import Body


class FeatureFlagCache:
    """`watched`: whether events come for the kind. Until the first one nothing is kept, and every pass asks."""

    def __init__(self, *, watched: bool = False) -> None:
        self.watched = watched
        self._documents: dict[tuple[str, str], bytes] = {}

    def observe(self, body: Body, *, deleted: bool = False) -> bool:
        """Take note of an event; return whether the flags have changed."""
        self.watched = True
        return self.record_answer(body, deleted=deleted)

    def record_answer(self, body: Body, *, deleted: bool = False) -> bool:
        """Take note of the answer to our own request; return whether the flags have changed."""
        metadata = body["metadata"]
        key = (str(metadata.get("namespace", "")), str(metadata["name"]))
        before = self._documents.pop(key, None)
        if deleted:
            return before is not None
        document = encoded(body)
        if self.watched:
            self._documents[key] = document
        return document != before

    def find(self, namespace: str, name: str) -> bytes | None:
        """Return the `flagSpec` of an object as JSON; None if no event has shown the object."""
        return self._documents.get((namespace, name))

    def forget(self, namespace: str, names: Collection[str]) -> None:
        """Forget objects: a watch that was down does not report what was deleted meanwhile."""
        for name in names:
            self._documents.pop((namespace, name), None)


def encoded(body: Body) -> bytes:
    """Return the `flagSpec` of a FeatureFlag as JSON, `null` for an object without one."""
    spec: Any = body.get("spec") or {}
    return json.dumps(dict(spec).get("flagSpec"), sort_keys=True).encode()
