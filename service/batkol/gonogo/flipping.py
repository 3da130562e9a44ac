"""The change that a rehearsal makes to `flags.json`: one flag, in front of its own rules."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from batkol.errors import BatkolError
from batkol.live.flag_definitions import STREAMING_FLAG
from batkol.live.source import FLAGS


class FlagNotFlippableError(BatkolError):
    """The flag's definition has no variant that is on (or off)."""


def flipped(raw: bytes, *, streaming: bool, only_calls: Sequence[str] | None) -> bytes:
    """Return the file with only the flag's default or targeting changed. Raises `FlagNotFlippableError`."""
    document, flag = _flag(raw)
    variant = _variant(flag, streaming=streaming)
    if only_calls is None:
        flag["defaultVariant"] = variant
        flag.pop("targeting", None)
    else:
        rules: list[Any] = [{"in": [{"var": "targetingKey"}, list(only_calls)]}, variant]
        if flag.get("targeting"):
            rules.append(flag["targeting"])
        flag["targeting"] = {"if": rules}
    return json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"


def _flag(raw: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        document = json.loads(raw.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError) as error:
        raise FlagNotFlippableError(f"{FLAGS} is not JSON, so the service uses the last valid contents.") from error
    flags = document.get("flags") if isinstance(document, dict) else None
    if isinstance(flags, list):  # each with its key in it
        found = [flag for flag in flags if isinstance(flag, dict) and flag.get("key") == STREAMING_FLAG]
        flag = found[0] if len(found) == 1 else None
    else:
        flag = flags.get(STREAMING_FLAG) if isinstance(flags, dict) else None
    if not isinstance(flag, dict):
        raise FlagNotFlippableError(f"{FLAGS} has no flag {STREAMING_FLAG}.")
    return document, flag


def _variant(flag: dict[str, Any], *, streaming: bool) -> str:
    variants = flag.get("variants")
    found = [name for name, value in variants.items() if value is streaming] if isinstance(variants, dict) else []
    if not found:
        word = "true" if streaming else "false"
        raise FlagNotFlippableError(f"{STREAMING_FLAG} in {FLAGS} has no variant that is {word}.")
    return str(found[0])
