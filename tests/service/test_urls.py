"""URLs with secrets: shown without them, and read in one way only."""

import httpx
import pytest

from batkol.urls import OWN_PATHS, base_url, check_endpoint, check_http, masked, masked_in, without_login


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://whisper:8000", "http://whisper:8000"),
        ("http://whisper:8000/v1", "http://whisper:8000/v1"),
        ("https://[::1]:80/", "https://[::1]:80/"),
        ("http://u:p@whisper:8000/v1", "http://***@whisper:8000/v1"),
        ("http://token@whisper", "http://***@whisper"),
        ("https://h/x?token=p", "https://h/x?***"),
        ("https://h/x#p", "https://h/x#***"),
        ("http://u:p/p@whisper/", "http://***"),
        ("http://u:p#p@whisper/", "http://***"),
        ("http://u:p@p@whisper/", "http://***@whisper/"),
        ("http://u:p", "http://***"),
        ("file:/etc/batkol", "file:/etc/batkol"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_what_is_secret(url: str, shown: str) -> None:
    assert masked(url) == shown


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("connect to postgresql://u:p@db/x failed", "connect to postgresql://***@db/x failed"),
        ('{"a":"http://u:p/#p@h/","b":"me@x"}', '{"a":"http://***@h/","b":"me@x"}'),
        ("https://a.example/b and me@x.example", "https://a.example/b and me@x.example"),
        ("me@x://y", "me@x://y"),
        ("none", "none"),
    ],
)
def test_a_printed_text_has_no_login_left(printed: str, shown: str) -> None:
    assert masked_in(printed) == shown


def test_a_login_is_taken_out_of_a_url_unescaped() -> None:
    assert without_login("http://u:p%2F%40@h:1/x") == ("http://h:1/x", ("u", "p/@"))
    assert without_login("http://h/x") == ("http://h/x", None)


@pytest.mark.parametrize(
    "url", ["http://h", "https://u:p%2F@h:1/x?y=1", "http://[::1]:8000", "https://h.example./", "http://h:65535"]
)
def test_a_url_that_can_be_read_is_taken(url: str) -> None:
    check_http(url)

    assert httpx.URL(url).host, "the client that uses it reads a host, too"


@pytest.mark.parametrize(
    "url",
    [
        "h", "ftp://h", "http://", "http://:80", "http://h:x", "http://h:", "http://h:0", "http://h:00", "http://h:080",
        "http://h:65536", "http://h:-1", "http://h:99999", "http://u:a/b@h", "http://a b", "http://a..b",
        "http://.a", "http://" + 64 * "a" + ".example",
    ],
)  # fmt: skip
def test_a_url_that_cannot_is_not(url: str) -> None:
    with pytest.raises(ValueError, match=r"must be|percent-encode|no valid host"):
        check_http(url)


@pytest.mark.parametrize("endpoint", ["h:1", "h.example.:443", "[::1]:8000", "h:65535"])
def test_an_endpoint_has_a_host_and_a_port(endpoint: str) -> None:
    check_endpoint(endpoint)

    assert httpx.URL(f"http://{endpoint}").port in (1, 443, 8000, 65535)


@pytest.mark.parametrize("endpoint", ["", "h", "h:", ":1", "h:0", "h:65536", "h:x", "h:080", "http://h:1", "h:1/x"])
def test_what_has_not_is_no_endpoint(endpoint: str) -> None:
    with pytest.raises(ValueError, match="a port from 1 to 65535"):
        check_endpoint(endpoint)


@pytest.mark.parametrize("own", [*OWN_PATHS, "/Twilio/Voice"])
@pytest.mark.parametrize("end", ["", "/", "//"])
@pytest.mark.parametrize("base", ["https://voice.example.com", "https://voice.example.com:8443/agents/one"])
def test_a_base_url_that_ends_in_our_own_path_is_refused_with_the_right_one(own: str, end: str, base: str) -> None:
    with pytest.raises(ValueError, match="must end before") as raised:
        base_url(f"{base}{own}{end}")
    assert str(raised.value).endswith(f"set it to {base}")


@pytest.mark.parametrize("url", ["https://voice.example.com/twilio", "https://voice.example.com/mytwilio/voices"])
def test_a_base_url_whose_path_only_resembles_ours_is_taken(url: str) -> None:
    assert base_url(f"{url}/") == url


def test_a_base_url_is_ascii() -> None:
    with pytest.raises(ValueError, match="must be ASCII"):
        base_url("https://voice.example.com/מרפאה")
