"""The table of Soniox's errors: what each leads to, and that the page tells of it. See also `test_connection`."""

from pathlib import Path
from socket import gaierror

import pytest

from batkol.recognizers.soniox.errors import REASONS, REMEDIES, classify, ended, refused
from batkol.recognizers.soniox.wire import SonioxResponse
from batkol.recognizers.streaming.errors import Next
from batkol.simulators.soniox.rules import USUAL

PAGE = (Path(__file__).parents[4] / "docs" / "soniox.md").read_text()


@pytest.mark.parametrize(
    ("code", "text", "reason", "follows"),
    [
        (503, "service_unavailable: Cannot continue request (code 7).", "restart", Next.ROTATE),
        (503, "service_unavailable: The service is overloaded.", "unavailable", Next.REPLAY),
        (400, "invalid_request: Audio is too long.", "session_limit", Next.ROTATE),
        (400, "invalid_request: No audio received.", "no_audio", Next.REOPEN),
        (400, "model_not_available: Invalid model specified.", "model", Next.MISCONFIGURED),
        (400, "invalid_request: Invalid language hint.", "invalid_argument", Next.MISCONFIGURED),
        (400, "invalid_request: Received too much audio data in total.", "pacing", Next.COOL_OFF),
        (429, "limit_exceeded: Rate limit for your organization has been exceeded.", "rate_limit", Next.COOL_OFF),
        (429, "max_concurrent_connections_reached: ", "quota", Next.COOL_OFF),
        (403, "temp_api_key_session_expired: ", "permission_denied", Next.MISCONFIGURED),
        (418, "", "unknown", Next.REPLAY),
    ],
)
def test_code_and_text_decide_what_follows(code: int, text: str, reason: str, follows: Next) -> None:
    row = classify(code, text)

    assert (row.reason, row.next) == (reason, follows)


@pytest.mark.parametrize("code", USUAL)
def test_every_error_of_the_double_has_a_row(code: int) -> None:
    kind, text = USUAL[code]
    error = ended(SonioxResponse(error_code=code, error_type=kind, error_message=text), key="")

    assert error.reason != "unknown"
    assert str(error) == f"{code} {kind}: {text}"


def test_the_page_tells_of_every_reason_and_a_remedy_is_for_a_reason_that_there_is() -> None:
    assert [reason for reason in REASONS if f"`{reason}`" not in PAGE] == []
    assert set(REMEDIES) <= set(REASONS)


def test_of_a_long_message_a_screenful_is_kept_and_nothing_of_the_key() -> None:
    said = f"{'x' * 595}a-key model {'x' * 900_000}"
    error = ended(SonioxResponse(error_code=400, error_type="", error_message=said), key="a-key")

    assert error.reason == "model"
    assert all(place in error.remedy for place in ("SONIOX_MODELS", "STT_RECOGNIZER", "the order", "the flag"))
    assert len(str(error)) < 610
    assert "a-" not in str(error)


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (ConnectionRefusedError(), "unavailable"),
        (gaierror(-2, "no such name"), "unavailable"),
        (TimeoutError(), "deadline"),
    ],
)
def test_where_no_connection_came_about_the_remedy_says_what_to_check(raised: Exception, reason: str) -> None:
    error = refused(raised)

    assert (error.reason, error.next) == (reason, Next.REPLAY)
    assert error.remedy.startswith("Check that this machine reaches the host and port of SONIOX_URL")
