"""The settings of the demo's service. The environment has no say: another service may be set up in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from batkol.settings import Settings

PUBLIC_URL: Final = "https://demo.batkol.example"
"""The URL under which Twilio would know the service: signed over, and never looked up."""


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


def settings_of_demo(double: str, live: Path, auth_token: str, kept: Mapping[str, Any]) -> Settings:
    """Return them: the double in place of Google, the flag in a file, and in `kept` the settings of the store."""
    return _Embedded(
        gcp_stt_endpoint=double,
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
        **kept,
    )
