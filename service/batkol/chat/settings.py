"""Settings of `batkol chat`: the environment of `batkol serve`, of which only the replies' part must be complete."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Self

from pydantic import model_validator

from batkol.environment import stripped
from batkol.errors import ConfigurationError
from batkol.settings import Settings

LONGEST_PROMPT: Final = 256 * 1024
"""Bytes of a prompt's file."""


class ChatSettings(Settings):
    """As `Settings`, without what only calls need: a token of Twilio's, a public URL, a store."""

    @model_validator(mode="after")
    def _safe(self) -> Self:
        return self

    @model_validator(mode="after")
    def _kept(self) -> Self:
        self.check_replies()
        return self


def prompt_from(file: Path) -> str:
    """Read a prompt. Raises `ConfigurationError` for a file that is none."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(LONGEST_PROMPT + 1)
    except OSError as error:
        raise ConfigurationError(f"the prompt {file} cannot be read: {error.strerror}.") from None
    if len(raw) > LONGEST_PROMPT:
        raise ConfigurationError(f"the prompt {file} has more than {LONGEST_PROMPT} bytes; shorten the prompt.")
    try:
        text = stripped(raw.decode())
    except UnicodeDecodeError:
        raise ConfigurationError(f"the prompt {file} is not UTF-8; save the file as UTF-8.") from None
    if not text:
        raise ConfigurationError(f"the prompt {file} is empty; an answerer without a prompt says anything.")
    return text
