"""Phrase hints to Google, as a setting gives them: https://cloud.google.com/speech-to-text/quotas."""

from __future__ import annotations

from typing import Final

from batkol import strict_json

MOST: Final = 500
"""Phrases of one request."""

LONGEST: Final = 100
"""Characters of one phrase."""

_EXAMPLE: Final = '["תור", "מרפאה"]'


def read(value: object) -> object:
    """Read a JSON array of texts; a value that is no text comes back as it is. Raises `ValueError`."""
    if isinstance(value, str):
        value = strict_json.of_variable(value, _EXAMPLE) if value.strip() else []
        if not isinstance(value, list) or not all(isinstance(phrase, str) for phrase in value):
            raise ValueError(f"must be a JSON array of texts, such as {_EXAMPLE}")
    return value


def checked(phrases: tuple[str, ...]) -> tuple[str, ...]:
    """Return the phrases, if Google takes them. Raises `ValueError`."""
    if len(phrases) > MOST:
        raise ValueError(f"has {len(phrases)} phrases; keep the {MOST} most important phrases")
    for number, phrase in enumerate(phrases, 1):
        if not phrase or len(phrase) > LONGEST:
            raise ValueError(f"phrase {number} must have 1 to {LONGEST} characters, which is Google's limit")
    return phrases
