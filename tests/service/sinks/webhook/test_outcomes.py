"""What an answer means, by its status; and for how long a receiver is left alone."""

from __future__ import annotations

import socket
import ssl
from email.utils import formatdate

import httpx
import pytest

from batkol.sinks.delivery import Delivered, DeliveryOutcome, Later, Refused
from batkol.sinks.webhook.outcomes import LONGEST_WAIT_S, outcome, retry_after_s, why_unreachable

NOW = 1_764_000_000.0
WHO = "The receiver https://crm.example.com"


def of(status: int, **headers: str) -> DeliveryOutcome:
    return outcome(WHO, status, {name.replace("_", "-"): value for name, value in headers.items()}, now=NOW)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_success_is_delivered(status: int) -> None:
    assert of(status) == Delivered()


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 599])
def test_what_may_pass_is_tried_again(status: int) -> None:
    assert of(status) == Later(f"{WHO} answered HTTP {status}", None)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 406, 409, 410, 411, 413, 415, 421, 422, 451, 499])
def test_what_no_retry_mends_is_refused_with_what_to_do(status: int) -> None:
    found = of(status)
    assert isinstance(found, Refused)
    assert found.reason.startswith(f"{WHO} answered HTTP {status}. ")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_refused_and_says_so(status: int) -> None:
    assert of(status, Location="https://elsewhere.example.com/?key=secret") == Refused(
        f"{WHO} answered HTTP {status}, a redirect, which is never followed. Set the URL that it names"
    )


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0", None),
        ("-3", None),
        ("1.5", None),
        ("999999999", LONGEST_WAIT_S),
        ("9" * 18, LONGEST_WAIT_S),
        ("9" * 5000, None),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        ("Mon, 24 Nov 2025 16:01:30 -0000", 90.0),
        (formatdate(NOW - 90, usegmt=True), None),
        (formatdate(NOW + 10**9, usegmt=True), LONGEST_WAIT_S),
        ("Mon, 24 Nov 99999 16:01:30 GMT", None),
        ("soon", None),
        ("", None),
        ("\u0661\u0662", None),
    ],
)
def test_a_receiver_is_left_alone_as_long_as_it_asks_for_and_no_longer_than_an_hour(
    text: str, wait_s: float | None
) -> None:
    assert retry_after_s(text, NOW) == wait_s
    assert of(503, Retry_After=text) == Later(f"{WHO} answered HTTP 503", wait_s)


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (socket.gaierror(-2, "no such name"), "cannot be reached (gaierror); check its URL, and whether it runs"),
        (ssl.SSLCertVerificationError(1, "expired"), "failed the TLS handshake (SSLCertVerificationError); check"),
        (None, "cannot be reached (ConnectError); check its URL, and whether it runs"),
    ],
)
def test_the_first_cause_is_named_however_many_libraries_have_wrapped_it(first: Exception | None, said: str) -> None:
    between = ConnectionError("of a library")
    between.__cause__ = first
    error = httpx.ConnectError("of another one")
    error.__cause__ = between if first is not None else None

    assert why_unreachable(error).startswith(said)
