"""The settings of the agent's replies: part of `batkol.settings.Settings`, and read with it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from batkol import strict_json
from batkol.conversation.actions import StockPhrase
from batkol.environment import EnvironmentSettings
from batkol.live.reply import LONGEST_PHRASE
from batkol.prompt_facts import check_prompt, check_zone

IDLE: Final = {"he": "אתם עדיין על הקו?", "": "Are you still there?"}
"""Question to a silent caller, by language; "" is every other language."""


class ReplyFields(EnvironmentSettings):
    """Environment variables are the upper-case field names."""

    free_texts: ClassVar[frozenset[str]] = frozenset({"answerer_prompt", "greeting", "agent_phrases"})

    agent_replies: bool = Field(
        False, description="Let the built-in agent answer callers; without it only the API speaks."
    )
    answerer_prompt: str = Field("", description="The agent's instructions, the first message of every request.")
    time_zone: str = Field("UTC", description="Time zone of `{{time}}` in prompts, by its IANA name.")
    greeting: str = Field("", description="Phrase at the beginning of a call; empty: the caller speaks first.")
    greeting_interruptible: bool = Field(True, description="Whether a caller who speaks interrupts the greeting.")
    agent_phrases: Annotated[dict[str, str], NoDecode] = Field(
        {}, description="JSON, phrase to text: filler, apology, repeat, idle, goodbye; an empty text is not said."
    )
    speculative_attempts_per_minute: int = Field(
        600, ge=0, description="Attempts of this pod before the end of speech; each may be thrown away. 0: none."
    )

    @field_validator("answerer_prompt")
    @classmethod
    def _names(cls, value: str) -> str:
        check_prompt(value)
        return value

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        check_zone(value)
        return value

    @field_validator("greeting")
    @classmethod
    def _short(cls, value: str) -> str:
        if len(value) > LONGEST_PHRASE:
            raise ValueError(
                f"has a text of more than {LONGEST_PHRASE} characters; a caller would not wait for its end"
            )
        return value

    @field_validator("agent_phrases", mode="before")
    @classmethod
    def _json(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return strict_json.of_variable(value, '{"filler": "One moment."}') if value else {}

    @field_validator("agent_phrases")
    @classmethod
    def _known(cls, value: dict[str, str]) -> dict[str, str]:
        known = [phrase.value for phrase in StockPhrase if phrase is not StockPhrase.GREETING]
        for name, text in value.items():
            if name not in known:
                raise ValueError(f"has a phrase that there is not; the phrases are {', '.join(known)}")
            if len(text) > LONGEST_PHRASE:
                raise ValueError(f"has a text of more than {LONGEST_PHRASE} characters for {name}")
        return value

    def phrases(self, language: str) -> dict[StockPhrase, str]:
        """Return the phrases that are not the stored ones, and what each says in that language."""
        idle = IDLE.get(language.partition("-")[0].lower().replace("iw", "he"), IDLE[""])
        given = {StockPhrase(name): text for name, text in self.agent_phrases.items()}
        return {StockPhrase.GREETING: self.greeting, StockPhrase.IDLE: idle, **given}
