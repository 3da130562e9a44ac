"""The texts are Google's own, as its users report them."""

import grpc
import pytest
from google.api_core import exceptions

from batkol.errors import UpstreamError
from batkol.recognizers.google.errors import TABLE, classify, translate
from batkol.recognizers.streaming.errors import Next, SpeechError

CODE = grpc.StatusCode

ENDS = [
    (CODE.OUT_OF_RANGE, "Exceeded maximum allowed stream duration of 305 seconds.", "stream_limit", Next.ROTATE),
    (CODE.OUT_OF_RANGE, "Exceeded maximum allowed stream duration of 300 s.", "stream_limit", Next.ROTATE),
    (CODE.ABORTED, "Max duration of 5 minutes reached for stream.", "stream_limit", Next.ROTATE),
    (
        CODE.OUT_OF_RANGE,
        "Audio Timeout Error: Long duration elapsed without audio. Audio should be sent close to real time.",
        "no_audio",
        Next.REOPEN,
    ),
    (CODE.OUT_OF_RANGE, "Long duration elapsed without audio.", "no_audio", Next.REOPEN),
    (CODE.ABORTED, "Stream timed out after receiving no more client requests.", "no_audio", Next.REOPEN),
    (
        CODE.OUT_OF_RANGE,
        "Audio data is being streamed too fast. Please stream audio data approximately at real time.",
        "pacing",
        Next.COOL_OFF,
    ),
    (CODE.OUT_OF_RANGE, "something new", "out_of_range", Next.REPLAY),
    (CODE.ABORTED, "something new", "aborted", Next.REPLAY),
    (
        CODE.UNAVAILABLE,
        "Getting metadata from plugin failed with error: ('invalid_grant: Invalid JWT Signature.', …)",
        "unauthenticated",
        Next.MISCONFIGURED,
    ),
    (
        CODE.UNAVAILABLE,
        "Getting metadata from plugin failed with error: ('invalid_client: The OAuth client was not found.', …)",
        "unauthenticated",
        Next.MISCONFIGURED,
    ),
    (CODE.UNAVAILABLE, "408:Request Timeout", "unavailable", Next.REPLAY),
    (CODE.INTERNAL, "Received RST_STREAM with error code 2", "internal", Next.REPLAY),
    (CODE.UNKNOWN, "Stream removed", "unknown", Next.REPLAY),
    (CODE.DEADLINE_EXCEEDED, "Deadline Exceeded", "deadline", Next.REPLAY),
    (
        CODE.RESOURCE_EXHAUSTED,
        "Stream removed (CLIENT: Received message larger than max (100000000 vs. 1048576))",
        "too_large",
        Next.REPLAY,
    ),
    (CODE.RESOURCE_EXHAUSTED, "Decompressed message larger than max", "too_large", Next.REPLAY),
    (CODE.RESOURCE_EXHAUSTED, "Quota exceeded for quota metric", "quota", Next.COOL_OFF),
    (
        CODE.INVALID_ARGUMENT,
        "Invalid recognition 'config': The requested model is currently not supported for language : iw-IL.",
        "model",
        Next.REMODEL,
    ),
    (CODE.INVALID_ARGUMENT, "Invalid audio content: too long.", "invalid_argument", Next.MISCONFIGURED),
    (CODE.FAILED_PRECONDITION, "billing is not enabled", "failed_precondition", Next.MISCONFIGURED),
    (CODE.PERMISSION_DENIED, "API has not been used in project", "permission_denied", Next.MISCONFIGURED),
    (CODE.UNAUTHENTICATED, "invalid credentials", "unauthenticated", Next.MISCONFIGURED),
    (CODE.NOT_FOUND, "no such recognizer", "not_found", Next.MISCONFIGURED),
    (CODE.UNIMPLEMENTED, "", "unimplemented", Next.MISCONFIGURED),
    (CODE.CANCELLED, "The operation was cancelled", "cancelled", Next.REPLAY),
]


@pytest.mark.parametrize(("code", "text", "reason", "next_step"), ENDS)
def test_every_end_that_users_report_has_its_row(
    code: grpc.StatusCode, text: str, reason: str, next_step: Next
) -> None:
    row = classify(code, text)

    assert (row.reason, row.next) == (reason, next_step)


def test_every_row_of_the_table_is_reached_by_some_end() -> None:
    """A row that an earlier one hides would be dead."""
    reached = {classify(code, text) for code, text, _, _ in ENDS}

    assert reached == set(TABLE)


def test_a_text_refines_only_its_own_code() -> None:
    assert classify(CODE.INTERNAL, "305 seconds").next is Next.REPLAY
    assert classify(CODE.INVALID_ARGUMENT, "max duration").next is Next.MISCONFIGURED


def test_the_text_is_matched_in_any_case() -> None:
    assert classify(CODE.OUT_OF_RANGE, "AUDIO TIMEOUT ERROR").next is Next.REOPEN


@pytest.mark.parametrize("code", [CODE.DATA_LOSS, CODE.ALREADY_EXISTS, CODE.OK])
def test_a_code_without_a_row_is_tried_again(code: grpc.StatusCode) -> None:
    assert classify(code, "").next is Next.REPLAY


@pytest.mark.parametrize(("code", "text", "reason", "next_step"), ENDS)
def test_what_the_client_library_raises_becomes_a_speech_error(
    code: grpc.StatusCode, text: str, reason: str, next_step: Next
) -> None:
    error = translate(exceptions.from_grpc_status(code, text))  # type: ignore[no-untyped-call]  # untyped library

    assert (error.reason, error.next) == (reason, next_step)
    assert str(error) == f"{code.name}: {text}"


def test_a_time_out_of_ours_is_a_deadline() -> None:
    error = translate(TimeoutError())

    assert (error.reason, error.next, error.retryable) == ("deadline", Next.REPLAY, True)


def test_a_fault_in_the_client_library_is_named_without_its_text() -> None:
    """The text of a foreign exception may carry what was said."""
    error = translate(RuntimeError("שלום"))

    assert error.reason == "client"
    assert "RuntimeError" in str(error)
    assert "שלום" not in str(error)


def test_a_speech_error_stays_what_it_is() -> None:
    error = SpeechError("x", reason="r", next_step=Next.ROTATE)

    assert translate(error) is error


@pytest.mark.parametrize("step", list(Next))
def test_only_configuration_and_our_own_end_are_not_tried_again(step: Next) -> None:
    error: UpstreamError = SpeechError("x", reason="r", next_step=step)

    assert error.retryable is (step not in {Next.MISCONFIGURED, Next.REMODEL, Next.LOCAL})
