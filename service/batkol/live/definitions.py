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
from batkol.live.rules import OutOfStepsError, Rule, Steps
from batkol.live.source import FLAGS, LARGEST
from batkol.live.targeting import Reading, checked_targeting
from batkol.live.tuning import content_revision

STREAMING_FLAG = "streaming-stt"
FILE_STEPS = 6000  # of all its flags together: some six hundred small ones, or a dozen of the largest
SHOWN_REFUSALS = 50  # of one file; the others are counted in one sentence
_STATES = ("ENABLED", "DISABLED")
_TOO_MUCH = f"the flags of the file take more than {FILE_STEPS} steps together"


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
    rules: Mapping[str, Rule] = {}  # the targeting of those that have one and are enabled, ready to evaluate

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
    flags, refusals = _flags(document, before)
    metadata = document["metadata"]
    if not _is_metadata(metadata):
        refusals.append(Refusal(FLAGS, None, f"{FLAGS}: metadata may hold only texts, numbers and booleans. Left out."))
        metadata = {}
    rules = {key: Rule(flag["targeting"]) for key, flag in flags.items() if _has_rule(flag)}
    return FlagDefinitions(flags, metadata, content_revision(raw), rules), _shown(refusals)


def _flags(
    document: Mapping[str, Any], before: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Mapping[str, Any]], list[Refusal]]:
    """Check flag by flag; `STREAMING_FLAG` first, so that what the others cost cannot be its end."""
    given = document["flags"]
    reading = Reading(document["$evaluators"], Steps(FILE_STEPS))
    taken: dict[str, Mapping[str, Any]] = {}
    refusals: list[Refusal] = []
    for key in sorted(given, key=lambda key: key != STREAMING_FLAG):
        try:
            taken[key] = _checked(key, given[key], reading)
        except (ConfigurationError, OutOfStepsError) as error:
            why = str(error) if isinstance(error, ConfigurationError) else _TOO_MUCH
            refusals.append(Refusal(FLAGS, key, f"Flag {key[:60]!r} was refused: {why}. {_consequence(key, before)}"))
            if key in before:
                taken[key] = before[key]
    return {key: taken[key] for key in given if key in taken}, refusals


def _has_rule(flag: Mapping[str, Any]) -> bool:
    return flag["state"] == "ENABLED" and bool(flag["targeting"])


def _shown(refusals: list[Refusal]) -> tuple[Refusal, ...]:
    more = len(refusals) - SHOWN_REFUSALS
    if more <= 0:
        return tuple(refusals)
    return (*refusals[:SHOWN_REFUSALS], Refusal(FLAGS, None, f"{FLAGS}: {more} more refusals, for lack of room."))


def _document(raw: bytes) -> dict[str, Any]:
    """Return the parts of the file that matter, each of its right type. Raises `ConfigurationError`."""
    if len(raw) > LARGEST:
        raise ConfigurationError(f"{FLAGS} is larger than {LARGEST >> 20} MiB")
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


def _checked(key: str, flag: Any, reading: Reading) -> dict[str, Any]:
    """Raises `ConfigurationError`, or `OutOfStepsError` when the file has been too much by now."""
    reading.take_flag()
    if not isinstance(flag, dict):
        raise ConfigurationError("it is not a JSON object")
    if flag.get("state") not in _STATES:
        raise ConfigurationError("its state must be ENABLED or DISABLED")
    reading.take_values([flag.get("variants"), flag.get("metadata")])
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
        "targeting": checked_targeting(flag.get("targeting"), reading=reading, variants=variants),
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
