import pytest
from structlog.testing import capture_logs

from batkol.recognizers.google.languages import google_code, supported_model


@pytest.mark.parametrize("tag", ["he-IL", "he", "HE-il", "iw", "iw-IL", "IW-il"])
def test_hebrew_is_sent_by_the_code_google_uses(tag: str) -> None:
    assert google_code(tag) == "iw-IL"


@pytest.mark.parametrize("tag", ["en-US", "ar-IL", "hr-HR"])
def test_other_languages_are_sent_as_they_are(tag: str) -> None:
    assert google_code(tag) == tag


@pytest.mark.parametrize("model", ["default", "command_and_search"])
def test_hebrew_has_two_models(model: str) -> None:
    with capture_logs() as logs:
        assert supported_model("he-IL", model) == model
    assert logs == []


@pytest.mark.parametrize("model", ["phone_call", "latest_long", "latest_short", "telephony", "chirp_2"])
def test_a_model_that_hebrew_lacks_is_reported_once_and_calls_go_on_with_default(model: str) -> None:
    with capture_logs() as logs:
        assert supported_model("he-IL", model) == "default"

    (line,) = logs
    assert line["log_level"] == "error"
    assert (line["model"], line["language"]) == (model, "iw-IL")
    assert line["available"] == ["command_and_search", "default"]
    assert "GCP_STT_MODEL" in line["remedy"]


def test_a_language_whose_models_are_not_known_here_keeps_its_model() -> None:
    assert supported_model("en-US", "phone_call") == "phone_call"


@pytest.mark.parametrize("language", ["he-IL", "en-US"])
def test_no_model_is_the_default_one(language: str) -> None:
    assert supported_model(language, "") == "default"
