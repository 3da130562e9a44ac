"""Each status of Google's is an error with a reason, a remedy, and nothing that it quotes."""

from __future__ import annotations

import grpc
import pytest

from batkol.simulators.google.refusals import PROJECT, REFUSALS
from batkol.voices.google.errors import TABLE, VoiceRow, refusal


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.code.name} {row.text}")
def test_each_row_is_reached_and_says_what_to_do(row: VoiceRow) -> None:
    error = refusal(row.code, f"A text, {row.text.upper()} and the sentence שלום")

    assert (error.reason, error.retryable) == (row.reason, row.retryable)
    assert row.remedy in str(error)
    assert "שלום" not in str(error)


@pytest.mark.parametrize(
    ("word", "remedy"),
    [
        ("SERVICE_DISABLED", "gcloud services enable texttospeech.googleapis.com"),
        ("BILLING_DISABLED", "link a billing account"),
        ("IAM_PERMISSION_DENIED", "check GOOGLE_APPLICATION_CREDENTIALS"),
    ],
)
def test_a_project_that_lacks_something_is_not_taken_for_a_wrong_key(word: str, remedy: str) -> None:
    """The texts are those of speech recognition, whose front end is the same."""
    error = refusal(REFUSALS[word].code, REFUSALS[word].text)

    assert (error.reason, error.retryable) == ("unauthorized", False)
    assert remedy in str(error)
    assert PROJECT not in str(error)


@pytest.mark.parametrize("code", grpc.StatusCode)
def test_no_status_is_without_an_error(code: grpc.StatusCode) -> None:
    assert refusal(code, "").reason


def test_a_fault_on_the_way_within_the_sound_breaks_it_off_and_a_refusal_does_not() -> None:
    assert refusal(grpc.StatusCode.UNAVAILABLE, "", begun=True).reason == "cut_off"
    assert refusal(grpc.StatusCode.INTERNAL, "", begun=True).reason == "cut_off"
    assert refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "", begun=True).reason == "quota"
