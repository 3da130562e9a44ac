"""The demo's voice where espeak is not installed."""

from __future__ import annotations

import sys

import pytest

from batkol.demo.stage import voice_of_demo
from batkol.voices import espeak_library


def test_without_espeak_the_agent_has_the_built_in_voice_and_the_reason_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    espeak_library.load.cache_clear()

    voice, why = voice_of_demo()

    assert voice.name == "builtin"
    assert why.endswith("(GPL-3). Install the extra with pip install '.[espeak]' in Batkol's folder.")


def test_with_it_espeak_speaks() -> None:
    espeak_library.load.cache_clear()

    voice, why = voice_of_demo()

    assert (voice.name, why) == ("espeak", "")
