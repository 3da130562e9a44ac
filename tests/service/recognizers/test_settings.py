"""The streaming recognizers that the settings name, and those that they cannot."""

from __future__ import annotations

import pytest

from batkol.recognizers.settings import RecognitionFields

DEFAULT, SEARCH = "google-v1/default", "google-v1/command_and_search"


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
    ],
)
def test_a_name_that_no_recognizer_has_is_refused_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, name: str, says: str
) -> None:
    monkeypatch.setenv(variable, name)
    with pytest.raises(ValueError) as raised:
        RecognitionFields().check_recognizers()

    assert f"{variable}: " in str(raised.value)
    assert says in str(raised.value)
