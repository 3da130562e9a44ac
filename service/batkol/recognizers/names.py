"""Names of streaming recognizers: the vendor's API and the model, such as `google-v1/default`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from batkol.live.recognizer_means import LONGEST_NAME
from batkol.recognizers.google import languages

GOOGLE_V1: Final = languages.API

SONIOX: Final = "soniox"

APIS: Final = (GOOGLE_V1, SONIOX)
"""The first halves of the names that this service knows."""

LONGEST_MODEL: Final = LONGEST_NAME - len(f"{SONIOX}/")
"""Characters that a model of Soniox's may have."""

_MODEL: Final = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_SHAPE: Final = re.compile(rf"[a-z0-9-]+/{_MODEL}")


def check_name(name: str, *, language: str, soniox_models: Sequence[str]) -> None:
    """Refuse a name that no recognizer of this service has. Raises `ValueError`, a sentence."""
    api, _, model = name.partition("/")
    shown = repr(name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…")
    if not _SHAPE.fullmatch(name) or api not in APIS or len(name) > LONGEST_NAME:
        known = ", ".join(f"{each}/MODEL" for each in APIS)
        raise ValueError(
            f"{shown} is no recognizer of this service; the names are {known}, of 1 to {LONGEST_NAME} characters"
        )
    models = languages.known_models(language)
    if api == GOOGLE_V1 and models and model not in models:
        known = ", ".join(f"{GOOGLE_V1}/{each}" for each in sorted(models))
        raise ValueError(f"{shown} has no model for {language}; the recognizers of the language are {known}")
    if api == SONIOX and model not in soniox_models:
        known = ", ".join(f"{SONIOX}/{each}" for each in soniox_models)
        raise ValueError(
            f"{shown} is no model of Soniox's that this process takes; the recognizers are {known}. If Soniox has the "
            "model, add it to SONIOX_MODELS and restart the process"
        )


def check_soniox_model(model: str) -> None:
    """Refuse what can be no model in a name. Raises `ValueError`, a clause."""
    if not re.fullmatch(_MODEL, model) or len(model) > LONGEST_MODEL:
        raise ValueError(
            f"{model[:LONGEST_MODEL]!r} can be no model: it must have 1 to {LONGEST_MODEL} letters, digits, dots, "
            "hyphens and underscores, such as stt-rt-v5, without soniox/; several are separated by commas"
        )


def google_name(model: str) -> str:
    """Return the name of Google's recognizer with that model."""
    return f"{GOOGLE_V1}/{model}"
