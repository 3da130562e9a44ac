"""How often a call was sent round is in its URL."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.twilio.retry_url import LIVED_S, MAX_ATTEMPTS, attempts, retry_url, streams

URL = "https://voice.example.com/prefix/twilio/voice"
NOW = 1_800_000_000.0


def query(url: str) -> str:
    return urlsplit(url).query


def test_a_new_call_has_taken_no_round() -> None:
    assert attempts("", NOW) == 0
    assert attempts("tenant=a", NOW) == 0


def test_each_round_counts_one_more() -> None:
    url = URL
    for count in range(1, MAX_ATTEMPTS + 1):
        url = retry_url(URL, query(url), count, NOW)
        assert attempts(query(url), NOW + 5) == count
    assert url == f"{URL}?again={MAX_ATTEMPTS}&since=1800000000"


def test_the_streams_of_a_call_are_counted_whatever_becomes_of_its_attempts() -> None:
    given = query(retry_url(URL, "tenant=a&streams=x", 1, NOW, streams=7))

    assert given == "tenant=a&again=1&since=1800000000&streams=7"
    assert (streams(given), attempts(given, NOW)) == (7, 1)
    assert query(retry_url(URL, given, 2, NOW, streams=8)).endswith("streams=8")
    assert [streams(text) for text in ("", "streams=", "streams=-1", "streams=²", "streams=" + "9" * 5000)] == [0] * 5


def test_after_a_stream_that_lived_counting_begins_anew() -> None:
    """A call of an hour may be moved at every deploy; one that is refused three times in a row may not go on."""
    sent = query(retry_url(URL, "", MAX_ATTEMPTS, NOW))

    assert attempts(sent, NOW + LIVED_S) == MAX_ATTEMPTS
    assert attempts(sent, NOW + LIVED_S + 1) == 0


def test_the_rest_of_the_query_stays_as_twilio_was_given_it() -> None:
    """It is signed byte for byte."""
    url = retry_url(URL, "tenant=a%20b&x=&again=1&since=5&y", 2, NOW)

    assert query(url) == "tenant=a%20b&x=&y&again=2&since=1800000000"


@pytest.mark.parametrize("given", ["again=x&since=1", "again=", "again", "again=²", "again=-3", "again=" + "9" * 5000])
def test_what_cannot_be_read_counts_as_nothing(given: str) -> None:
    assert attempts(f"{given}&since={int(NOW)}", NOW) == 0


@given(st.text(), st.integers(0, MAX_ATTEMPTS))
def test_any_query_can_be_read_and_sent_on(before: str, count: int) -> None:
    attempts(before, NOW)
    sent = retry_url(URL, before.replace("#", ""), count, NOW)

    assert attempts(sent.partition("?")[2], NOW) == count
    assert [pair for pair in parse_qsl(sent.partition("?")[2], keep_blank_values=True) if pair[0] == "again"] == [
        ("again", str(count))
    ]
