"""Settings of `batkol chat`: the replies' part of the environment of `batkol serve`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final, Self

from pydantic import ValidationError, model_validator
from pydantic_settings import SettingsConfigDict

from batkol.answering.settings import AnswererFields
from batkol.conversation.limit_settings import LimitFields
from batkol.conversation.settings import ReplyFields
from batkol.conversation.tool_settings import ToolFields
from batkol.environment import refusal, stripped
from batkol.errors import ConfigurationError
from batkol.prompt_facts import check_prompt

LONGEST_PROMPT: Final = 256 * 1024
"""Bytes of a prompt's file."""


class ChatSettings(ReplyFields, AnswererFields, ToolFields, LimitFields):
    """The part of `batkol.settings.Settings` that a chat uses. Other variables of a service may be there or not."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_ignore_empty=False,
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
    )

    free_texts: ClassVar[frozenset[str]] = (
        ReplyFields.free_texts | AnswererFields.free_texts | ToolFields.free_texts | LimitFields.free_texts
    )

    gcp_stt_language: str = "he-IL"
    live_source: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        self.check_answerers()
        self.check_tool_settings(transfers=bool(self.transfer_allowed))
        return self


def read() -> ChatSettings:
    """Read the environment. Raises `ConfigurationError` with one line for each value that cannot work."""
    try:
        return ChatSettings()
    except ValidationError as error:
        raise ConfigurationError(refusal(error)) from None


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
    try:
        check_prompt(text)
    except ValueError as error:
        raise ConfigurationError(f"the prompt {file} {error}.") from None
    return text
