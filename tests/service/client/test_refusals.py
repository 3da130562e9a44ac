from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from batkol.client.errors import BusyError, CallOverError
from batkol.client.refusals import refusal

WHERE = "http://service:8081/v1/x"


@pytest.mark.parametrize(
    ("status", "of_call", "body", "name", "said"),
    [
        (401, False, b"", "TokenRefusedError", "API_TOKENS"),
        (401, False, b'{"detail":"Needs a token."}', "TokenRefusedError", "Needs a token."),
        (403, False, b"", "ForbiddenError", "INTERNAL_HOSTS"),
        (403, True, b'{"detail":"It needs the right `line`."}', "ForbiddenError", "the right `line`"),
        (404, True, b'{"detail":"There is no live call."}', "CallOverError", "no live call"),
        (404, True, b'{"detail":"Not Found"}', "UnexpectedAnswerError", "public port"),
        (404, False, b'{"detail":"There is no live call."}', "UnexpectedAnswerError", "internal API"),
        (404, True, b"<html>", "UnexpectedAnswerError", "older than this client"),
        (405, True, b"", "UnexpectedAnswerError", "older"),
        (409, True, b"", "CallOverError", "closing"),
        (413, True, b'{"detail":"Too large."}', "RequestRefusedError", "Too large."),
        (422, True, b'{"detail":[{"msg":"x"}]}', "RequestRefusedError", "log"),
        (429, True, b"", "BusyError", "log"),
        (500, True, b"", "BusyError", "log"),
        (501, True, b'{"detail":"No telephone line."}', "NotAvailableError", "No telephone line."),
        (502, False, b"<html>", "BusyError", "proxy"),
        (418, False, b"\xff", "RequestRefusedError", "log"),
        (307, False, b"", "UnexpectedAnswerError", "internal API"),
    ],
)
def test_a_refusal_says_whose_fault_it_is_and_what_to_do(
    status: int, of_call: bool, body: bytes, name: str, said: str
) -> None:
    error = refusal(status, WHERE, {}, body, of_call=of_call)

    assert type(error).__name__ == name
    assert str(error).startswith(f"{WHERE} answered {status}. ")
    assert said in str(error)


def test_what_a_service_says_is_shown_within_bounds_and_cannot_draw_on_a_terminal() -> None:
    error = refusal(409, WHERE, {}, b'{"detail":"\\u001b[2J' + b"x" * 100_000 + b'"}', of_call=True)

    assert isinstance(error, CallOverError)
    assert "\x1b" not in str(error)
    assert len(str(error)) < 500


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [("7", 7, 7), (600, 500, 600), (-600, 0, 0), ("9" * 400, 1e9, float("inf"))],
    ids=["seconds", "a moment", "a moment that was", "for ever"],
)
def test_the_time_that_a_service_asks_for_is_read_in_both_forms(value: str | int, least: float, most: float) -> None:
    if isinstance(value, int):
        value = format_datetime(datetime.now(UTC) + timedelta(seconds=value), usegmt=True)
    error = refusal(503, WHERE, {"Retry-After": value}, b"", of_call=False)

    assert isinstance(error, BusyError)
    assert error.retry_after_s is not None
    assert least <= error.retry_after_s <= most


@pytest.mark.parametrize("value", ["", "soon", "-1", "1.5", "٣", "Thu, 99 Foo 2026 99:99:99 GMT"])
def test_a_time_that_is_none_is_not_waited_for(value: str) -> None:
    error = refusal(503, WHERE, {"Retry-After": value}, b"", of_call=False)

    assert isinstance(error, BusyError)
    assert error.retry_after_s is None
