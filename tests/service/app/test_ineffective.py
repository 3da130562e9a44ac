"""Settings that are set in vain: a sentence at the start, and none where they may have an effect."""

from __future__ import annotations

from typing import Any

import pytest

from batkol.app.ineffective import ineffective
from batkol.settings import Settings

UNSIGNED: dict[str, Any] = {"twilio_validate_signatures": False}
SONIOX: dict[str, Any] = {"stt_recognizer": "soniox/stt-rt-v5", "soniox_api_key": "any"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, ""),
        (SONIOX, "set ENABLE_STREAMING_STT=true"),
        ({"stt_recognizers_order": "google-v1/default"}, "set ENABLE_STREAMING_STT=true"),
        (SONIOX | {"flags_provider": "env", "live_source": "file:live"}, "set ENABLE_STREAMING_STT=true"),
        (SONIOX | {"enable_streaming_stt": True}, ""),
        (SONIOX | {"live_source": "file:live"}, ""),
        (SONIOX | {"flags_provider": "flagd"}, ""),
        ({"transfer_allowed": {"sales": "+97230000000"}}, "TRANSFER_ALLOWED has no effect"),
    ],
)
def test_a_setting_without_effect_has_a_sentence(given: dict[str, Any], said: str) -> None:
    told = list(ineffective(Settings(**UNSIGNED | given)))

    assert len(told) == bool(said)
    assert said in "".join(told)
