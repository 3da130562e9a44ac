"""The text of environment variables: what is stripped from the ends, and what a value may not contain.

The same rules as the service's (`batkol.environment`); the two share no code.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from pydantic import ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings

_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})
"""Unicode's categories of control, format and surrogate characters (a byte that is no UTF-8), and of white space."""

_QUOTES: Final = frozenset("\"'`\u2018\u2019\u201c\u201d\u201e")


def stripped(text: str) -> str:
    """Return the text without white space and characters that cannot be seen (BOM, zero width, RLM) at its ends."""
    seen = [place for place, character in enumerate(text) if not _is_unseen(character)]
    return text[seen[0] : seen[-1] + 1] if seen else ""


def tidy(environ: MutableMapping[str, str] = os.environ) -> None:
    """Strip every variable, for libraries that read one (`KUBECONFIG`). Call it once, before anything reads them."""
    for name, value in list(environ.items()):
        if value != stripped(value):
            environ[name] = stripped(value)


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) in _UNSEEN


class OperatorEnvironmentSettings(BaseSettings):
    """Settings with stripped texts, without white space or invisible characters inside, except a space in a path."""

    @model_validator(mode="before")
    @classmethod
    def _strip(cls, values: Any) -> Any:
        """Drop empty values, and values of only white space: a chart renders an unset value as an empty string."""
        if not isinstance(values, Mapping):
            return values
        clean = {name: stripped(value) if isinstance(value, str) else value for name, value in values.items()}
        return {name: value for name, value in clean.items() if value != ""}

    @field_validator("*", mode="before")
    @classmethod
    def _one_line(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        if len(value) > 1 and value[0] in _QUOTES and value[-1] in _QUOTES:
            raise ValueError("has quotation marks around it, which only a shell takes off; take them out")
        for place, character in enumerate(value, 1):
            if _is_unseen(character) and not (character == " " and info.field_name == "operator_key_file"):
                raise ValueError(f"has white space or an invisible character inside, at character {place}; take it out")
        return value
