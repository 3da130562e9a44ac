"""Phrase hints to Google, as a setting gives them: https://cloud.google.com/speech-to-text/quotas."""

from __future__ import annotations

import json
from typing import Final

MOST: Final = 500
"""Phrases of one request."""

LONGEST: Final = 100
"""Characters of one phrase."""


def read(value: object) -> object:
    """Read a JSON array of texts; a value that is no text comes back as it is. Raises `ValueError`."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else []
        except ValueError as error:
            raise ValueError(f'must be a JSON array of texts, such as ["תור", "מרפאה"] ({error})') from None
        if not isinstance(value, list) or not all(isinstance(phrase, str) for phrase in value):
            raise ValueError('must be a JSON array of texts, such as ["תור", "מרפאה"]')
    return value


def checked(phrases: tuple[str, ...]) -> tuple[str, ...]:
    """Return the phrases, if Google takes them. Raises `ValueError`."""
    if len(phrases) > MOST:
        raise ValueError(f"has {len(phrases)} phrases; keep the {MOST} most important phrases")
    for number, phrase in enumerate(phrases, 1):
        if not phrase or len(phrase) > LONGEST:
            raise ValueError(f"phrase {number} must have 1 to {LONGEST} characters, which is Google's limit")
    return phrases
