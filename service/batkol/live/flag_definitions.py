"""`flags.json`: feature flags in flagd's format, taken flag by flag.

https://flagd.dev/reference/flag-definitions/. flagd's evaluation core refuses the whole set for one bad flag,
or for one key it does not know. Here a bad flag keeps its own last good definition, the others apply, and a
sentence names what was refused; keys that flagd does not define (`$comment`) are left out. A file that is not
a JSON object is refused whole. `flags` may be an object, or a list of flags that have a `key` each
(https://flagd.dev/schema/v0/flags.json#flagdImport). A key that occurs twice is refused: the file does
not determine which of the values applies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from batkol import strict_json
from batkol.errors import ConfigurationError
from batkol.live.rules import OutOfStepsError, StepBudget, TargetingRule
from batkol.live.source import FLAGS, LARGEST
from batkol.live.strict_document import content_revision
from batkol.live.targeting import Reading, checked_targeting
from batkol.quantity import quantity
from batkol.status import RefusedDefinition
from batkol.strict_json import DuplicateKeys

STREAMING_FLAG = "streaming-stt"
REPLIES_FLAG = "agent-replies"
ANSWERER_FLAG = "answerer"
VOICE_FLAG = "voice"
RECOGNIZER_FLAG = "recognizer"
OWN_FLAGS: Final = (STREAMING_FLAG, RECOGNIZER_FLAG, REPLIES_FLAG, ANSWERER_FLAG, VOICE_FLAG)
"""The flags that the service asks. They are read first."""
FILE_STEPS = 6000  # of all its flags together: some six hundred small ones, or a dozen of the largest
SHOWN_REFUSALS = 50  # of one file; the others are counted in one sentence
_STATES = ("ENABLED", "DISABLED")
_PARTS: Final = ("state", "variants", "defaultVariant", "targeting", "metadata")
_LARGEST_WHOLE: Final = 2**53 - 1  # that flagd, which keeps numbers in floating point, gives back as it is written
_NO_KEY = "entry in the list of flags is not an object with a key"
_NO_KEYS = "entries in the list of flags are not objects with a key"
_TOO_MUCH = f"the flags of the file take more than {FILE_STEPS} steps together"


class FlagDefinitions(msgspec.Struct, frozen=True):
    """The definitions in force: each flag in flagd's own keys, checked, its targeting written out."""

    flags: Mapping[str, Mapping[str, Any]]
    metadata: Mapping[str, bool | int | float | str]
    revision: str  # of the file: see `content_revision`
    rules: Mapping[str, TargetingRule] = {}  # the targeting of those that have one and are enabled, ready to evaluate

    def to_flagd(self) -> str:
        """Serialize for flagd's evaluation core (which changes the objects it is given, so it gets text)."""
        return msgspec.json.encode({"flags": self.flags, "metadata": self.metadata}).decode()


def parse_definitions(
    raw: bytes, last_good: FlagDefinitions | None = None, recognizers: Collection[str] = ()
) -> tuple[FlagDefinitions | None, tuple[RefusedDefinition, ...]]:
    """Read `flags.json` over the last good definitions; raises nothing, whatever the bytes are.

    `recognizers` are the names that the flag `recognizer` may give; without them it is not checked for that.
    Returns what is to be in force and what was refused. Refused whole: `last_good` itself comes back.
    """
    try:
        document = _document(raw)
    except ConfigurationError as error:
        why = (
            f"{error}. The service applied nothing of it and keeps the last valid flags; correct the file to try again."
        )
        return last_good, (RefusedDefinition(FLAGS, None, why),)
    before = last_good.flags if last_good else {}
    flags, refusals = _flags(document, before, recognizers)
    metadata = document.metadata
    if not _is_metadata(metadata):
        refusals.append(
            RefusedDefinition(
                FLAGS, None, f"{FLAGS}: metadata may hold only texts, numbers and booleans. The service ignores it."
            )
        )
        metadata = {}
    rules = {key: TargetingRule(flag["targeting"]) for key, flag in flags.items() if _has_rule(flag)}
    return FlagDefinitions(flags, metadata, content_revision(raw), rules), _shown(refusals)


class _Document(NamedTuple):
    """The parts of a file that matter, each of its right type, but not yet checked."""

    flags: Mapping[str, Any]
    twice: frozenset[str]  # keys that more than one flag has
    nameless: int  # members of a list of flags that have no key
    evaluators: Mapping[str, Any]
    metadata: Any


def _flags(
    document: _Document, before: Mapping[str, Mapping[str, Any]], recognizers: Collection[str]
) -> tuple[dict[str, Mapping[str, Any]], list[RefusedDefinition]]:
    """Check flag by flag; `OWN_FLAGS` first, so that what the others cost cannot be their end."""
    given = document.flags
    reading = Reading(document.evaluators, StepBudget(FILE_STEPS))
    accepted: dict[str, Mapping[str, Any]] = {}
    refusals: list[RefusedDefinition] = []
    for key in sorted(given, key=lambda key: OWN_FLAGS.index(key) if key in OWN_FLAGS else len(OWN_FLAGS)):
        try:
            if key in document.twice:
                raise ConfigurationError("the file defines it twice")  # noqa: TRY301 - one answer to all that is wrong
            checked = _checked(key, given[key], reading)
            if key == RECOGNIZER_FLAG:
                _check_recognizers(checked["variants"], recognizers)
            accepted[key] = checked
        except (ConfigurationError, OutOfStepsError) as error:
            why = str(error) if isinstance(error, ConfigurationError) else _TOO_MUCH
            problem = f"Flag {key[:60]!r} was refused: {why}. {_consequence(key, before)}"
            refusals.append(RefusedDefinition(FLAGS, key.encode(errors="backslashreplace").decode(), problem))
            if key in before:
                accepted[key] = before[key]
    if document.nameless:
        why = (
            f"{FLAGS}: {quantity(document.nameless, _NO_KEY, _NO_KEYS)}. The service ignores what has no key; the "
            "other flags apply."
        )
        refusals.append(RefusedDefinition(FLAGS, None, why))
    return {key: accepted[key] for key in given if key in accepted}, refusals


def _has_rule(flag: Mapping[str, Any]) -> bool:
    return flag["state"] == "ENABLED" and bool(flag["targeting"])


def _shown(refusals: list[RefusedDefinition]) -> tuple[RefusedDefinition, ...]:
    more = len(refusals) - SHOWN_REFUSALS
    if more <= 0:
        return tuple(refusals)
    others = quantity(more, "more refusal is", "more refusals are")
    return (*refusals[:SHOWN_REFUSALS], RefusedDefinition(FLAGS, None, f"{FLAGS}: {others} not listed."))


def _document(raw: bytes) -> _Document:
    """Read the file. Raises `ConfigurationError`."""
    if len(raw) > LARGEST:
        raise ConfigurationError(f"{FLAGS} is larger than {LARGEST >> 20} MiB")
    try:
        document = strict_json.read(raw)
    except strict_json.NotJsonError as error:
        raise ConfigurationError(f"{FLAGS} is not JSON ({error})") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{FLAGS} is JSON, but not an object")
    twice = _doubled(document)
    for part in ("flags", "$evaluators"):
        if part in twice:
            raise ConfigurationError(f"{FLAGS} has {part} twice")
    flags = document.get("flags")
    if not isinstance(flags, dict | list):
        raise ConfigurationError(f"{FLAGS} has no object or list named flags")
    evaluators = _or_empty(document.get("$evaluators"))
    if not isinstance(evaluators, dict):
        raise ConfigurationError(f"{FLAGS}: $evaluators is not an object")
    metadata = document if "metadata" in twice else _or_empty(document.get("metadata"))
    if isinstance(flags, dict):
        return _Document(flags, _doubled(flags), 0, evaluators, metadata)
    keyed = [flag for flag in flags if isinstance(flag, dict) and _key(flag)]
    counts = Counter(map(_key, keyed))
    repeated = frozenset(key for key, count in counts.items() if count > 1)
    return _Document({_key(flag): flag for flag in keyed}, repeated, len(flags) - len(keyed), evaluators, metadata)


def _key(flag: Mapping[str, Any]) -> str:
    """Return the key of a flag in a list, "" for none or for more than one."""
    key = flag.get("key")
    return key if isinstance(key, str) and "key" not in _doubled(flag) else ""


def _doubled(members: Mapping[str, Any]) -> frozenset[str]:
    return members.doubled if isinstance(members, DuplicateKeys) else frozenset()


def _or_empty(value: Any) -> Any:
    return {} if value is None else value


def _checked(key: str, flag: Any, reading: Reading) -> dict[str, Any]:
    """Raises `ConfigurationError`, or `OutOfStepsError` when the file has been too much by now."""
    reading.spend_flag()
    if not key:
        raise ConfigurationError("its key is empty")
    if not isinstance(flag, dict):
        raise ConfigurationError("it is not a JSON object")
    if twice := [part for part in _PARTS if part in _doubled(flag)]:
        raise ConfigurationError(f"its key {twice[0]} occurs twice")
    if flag.get("state") not in _STATES:
        raise ConfigurationError("its state must be ENABLED or DISABLED")
    reading.spend_values([flag.get("variants"), flag.get("metadata")])
    variants = _checked_variants(key, flag.get("variants"))
    default = flag.get("defaultVariant") or None  # flagd itself sends "" for a flag that has none
    name = str(default).lower() if isinstance(default, bool) else default
    if name is not None and (not isinstance(name, str) or name not in variants):
        raise ConfigurationError("its defaultVariant is not one of its variants")
    metadata = _or_empty(flag.get("metadata"))
    if not _is_metadata(metadata):
        raise ConfigurationError("its metadata may hold only texts, numbers and booleans")
    checked = {
        "state": flag["state"],
        "variants": variants,
        "defaultVariant": name,
        "targeting": checked_targeting(flag.get("targeting"), reading=reading, variants=variants),
        "metadata": metadata,
    }
    if not _is_text([key, checked]):
        raise ConfigurationError("a text in it has half of a surrogate pair, such as \\ud800 alone")
    return checked


def _checked_variants(key: str, variants: Any) -> dict[str, Any]:
    if not isinstance(variants, dict) or not variants:
        raise ConfigurationError("it needs at least one variant")
    if len({_kind(value) for value in variants.values()}) > 1:
        raise ConfigurationError("its variants are of different types")
    if "" in variants:
        raise ConfigurationError("one of its variants has an empty name")
    if any(isinstance(value, int) and abs(value) > _LARGEST_WHOLE for value in variants.values()):
        raise ConfigurationError(f"one of its variants is a whole number beyond {_LARGEST_WHOLE}")
    if key in (STREAMING_FLAG, REPLIES_FLAG) and not all(isinstance(value, bool) for value in variants.values()):
        raise ConfigurationError("its variants must be true or false, without quotes")
    if key == RECOGNIZER_FLAG and not all(isinstance(value, str) for value in variants.values()):
        raise ConfigurationError("its variants must be texts, each the name of a recognizer")
    if key in (ANSWERER_FLAG, VOICE_FLAG) and not all(isinstance(value, str) for value in variants.values()):
        raise ConfigurationError(f"its variants must be texts, each a name of {key.upper()}S")
    return variants


def _check_recognizers(variants: Mapping[str, Any], recognizers: Collection[str]) -> None:
    unknown = sorted(value for value in variants.values() if recognizers and value not in recognizers)
    if unknown:
        raise ConfigurationError(
            f"{unknown[0][:60]!r} is none of this pod's recognizers, which are {', '.join(recognizers)}; correct "
            "the variant, or add the name behind these in the order (recognition.order of tuning.json or of the "
            "VoiceAgent, STT_RECOGNIZERS_ORDER)"
        )


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
    return (
        isinstance(metadata, dict)
        and not _doubled(metadata)
        and all(key and isinstance(value, bool | int | float | str) for key, value in metadata.items())
        and _is_text(metadata)
    )


def _is_text(value: Any) -> bool:
    """Return whether a text can be written down again: JSON has escapes for halves of characters."""
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        return False
    return True


def _consequence(key: str, before: Mapping[str, Any]) -> str:
    if key in before:
        return "Its last valid definition stays; the other flags of the file apply."
    return "It has no earlier definition, so the flag does not exist for now; the other flags of the file apply."
