"""`spec.flagsFrom`: flags of `FeatureFlag` objects, a kind of the OpenFeature Operator, merged with those of the spec.

The spec wins, then the FeatureFlags in the order of their names. What is left out is said, in sentences. A definition
is passed on as it is written: the pods check it, and count its steps, as they do with every other flag.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Json = dict[str, Any]

FEATURE_FLAG: Final = ("core.openfeature.dev/v1beta1", "FeatureFlag", "featureflags")
"""(apiVersion, kind, plural) of the objects."""

FEATURE_FLAGS: Final = "core.openfeature.dev/FeatureFlag"
"""The kind, as "group/Kind"."""


LARGEST_BYTES: Final = 256 << 10
"""Bytes of JSON that all FeatureFlags of an agent add. The API server refuses a ConfigMap of more than 1 MiB, and with
it what the spec says."""

_NOT_SERVED: Final = (
    "This cluster has no FeatureFlags (core.openfeature.dev/v1beta1), so `flagsFrom` adds nothing. Install the "
    "OpenFeature Operator, or remove `flagsFrom`."
)

_TOO_LARGE: Final = (
    "FeatureFlag {name} is left out, for its size of {size} KiB: all FeatureFlags of an agent may have "
    f"{LARGEST_BYTES >> 10} KiB."
)


@dataclass(frozen=True, slots=True)
class MergedFlags:
    """Flags that the FeatureFlags add to those of the spec."""

    flags: Json = field(default_factory=dict)
    evaluators: Json = field(default_factory=dict)
    faults: tuple[str, ...] = ()  # sentences about what is left out


def merge_flags(
    names: Sequence[str], found: Mapping[str, Any], taken: Collection[str], *, served: bool = True
) -> MergedFlags:
    """Merge the FeatureFlags `names`. `found`: their `flagSpec` by name, those that exist. `taken`: flags of the spec.
    `served`: whether the cluster has the kind.
    """
    if names and not served:
        return MergedFlags(faults=(_NOT_SERVED,))
    flags: Json = {}
    evaluators: Json = {}
    owners = dict.fromkeys(taken, "the spec")
    shared: dict[str, str] = {}
    faults: list[str] = []
    left = LARGEST_BYTES
    for name in sorted(names):
        if name not in found:
            faults.append(f"FeatureFlag {name} does not exist.")
            continue
        document = found[name] if isinstance(found[name], dict) else {}
        if not isinstance(document.get("flags"), dict):
            faults.append(f"FeatureFlag {name} has no `flagSpec.flags`.")
            continue
        left -= (size := _bytes(document))
        if left < 0:
            left += size
            faults.append(_TOO_LARGE.format(name=name, size=-(-size >> 10)))
            continue
        faults += _add(flags, document["flags"], owners, name, "Flag")
        rules = document.get("$evaluators")
        faults += _add(evaluators, rules if isinstance(rules, dict) else {}, shared, name, "Evaluator")
    return MergedFlags(flags, evaluators, tuple(faults))


def _bytes(document: Json) -> int:
    """Return the size of what is merged, as `flags.json` has it."""
    merged = {name: document.get(name) for name in ("flags", "$evaluators")}
    return len(json.dumps(merged, indent=2, ensure_ascii=False).encode())


def _add(into: Json, found: Json, owners: dict[str, str], name: str, what: str) -> list[str]:
    """Add those without an owner; return a sentence for each of the others."""
    faults = []
    for key in sorted(found):
        if key in owners:
            faults.append(f"{what} {key[:60]} of FeatureFlag {name} is left out: {owners[key]} has it.")
        else:
            into[key], owners[key] = found[key], f"FeatureFlag {name}"
    return faults
