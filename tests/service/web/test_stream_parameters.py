"""The parameters of a stream: the service's own, and those that the user's TwiML gave."""

from __future__ import annotations

import pytest

from batkol.tracing import propagation
from batkol.web.stream_parameters import OWN, custom, stream_number


def test_what_is_not_the_services_own_is_the_users() -> None:
    assert custom(dict.fromkeys(OWN, "x") | {"tenant": "a", "שם": "דנה"}) == {"tenant": "a", "שם": "דנה"}
    assert {"token", propagation.PARAMETER} <= OWN


@pytest.mark.parametrize("given", ["", "0", "-1", "x", "²", "1.5", "9" * 10])
def test_what_is_no_number_of_a_stream_is_the_first(given: str) -> None:
    assert stream_number({"stream": given}) == stream_number({}) == 1


def test_the_number_of_a_stream_is_read() -> None:
    assert [stream_number({"stream": text}) for text in ("1", "2", "12345")] == [1, 2, 12345]
