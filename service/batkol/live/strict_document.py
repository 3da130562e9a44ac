"""A live file that is taken whole or refused whole: strict JSON into one struct, and a sentence for what is wrong."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from batkol import strict_json
from batkol.errors import ConfigurationError
from batkol.live.source import LARGEST

_PATH: Final = re.compile(r"`\$\.?([^`]*)`$")
_UNKNOWN: Final = re.compile(r"unknown field `([^`]{1,60})")

_OF_MSGSPEC: Final = re.compile("Expected|Object|Invalid|Integer|Number")

Document = TypeVar("Document")


def read(
    name: str, raw: bytes, decoder: msgspec.json.Decoder[Document], rule: Callable[[str], str | None], stays: str
) -> Document:
    """Decode a file. Raises `ConfigurationError`, sentences that quote no value of the file.

    `rule` returns the whole rule of a field by its path, such as `recognition.batchMilliseconds`; None for one that
    has none. `stays` says what is in force after a refusal.
    """
    if len(raw) > LARGEST:
        raise ConfigurationError(f"{name} is larger than {LARGEST >> 20} MiB. {stays}")
    try:
        if doubled := next(strict_json.duplicate_keys(strict_json.read(raw)), None):
            raise ConfigurationError(f"{name}: {doubled[:60]} occurs twice in it. {stays}")
        return decoder.decode(raw.removeprefix(strict_json.BOM))
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{name}: {_complaint(str(error), rule)}. {stays}") from error
    except (strict_json.NotJsonError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{name} is not JSON ({error}). {stays}") from error


def content_revision(raw: bytes) -> str:
    """Name contents by themselves: the first twelve digits of what `sha256sum FILE` prints."""
    return hashlib.sha256(raw).hexdigest()[:12]


def _complaint(message: str, rule: Callable[[str], str | None]) -> str:
    """Turn msgspec's message into a sentence that gives the whole rule, not only the end that was broken."""
    found = _PATH.search(message)
    path = found.group(1) if found else ""
    if unknown := _UNKNOWN.search(message):
        return f"there is no field {'.'.join(filter(None, (path, unknown.group(1))))}"
    if path == "revision":
        return "revision must be a text of 1 to 253 characters"
    if found and not _OF_MSGSPEC.match(message):  # the sentence of a struct that has checked itself
        return message[: found.start()].removesuffix(" - at ")
    return rule(path) or f"{path or 'the file'} must be a JSON object"
