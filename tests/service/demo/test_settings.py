"""The demo in an environment that is another service's."""

from __future__ import annotations

from pathlib import Path

import pytest

from batkol.demo.settings import Doubles, settings_of_demo
from batkol.settings import Settings


def test_no_variable_has_a_say_in_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some would end it with a traceback, some take its calls to another service, or its flag from its file."""
    for name, value in {
        "LOG_LEVEL": "debug",
        "MAX_CALLS": "0",
        "LIVE_START_FROM": "/etc/batkol",
        "FLAGS_PROVIDER": "flagd",
        "WHISPER_URL": "https://whisper.example",
        "OVERFLOW_URL": "https://other.example/twilio/voice",
        "STT_MAX_STREAMS": "1",
        "API_TOKEN": "of another",
        "API_READ_TOKEN": "short",
        "API_TOKENS": "no JSON",
        "DATABASE_URL": "postgresql://another.example/calls",
        "ANSWERER": "echo",
        "ANSWERER_API_KEY": "another's",
        "VOICE": "openai",
    }.items():
        monkeypatch.setenv(name, value)
    kept = {"store": "none", "journal_dir": tmp_path, "database_dir": tmp_path}

    settings = settings_of_demo(Doubles("127.0.0.1:9", "http://127.0.0.1:10/v1"), tmp_path, "secret", kept)

    unset = {
        name: field.default for name, field in Settings.model_fields.items() if name not in settings.model_fields_set
    }
    assert {name: getattr(settings, name) for name in unset} == unset
    assert (settings.live_source, settings.gcp_stt_endpoint) == (f"file:{tmp_path}", "127.0.0.1:9")
    assert (settings.answerer, settings.answerer_url) == ("openai", "http://127.0.0.1:10/v1")
