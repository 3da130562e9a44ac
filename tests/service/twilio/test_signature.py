"""Twilio's signature, by known vectors and by hand."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.twilio.signature import (
    LONGEST_FORM,
    MOST_FIELDS,
    MalformedForm,
    is_valid,
    parse_form,
    signature,
)
from support.properties import few_by_day

TOKEN = "12345"


def by_hand(text: str, token: str = TOKEN) -> str:
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def test_makes_the_signature_of_twilios_own_example() -> None:
    """The example of Twilio's libraries."""
    params = [
        ("CallSid", "CA1234567890ABCDE"),
        ("Caller", "+14158675309"),
        ("Digits", "1234"),
        ("From", "+14158675309"),
        ("To", "+18005551212"),
    ]
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert signature(TOKEN, url, params) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert is_valid([TOKEN], url, params[::-1], "RSOYDt4T1cUTdK1PDd93/VVr8B8=")


def test_a_blank_field_is_signed() -> None:
    params = parse_form(b"B=&A=1&C=%20x+")
    assert params == [("B", ""), ("A", "1"), ("C", " x ")]
    assert is_valid([TOKEN], "https://h/v", params, by_hand("https://h/vA1BC x "))


def test_of_a_repeated_field_each_value_is_signed_once() -> None:
    params = [("A", "2"), ("B", "x"), ("A", "1"), ("A", "2")]
    assert is_valid([TOKEN], "https://h/v", params, by_hand("https://h/vA1A2Bx"))


def test_fields_sort_as_twilio_sorts_them() -> None:
    """Capital letters first; by name and not by name and value run together."""
    params = [("ab", "1"), ("Z", "2"), ("a", "c")]
    assert signature(TOKEN, "https://h/v", params) == by_hand("https://h/vZ2acab1")


@pytest.mark.parametrize(
    ("signed", "url", "valid"),
    [
        ("https://h/v", "https://h/v", True),
        ("https://h:443/v", "https://h/v", True),
        ("https://h/v", "https://h:443/v", True),
        ("https://h/v", "https://h:8443/v", True),
        ("https://[::1]:443/v", "https://[::1]/v", True),
        ("http://h:80/v", "http://h/v", True),
        ("https://h:80/v", "https://h/v", False),
        ("http://h/v", "https://h/v", False),
        ("https://h/v/", "https://h/v", False),
        ("https://other/v", "https://h/v", False),
        ("wss://h/twilio/media", "wss://h/twilio/media", True),
        ("wss://h:443/twilio/media", "wss://h/twilio/media", False),
        ("wss://h:80/twilio/media", "wss://h/twilio/media", False),
        ("https://h/twilio/media", "wss://h/twilio/media", False),
        ("wss://h/twilio/media", "https://h/twilio/media", False),
    ],
)
def test_which_urls_count_as_the_signed_one(signed: str, url: str, valid: bool) -> None:
    assert is_valid([TOKEN], url, [], by_hand(signed)) is valid


def test_any_of_several_tokens_will_do_and_none_will_not() -> None:
    given_signature = by_hand("https://h/v", "old")
    assert is_valid(["new", "old"], "https://h/v", [], given_signature)
    assert is_valid(["old", "new"], "https://h/v", [], given_signature)
    assert not is_valid(["new"], "https://h/v", [], given_signature)
    assert not is_valid([], "https://h/v", [], given_signature)


@pytest.mark.parametrize("header", ["", "x", "é", "\ud800", by_hand("https://h/v")[:-1], by_hand("https://h/v") + " "])
def test_another_signature_is_not_valid(header: str) -> None:
    assert not is_valid([TOKEN], "https://h/v", [], header)


def test_a_form_that_is_too_long_is_refused() -> None:
    assert len(parse_form(b"&".join([b"a="] * MOST_FIELDS))) == MOST_FIELDS
    for body in (b"&".join([b"a="] * (MOST_FIELDS + 1)), b"a=" + b"x" * LONGEST_FORM):
        with pytest.raises(MalformedForm):
            parse_form(body)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_form_that_can_be_checked(body: bytes) -> None:
    params = parse_form(body)
    assert is_valid([TOKEN], "https://h/v", params, signature(TOKEN, "https://h/v", params))


@few_by_day(30)
@given(st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=20))
def test_a_form_is_read_as_it_was_written(fields: list[tuple[str, str]]) -> None:
    assert parse_form(urlencode(fields, errors="replace").encode()) == [
        (name.encode("utf-8", "replace").decode(), value.encode("utf-8", "replace").decode()) for name, value in fields
    ]
