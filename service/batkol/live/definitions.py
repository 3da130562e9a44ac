"""`flags.json`: feature flags in flagd's format, taken flag by flag.

https://flagd.dev/reference/flag-definitions/. flagd's evaluation core refuses the whole set for one bad flag,
or for one key it does not know. Here a bad flag keeps its own last good definition, the others apply, and a
sentence says what was refused; keys that flagd does not define (`$comment`) are left out. A file that is not
a JSON object is refused whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from batkol.errors import ConfigurationError
from batkol.live.source import FLAGS
from batkol.live.targeting import checked_targeting
from batkol.live.tuning import content_revision

STREAMING_FLAG = "streaming-stt"
_STATES = ("ENABLED", "DISABLED")


class Refusal(msgspec.Struct, frozen=True):
    """Something that was not put in force; `flag` is None for the file, or a part that is no flag."""

    file: str
    flag: str | None
    why: str  # one or two sentences; never a value out of a targeting rule


class FlagDefinitions(msgspec.Struct, frozen=True):
    """What is in force: each flag in flagd's own keys, checked, its targeting written out."""

    flags: Mapping[str, Mapping[str, Any]]
    metadata: Mapping[str, bool | int | float | str]
    revision: str  # of the file: see `content_revision`

    def to_flagd(self) -> str:
        """Serialize for flagd's evaluation core (which changes the objects it is given, so it gets text)."""
        return msgspec.json.encode({"flags": self.flags, "metadata": self.metadata}).decode()


def parse_definitions(
    raw: bytes, last_good: FlagDefinitions | None = None
) -> tuple[FlagDefinitions | None, tuple[Refusal, ...]]:
    """Read `flags.json` over the last good definitions; raises nothing, whatever the bytes are.

    Returns what is to be in force and what was refused. Refused whole: `last_good` itself comes back.
    """
    try:
        document = _document(raw)
    except ConfigurationError as error:
        why = f"{error}. Nothing of it was applied and the last good flags stay; correct the file to try again."
        return last_good, (Refusal(FLAGS, None, why),)
    before = last_good.flags if last_good else {}
    flags: dict[str, Mapping[str, Any]] = {}
    refusals: list[Refusal] = []
    for key, flag in document["flags"].items():
        try:
            flags[key] = _checked(key, flag, document["$evaluators"])
        except ConfigurationError as error:
            refusals.append(Refusal(FLAGS, key, f"Flag {key[:60]!r} was refused: {error}. {_consequence(key, before)}"))
            if key in before:
                flags[key] = before[key]
    metadata = document["metadata"]
    if not _is_metadata(metadata):
        refusals.append(Refusal(FLAGS, None, f"{FLAGS}: metadata may hold only texts, numbers and booleans. Left out."))
        metadata = {}
    return FlagDefinitions(flags, metadata, content_revision(raw)), tuple(refusals)


def _document(raw: bytes) -> dict[str, Any]:
    """Return the parts of the file that matter, each of its right type. Raises `ConfigurationError`."""
    try:
        document = msgspec.json.decode(raw.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{FLAGS} is not JSON ({error})") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{FLAGS} is JSON, but not an object")
    if not isinstance(document.get("flags"), dict):
        raise ConfigurationError(f"{FLAGS} has no object named flags")
    evaluators = document.get("$evaluators") or {}
    if not isinstance(evaluators, dict):
        raise ConfigurationError(f"{FLAGS}: $evaluators is not an object")
    return {"flags": document["flags"], "$evaluators": evaluators, "metadata": document.get("metadata") or {}}


def _checked(key: str, flag: Any, evaluators: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(flag, dict):
        raise ConfigurationError("it is not a JSON object")
    if flag.get("state") not in _STATES:
        raise ConfigurationError("its state must be ENABLED or DISABLED")
    variants = _checked_variants(key, flag.get("variants"))
    default = flag.get("defaultVariant")
    name = str(default).lower() if isinstance(default, bool) else default
    if name is not None and (not isinstance(name, str) or name not in variants):
        raise ConfigurationError("its defaultVariant is not one of its variants")
    metadata = flag.get("metadata") or {}
    if not _is_metadata(metadata):
        raise ConfigurationError("its metadata may hold only texts, numbers and booleans")
    return {
        "state": flag["state"],
        "variants": variants,
        "defaultVariant": name,
        "targeting": checked_targeting(flag.get("targeting"), evaluators=evaluators, variants=variants),
        "metadata": metadata,
    }


def _checked_variants(key: str, variants: Any) -> dict[str, Any]:
    if not isinstance(variants, dict) or not variants:
        raise ConfigurationError("it needs variants, at least one")
    if len({_kind(value) for value in variants.values()}) > 1:
        raise ConfigurationError("its variants are not all of one type")
    if key == STREAMING_FLAG and not all(isinstance(value, bool) for value in variants.values()):
        raise ConfigurationError("its variants must be true or false, without quotes")
    return variants


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "text"
        case dict() | list():
            return "object"
        case _:
            raise ConfigurationError("one of its variants is null")


def _is_metadata(metadata: Any) -> bool:
    return isinstance(metadata, dict) and all(
        key and isinstance(value, bool | int | float | str) for key, value in metadata.items()
    )


def _consequence(key: str, before: Mapping[str, Any]) -> str:
    if key in before:
        return "Its last good definition stays; the other flags of the file apply."
    return "It has no earlier definition and does not exist for now; the other flags of the file apply."
