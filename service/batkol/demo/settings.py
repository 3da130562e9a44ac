"""The settings of the demo's service. The environment has no say: another service may be set up in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from batkol.demo.script import GREETING
from batkol.settings import LogPartials, Settings

PUBLIC_URL: Final = "https://demo.batkol.example"
"""The URL under which Twilio would know the service: signed over, and never looked up."""
MODEL: Final = "scripted"
"""A name that the model's double has no published times for: its first token comes after 350 ms."""


class _Embedded(Settings):
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


@dataclass(frozen=True, slots=True)
class Doubles:
    """Addresses of the doubles."""

    speech: str  # host:port
    model: str  # base URL, with /v1


def settings_of_demo(doubles: Doubles, live: Path, auth_token: str, others: Mapping[str, Any]) -> Settings:
    """Return the settings: doubles in place of Google and the model, the flag in a file, and `others`: store and voice.

    The agent has no filler: all that the caller's ear hears of a turn is its reply.
    """
    return _Embedded(
        gcp_stt_endpoint=doubles.speech,
        gcp_stt_insecure=True,
        twilio_auth_token=(auth_token,),
        public_base_url=PUBLIC_URL,
        live_source=f"file:{live}",
        host="127.0.0.1",
        port=0,
        internal_port=0,
        voice_agent="demo",
        drain_timeout_s=5,
        log_transcripts=True,  # the voice is made up
        log_partials=LogPartials.TRUE,
        agent_replies=True,
        answerer="openai",
        answerer_url=doubles.model,
        answerer_model=MODEL,
        greeting=GREETING,
        agent_phrases={"filler": ""},
        **others,
    )
