"""The FeatureFlags that an agent names, at the beginning of a pass: from the cache, or from the API server.

What no event has shown is asked for: an operator that has just started must not plan without flags that exist, because
calls in progress would follow. An object that does not exist costs a request with each pass.

While no events come for the kind, because the cluster got it after the operator's start, the agents that name such
objects look again after `LOOK_AGAIN_S`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from batkol_operator.kube.client import Cluster
from batkol_operator.resources.flag_sources import FEATURE_FLAG, FEATURE_FLAGS
from batkol_operator.watch.feature_flags import FeatureFlagCache, encoded
from batkol_operator.watch.object_state import Body

LOOK_AGAIN_S: Final = 5.0
"""Seconds between two looks at a kind without events, or for it. All agents share one look for the kind."""


def source_names(body: Body) -> list[str]:
    """Return the names in `spec.flagsFrom` of an agent that has not been read yet; what is none is left to reading."""
    listed = (body.get("spec") or {}).get("flagsFrom")
    entries = listed if isinstance(listed, list | tuple) else ()
    return sorted(str(each["name"]) for each in entries if isinstance(each, Mapping) and each.get("name"))


async def read_sources(
    namespace: str, names: list[str], kinds: frozenset[str], cluster: Cluster, cache: FeatureFlagCache
) -> dict[str, bytes]:
    """Return the `flagSpec` as JSON of those that exist. Raises `UnreachableError`, `RefusedError`."""
    found: dict[str, bytes] = {}
    for name in names if FEATURE_FLAGS in kinds else ():
        known = cache.find(namespace, name)
        if known is None:
            body = await cluster.find(*FEATURE_FLAG[:2], namespace, name)
            if body is None:
                continue
            cache.record_answer(body)
            known = encoded(body)
        found[name] = known
    return found
