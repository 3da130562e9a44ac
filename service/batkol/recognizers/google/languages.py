"""Languages of Google Cloud Speech v1: their codes, and the models for each.

Google writes Hebrew `iw-IL`, users write `he-IL`; v1 has only two models for it, and asks for any other one with
INVALID_ARGUMENT, "The requested model is currently not supported for language : iw-IL." (supported-languages page).
"""

from __future__ import annotations

from typing import Final

API: Final = "google-v1"
"""The first half of the names of Google's streaming recognizers; the second is the model."""

DEFAULT_MODEL: Final = "default"

_CODES: Final = {"he": "iw-IL", "he-il": "iw-IL", "iw": "iw-IL", "iw-il": "iw-IL"}
_MODELS: Final[dict[str, frozenset[str]]] = {"iw-IL": frozenset({"default", "command_and_search"})}


def google_code(language: str) -> str:
    """Return the code Google uses for a BCP-47 tag; tags that need no mapping come back as they are."""
    return _CODES.get(language.lower(), language)


def known_models(language: str) -> frozenset[str]:
    """Return the models of a language; empty where they are not known here."""
    return _MODELS.get(google_code(language), frozenset())


def model_of(language: str, model: str) -> str:
    """Return `model`, or `default` if the language is known to lack it."""
    known = known_models(language)
    return (model if not known or model in known else "") or DEFAULT_MODEL


def supported_model(language: str, model: str) -> str:
    """Return `model`, or `default` if the language is known to lack it; logs that once, at start."""
    known = known_models(language)
    if not known or model in known or not model:
        return model or DEFAULT_MODEL
    import structlog  # noqa: PLC0415 -- who reads the names of models, as the settings do, loads no library for that

    structlog.get_logger().error(
        "[CFG] Google has no such model for this language; calls use 'default'",
        model=model,
        language=google_code(language),
        available=sorted(known),
        remedy="set GCP_STT_MODEL to one of the available models",
    )
    return DEFAULT_MODEL
