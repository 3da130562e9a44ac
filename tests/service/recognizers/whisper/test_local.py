"""Where faster-whisper is not installed, the sentence that says so is all there is to test."""

import importlib.util
from pathlib import Path

import pytest

from batkol.errors import ConfigurationError
from batkol.recognizers.whisper.local import LocalWhisper

INSTALLED = importlib.util.find_spec("faster_whisper") is not None


@pytest.mark.skipif(INSTALLED, reason="batkol[whisper] is installed")
def test_without_the_extra_the_service_refuses_to_start_and_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        LocalWhisper(model=str(tmp_path), language="he")

    assert str(raised.value) == (
        "WHISPER_MODEL selects Whisper in process, which is not installed; "
        "run pip install '.[whisper]' in Batkol's folder, or set WHISPER_URL to a server"
    )


@pytest.mark.skipif(not INSTALLED, reason="needs batkol[whisper]")
def test_a_folder_without_a_model_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        LocalWhisper(model=str(tmp_path), language="he")
