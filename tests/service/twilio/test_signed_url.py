"""Which URLs count as the one that Twilio signed: every spelling of the same one, and no other."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from batkol.simulators.twilio.signature import WAYS, sign
from batkol.twilio.signature import is_valid
from batkol.twilio.signed_url import LONGEST, MAX_SPELLINGS, spellings
from support.properties import few_by_day

TOKEN = "12345"
PAGE = "https://voice.example.com/twilio/voice"

_ODD = "'@:~*!(),;/?$\"<>[]|^`{}\\"
_CHARACTERS = st.sampled_from("aZ9-._" + _ODD + " =&%#+" + "אé")
_LEGAL_BARE = frozenset("aZ9-._" + "'@:~*!(),;/?$")


@st.composite
def on_the_wire(draw: st.DrawFn) -> str:
    """Draw a query as it may come in: each character bare, if it may stand so, or escaped, in small or capital hex."""

    def written(character: str) -> str:
        if character == " ":
            return draw(st.sampled_from(["+", "%20"]))
        if character in _LEGAL_BARE and draw(st.booleans()):
            return character
        escaped = "".join(f"%{byte:02X}" for byte in character.encode())
        return escaped if draw(st.booleans()) else escaped.lower()

    texts = st.lists(_CHARACTERS, max_size=5)
    pairs = draw(st.lists(st.tuples(texts, st.sampled_from(["", "=", "=="]), texts), max_size=3))
    return "&".join(
        "".join(map(written, name)) + is_ + "".join(map(written, value if is_ else [])) for name, is_, value in pairs
    )


def url_with(query: str, page: str = PAGE) -> str:
    return f"{page}?{query}" if query else page


@few_by_day(25)
@given(on_the_wire(), st.sampled_from(sorted(WAYS)), st.sampled_from([PAGE, "https://voice.example.com:8443/a/b"]))
def test_what_twilio_signs_in_any_of_its_ways_is_accepted(query: str, way: str, page: str) -> None:
    url = url_with(query, page)
    assume("?" in url or "port" in way or way == "as given")
    signed = sign(TOKEN, WAYS[way](url), [("CallSid", "CA1")])

    assert is_valid([TOKEN], url.encode(), [("CallSid", "CA1")], signed)


@few_by_day(25)
@given(on_the_wire(), st.sampled_from(sorted(WAYS)), st.data())
def test_a_query_that_was_changed_never_is(query: str, way: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(query)))
    put = data.draw(st.one_of(on_the_wire(), st.sampled_from(["&", "=", "+", "%", "%26", "%3D", "%2B", "%25", "%23"])))
    changed = query[:place] + put + query[place + data.draw(st.integers(0, 3)) :]
    assume(meant(changed) != meant(query))
    signed = sign(TOKEN, WAYS[way](url_with(query)))

    assert not is_valid([TOKEN], url_with(changed).encode(), [], signed)


def meant(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True, encoding="latin-1")


@given(st.binary(max_size=200))
def test_every_spelling_means_the_same_and_there_is_a_bound(query: bytes) -> None:
    found = spellings(b"https://Voice.Example.com/v?" + query)

    assert len(found) <= MAX_SPELLINGS
    assert len(set(found)) == len(found)
    assert found[0] == b"https://Voice.Example.com/v?" + query
    if query:
        assert {tuple(meant(one.partition(b"?")[2].decode("latin-1"))) for one in found} == {
            tuple(meant(query.decode("latin-1")))
        }


@pytest.mark.parametrize(
    ("received", "signed"),
    [
        ("?n=%27%40%3A", "?n='@:"),
        ("?n='@:", "?n=%27%40%3A"),
        ("?from=sip%3A12%40h.example&x=it%27s", "?from=sip:12@h.example&x=it%27s"),
        ("?n=%D7%93%D7%A0%D7%94", "?n=דנה"),
        ("?n=%D7%93%D7%A0%D7%94", "?n=%d7%93%d7%a0%d7%94"),
        ("?n=%d7%93%d7%a0%d7%94", "?n=%D7%93%D7%A0%D7%94"),
        ("?n=a+b", "?n=a%20b"),
        ("?n=a%20b", "?n=a+b"),
        ("?n=&m", "?n=&m"),
        ("?a=1&b=2&a=1&a=", "?a=1&b=2&a=1&a="),
        ("?sig=YQ==", "?sig=YQ%3D%3D"),
        ("", "?"),
        ("?", ""),
        ("?n=~*", "?n=%7E*"),
        ("?a=100%", "?a=100%"),
    ],
)
def test_these_are_the_same(received: str, signed: str) -> None:
    assert is_valid([TOKEN], (PAGE + received).encode(), [], sign(TOKEN, PAGE + signed))


@pytest.mark.parametrize(
    ("received", "signed"),
    [
        ("?n=a%26b=c", "?n=a&b=c"),
        ("?n=a%2Bb", "?n=a+b"),
        ("?n=a%2Bb", "?n=a%20b"),
        ("?n%3Da=b", "?n=a=b"),
        ("?n=%2541", "?n=%41"),
        ("?n=a%23b", "?n=a#b"),
        ("?a=1&b=2", "?b=2&a=1"),
        ("?a=1", "?A=1"),
        ("?a=1", "?a=1&"),
        ("?a=1", "?a=1&a=1"),
        ("?a=%00", "?a="),
        ("/", ""),
        ("", "/"),
    ],
)
def test_these_are_not(received: str, signed: str) -> None:
    assert not is_valid([TOKEN], (PAGE + received).encode(), [], sign(TOKEN, PAGE + signed))


def test_bytes_that_are_no_utf8_count_as_they_came() -> None:
    received = PAGE.encode() + b"?n=\xff\xe9"

    assert received in spellings(received)
    assert PAGE.encode() + b"?n=%FF%E9" in spellings(received)


def test_a_host_in_capitals_counts_in_small_letters_too_and_never_another_host() -> None:
    given_signature = sign(TOKEN, "https://voice.example.com/v")

    assert is_valid([TOKEN], "https://Voice.Example.com/v", [], given_signature)
    assert not is_valid([TOKEN], "https://voice.example.org/v", [], given_signature)
    assert not is_valid([TOKEN], "https://voice.example.com/V", [], given_signature)


def test_a_query_too_long_to_be_written_anew_counts_as_received() -> None:
    received = f"{PAGE}?n={'%27' * LONGEST}"

    assert is_valid([TOKEN], received, [], sign(TOKEN, received))
    assert len(spellings(received.encode())) == 2
