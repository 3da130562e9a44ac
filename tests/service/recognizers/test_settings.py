"""The streaming recognizers that the settings name, and those that they cannot."""

from __future__ import annotations

import pytest

from batkol.recognizers.settings import RecognitionFields

DEFAULT, SEARCH = "google-v1/default", "google-v1/command_and_search"
MODELS = ("stt-rt-v5", "stt-rt-v6")


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({}, (DEFAULT,)),
        ({"GCP_STT_MODEL": "command_and_search"}, (SEARCH,)),
        ({"GCP_STT_MODEL": "latest_long"}, (DEFAULT,)),
        ({"STT_RECOGNIZER": SEARCH}, (SEARCH,)),
        ({"STT_RECOGNIZERS_ORDER": f"{SEARCH},{DEFAULT}"}, (SEARCH, DEFAULT)),
        ({"STT_RECOGNIZER": DEFAULT, "STT_RECOGNIZERS_ORDER": f"{SEARCH},{DEFAULT}"}, (DEFAULT, SEARCH)),
        ({"STT_RECOGNIZER": DEFAULT, "STT_RECOGNIZERS_ORDER": SEARCH}, (DEFAULT, SEARCH)),
    ],
)
def test_the_preferred_recognizer_comes_first_and_each_once(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], names: tuple[str, ...]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert RecognitionFields().recognizers == names


@pytest.mark.parametrize("variable", ["STT_RECOGNIZER", "STT_RECOGNIZERS_ORDER"])
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("whisper", "'whisper' is no recognizer of this service; the names are google-v1/MODEL"),
        ("azure/he", "'azure/he' is no recognizer of this service"),
        ("google-v1/", "'google-v1/' is no recognizer of this service"),
        ("google-v1/latest_long", f"the recognizers of the language are {SEARCH}, {DEFAULT}"),
        (
            "soniox/nonexistent",
            (
                "'soniox/nonexistent' is no model of Soniox's that this process takes; the recognizers are "
                "soniox/stt-rt-v5, soniox/stt-rt-v6. If Soniox has the model, add it to SONIOX_MODELS and restart"
            ),
        ),
        ("soniox/STT-RT-V5", "'soniox/STT-RT-V5' is no model of Soniox's"),
        (f"soniox/{'m' * 74}", f"soniox/{'m' * 73}…' is no recognizer of this service; the names are"),
        ("google-v1", "the names are google-v1/MODEL, soniox/MODEL, of 1 to 80 characters"),
    ],
)
def test_a_name_that_no_recognizer_has_is_refused_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, name: str, says: str
) -> None:
    monkeypatch.setenv(variable, name)
    with pytest.raises(ValueError) as raised:
        RecognitionFields().check_recognizers(soniox_models=MODELS)

    assert f"{variable}: " in str(raised.value)
    assert says in str(raised.value)


def _names(count: int) -> list[str]:
    return [f"google-v1/model-{number}" for number in range(count)]


@pytest.mark.parametrize(
    "variables",
    [
        {"STT_RECOGNIZER": "soniox/stt-rt-v6"},
        {"STT_RECOGNIZER": f"google-v1/{'m' * 70}"},
        {"STT_RECOGNIZERS_ORDER": ",".join(_names(8))},
        {"STT_RECOGNIZERS_ORDER": ",".join(_names(8)), "STT_RECOGNIZER": _names(8)[7]},
        {"STT_RECOGNIZERS_ORDER": ",".join(_names(7)), "STT_RECOGNIZER": DEFAULT},
        {"GCP_STT_MODEL": "m" * 70},
    ],
)
def test_what_is_at_the_limit_is_taken(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in {"GCP_STT_LANGUAGE": "en-US", **variables}.items():
        monkeypatch.setenv(name, value)
    fields = RecognitionFields()
    fields.check_recognizers(soniox_models=MODELS)

    assert 1 <= len(fields.recognizers) <= 8


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"STT_RECOGNIZER": f"google-v1/{'m' * 71}"}, "STT_RECOGNIZER: 'google-v1/m"),
        ({"STT_RECOGNIZERS_ORDER": ",".join(_names(9))}, "STT_RECOGNIZERS_ORDER has 9 names; 8 are the most"),
        (
            {"STT_RECOGNIZERS_ORDER": ",".join(_names(8)), "STT_RECOGNIZER": DEFAULT},
            "STT_RECOGNIZER and STT_RECOGNIZERS_ORDER name 9 recognizers together; 8 are the most",
        ),
        ({"GCP_STT_MODEL": "m" * 71}, "GCP_STT_MODEL: 'google-v1/m"),
        ({"GCP_STT_MODEL": "my/model"}, "GCP_STT_MODEL: 'google-v1/my/model' is no recognizer of this service"),
    ],
)
def test_what_is_beyond_the_limit_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], says: str
) -> None:
    for name, value in {"GCP_STT_LANGUAGE": "en-US", **variables}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError) as raised:
        RecognitionFields().check_recognizers(soniox_models=MODELS)

    assert str(raised.value).startswith(says)
