"""The settings of Soniox: what cannot work is refused at the start, and the key is shown nowhere."""

import pytest
from pydantic import ValidationError

from batkol.environment import refusal
from batkol.recognizers.soniox.settings import SonioxFields


def test_the_defaults_are_soniox_itself_and_the_share_of_one_pod() -> None:
    fields = SonioxFields()

    assert fields.soniox_url == "wss://stt-rt.soniox.com/transcribe-websocket"
    assert (fields.soniox_api_key, fields.soniox_max_streams) == ("", 10)
    assert fields.soniox_models == ("stt-rt-v5",)


@pytest.mark.parametrize(
    ("value", "models"),
    [("", ("stt-rt-v5",)), ("stt-rt-v6", ("stt-rt-v6",)), ("stt-rt-v5, stt-rt-v6", ("stt-rt-v5", "stt-rt-v6"))],
)
def test_the_models_of_names_are_a_setting(
    monkeypatch: pytest.MonkeyPatch, value: str, models: tuple[str, ...]
) -> None:
    monkeypatch.setenv("SONIOX_MODELS", value)

    assert SonioxFields().soniox_models == models


@pytest.mark.parametrize("model", ["soniox/stt-rt-v5", "stt-rt-v5;stt-rt-v6", "my model", "-v5", "m" * 74])
def test_what_can_be_no_model_of_a_name_is_refused(model: str) -> None:
    with pytest.raises(ValidationError) as refused:
        SonioxFields(soniox_models=("m" * 73, model))

    assert "can be no model: it must have 1 to 73 letters" in refusal(refused.value)
    assert "such as stt-rt-v5, without soniox/; several are separated by commas" in refusal(refused.value)


@pytest.mark.parametrize(
    "url", ["wss://stt-rt.eu.soniox.com/transcribe-websocket", "ws://127.0.0.1:9100/transcribe-websocket"]
)
def test_a_region_and_the_double_are_taken(url: str) -> None:
    assert SonioxFields(soniox_url=url).soniox_url == url


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://stt-rt.soniox.com/transcribe-websocket", "must be such as wss://stt-rt.soniox.com"),
        ("ws://stt-rt.soniox.com/transcribe-websocket", "must begin with wss://"),
        ("ws://STT-RT.Soniox.com/transcribe-websocket", "must begin with wss://"),
        ("ws://stt-rt.soniox.com.:80/transcribe-websocket", "must begin with wss://"),
        ("wss://", "has no valid host"),
        ("wss://user:secret@stt-rt.soniox.com/", "must not have a user"),
        ("wss://stt-rt.soniox.com/?api_key=secret", "must not have a user, a query"),
    ],
)
def test_a_url_that_cannot_work_is_refused_without_being_quoted(url: str, says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        SonioxFields(soniox_url=url)

    assert says in refusal(refused.value)
    assert "secret" not in refusal(refused.value)


def test_soniox_without_a_key_is_refused_where_it_is_chosen() -> None:
    SonioxFields().check_soniox(chosen=False)
    SonioxFields(soniox_api_key="a-key").check_soniox(chosen=True)
    with pytest.raises(ValueError, match="set SONIOX_API_KEY"):
        SonioxFields().check_soniox(chosen=True)


def test_the_key_is_not_shown() -> None:
    assert "a-key" not in repr(SonioxFields(soniox_api_key="a-key"))
