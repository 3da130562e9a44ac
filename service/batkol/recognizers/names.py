"""Names of streaming recognizers: the vendor's API and the model, such as `google-v1/default`."""

from __future__ import annotations

import re
from typing import Final

from batkol.recognizers.google import languages

GOOGLE_V1: Final = languages.API

SONIOX: Final = "soniox"

APIS: Final = (GOOGLE_V1, SONIOX)
"""The first halves of the names that this service knows."""

_SHAPE: Final = re.compile(r"[a-z0-9-]+/[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_name(name: str, language: str) -> None:
    """Refuse a name that no recognizer of this service has. Raises `ValueError`, a sentence."""
    api, _, model = name.partition("/")
    if not _SHAPE.fullmatch(name) or api not in APIS:
        known = ", ".join(f"{each}/MODEL" for each in APIS)
        raise ValueError(f"{name[:80]!r} is no recognizer of this service; the names are {known}")
    models = languages.known_models(language)
    if api == GOOGLE_V1 and models and model not in models:
        known = ", ".join(f"{GOOGLE_V1}/{each}" for each in sorted(models))
        raise ValueError(f"{name[:80]!r} has no model for {language}; the recognizers of the language are {known}")


def google_name(model: str) -> str:
    """Return the name of Google's recognizer with that model."""
    return f"{GOOGLE_V1}/{model}"
