"""The text of an environment variable: what is taken off its ends, and what no value may have inside.

A Secret that `echo` made ends in a line break, a line that was copied from a page may begin with an invisible
character, and `env_file` keeps quotation marks. Such a value looks right and never fits. What can only be an accident
is taken off; what could be meant is refused at the start, with its place and without the value.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, MutableMapping
from typing import Any, ClassVar, Final

from pydantic import ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings

from batkol.strict_json import unwritable

_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})
"""Unicode's categories of control, format and surrogate characters (a byte that is no UTF-8), and of white space."""

_NAMES: Final = {"\n": "a line break", "\r": "a carriage return", "\t": "a tab", " ": "a space"}
_QUOTES: Final = frozenset("\"'`\u2018\u2019\u201c\u201d\u201e")


def stripped(text: str) -> str:
    """Return the text without white space and characters that cannot be seen (BOM, zero width, RLM) at its ends."""
    begin, end = 0, len(text)
    while begin < end and _is_accident(text[begin]):
        begin += 1
    while begin < end and _is_accident(text[end - 1]):
        end -= 1
    return text[begin:end]


def strip_variables(environ: MutableMapping[str, str] = os.environ) -> None:
    """Strip every variable, for what libraries and options read of them. Call it once, before anything is read."""
    for name, value in list(environ.items()):
        if value != stripped(value):
            environ[name] = stripped(value)


def remove_reserved(environ: MutableMapping[str, str] = os.environ) -> list[str]:
    """Remove what `envFrom` of a pod sets of the variables that only its VoiceAgent may set; return their names.

    `SPEC_SETS` names those that the operator has set, `SPEC_UNSETS` the others that only it may set. Call it before
    anything is read. Settings are read in any case of the letters, hence `api_token` is removed beside `API_TOKEN`.
    """
    ours, others = (set(filter(None, environ.get(name, "").split(","))) for name in ("SPEC_SETS", "SPEC_UNSETS"))
    found = [name for name in environ if name.upper() in others or (name.upper() in ours and name not in ours)]
    for name in found:
        del environ[name]
    return sorted(found)


def check_line(text: str, *, spaces: bool = False) -> None:
    """Refuse quotation marks around a value, and inside it what cannot be seen; plain spaces only without `spaces`.

    Raises `ValueError`, a sentence that quotes nothing.
    """
    if len(text) > 1 and text[0] in _QUOTES and text[-1] in _QUOTES:
        raise ValueError(
            "has quotation marks around it, which a shell removes and a Secret keeps; remove the quotation marks"
        )
    for place, character in enumerate(text, 1):
        if _is_unseen(character) and not (spaces and character == " "):
            raise ValueError(
                f"has {_named(character)} inside, at character {place}; remove that character (in a URL, a space is "
                "%20)"
            )


def check_token(text: str) -> None:
    """Refuse what no `Authorization` header can carry to us. Raises `ValueError`, which quotes nothing."""
    check_line(text)
    for place, character in enumerate(text, 1):
        if not character.isascii():
            raise ValueError(
                f"has a character that is not ASCII, at character {place}, which HTTP clients cannot send in a "
                "header; copy the value again, or create one of ASCII letters and digits"
            )


def secret_in(variable: str, environ: Mapping[str, str]) -> str:
    """Return the secret in a variable. Raises `ValueError`, a clause that names the variable and quotes nothing."""
    secret = stripped(environ.get(variable, ""))
    if not secret:
        raise ValueError(f"the variable {variable} is not set; set it and restart the process")
    try:
        check_token(secret)
    except ValueError as error:
        raise ValueError(f"the variable {variable} {error}") from None
    return secret


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) in _UNSEEN


def _is_accident(character: str) -> bool:
    """Whether a character at an end of a text means nothing. A byte that is no UTF-8 was a letter."""
    return _is_unseen(character) and unicodedata.category(character) != "Cs"


def _named(character: str) -> str:
    if character in _NAMES:
        return _NAMES[character]
    return f"an invisible character ({unicodedata.name(character, f'U+{ord(character):04X}')})"


class EnvironmentSettings(BaseSettings):
    """Settings whose texts are stripped, and checked as above. Subclasses name the fields that are otherwise."""

    free_texts: ClassVar[frozenset[str]] = frozenset()
    """Fields that are no single line, such as JSON; they have a check of their own."""

    with_spaces: ClassVar[frozenset[str]] = frozenset()
    """Fields in which a plain space may stand, such as paths."""

    tokens: ClassVar[frozenset[str]] = frozenset()
    """Fields that travel in an HTTP header."""

    @model_validator(mode="before")
    @classmethod
    def _strip(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {name: stripped(value) if isinstance(value, str) else value for name, value in values.items()}

    @field_validator("*", mode="before")
    @classmethod
    def _one_line(cls, value: object, info: ValidationInfo) -> object:
        name = info.field_name or ""
        if not isinstance(value, str):
            return value
        if unwritten := unwritable(value):
            raise ValueError(unwritten)
        if name in cls.free_texts:
            return value
        if not value and cls.model_fields[name].get_default(call_default_factory=True) not in ("", ()):
            raise ValueError("is empty; set a value, or remove the variable to use the default")
        if name in cls.tokens:
            check_token(value)
        else:
            check_line(value, spaces=name in cls.with_spaces)
        return value


def several(value: object) -> object:
    """Split a comma-separated value; what is no text stays. Raises `ValueError` for a part with a line break."""
    if not isinstance(value, str):
        return value
    parts = tuple(one for part in value.split(",") if (one := stripped(part)))
    for one in parts:
        check_line(one)
    return parts


def refusal(error: ValidationError) -> str:
    """Return what is wrong with settings, a line for each value that cannot work."""
    named = [(f"{str(e['loc'][0]).upper()}: " if e["loc"] else "", e["msg"]) for e in error.errors()]
    lines = [f"  {name}{text.removeprefix('Value error, ')}" for name, text in named]
    return "the settings cannot be used:\n" + "\n".join(lines)
