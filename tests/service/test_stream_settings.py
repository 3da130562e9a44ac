"""The settings of who may open a media stream: what cannot work is refused, and says what would."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from batkol.settings import Settings, shown
from batkol.stream_settings import StreamToken

ACCOUNT = "AC" + "0" * 32
KEY = "SK" + "1" * 32
SECRET = "0123456789abcdef0123"


def settings(**fields: Any) -> Settings:
    own = {"twilio_auth_token": "one,two", "public_base_url": "https://voice.example.com", "store": "none"}
    return Settings(**{**own, **fields})


def refusal(**fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        settings(**fields)
    return "\n".join(f"{error['loc']} {error['msg']}" for error in caught.value.errors())


def test_by_default_every_stream_needs_the_token() -> None:
    given = settings()

    assert given.stream_token is StreamToken.REQUIRED
    assert not given.takes_own_twiml
    assert given.twilio_logins(given.twilio_auth_token) == ()


def test_each_auth_token_is_a_login_and_an_api_key_takes_their_place() -> None:
    by_token = settings(stream_token="optional", twilio_account_sid=ACCOUNT)
    by_key = settings(twilio_account_sid=ACCOUNT, twilio_api_key=KEY, twilio_api_secret="s")

    assert by_token.twilio_logins(by_token.twilio_auth_token) == ((ACCOUNT, "one"), (ACCOUNT, "two"))
    assert by_key.twilio_logins(by_key.twilio_auth_token) == ((KEY, "s"),)


def test_several_secrets_are_separated_by_commas() -> None:
    given = settings(stream_token="optional", stream_secret=f" {SECRET}a , {SECRET}b\n")

    assert given.stream_secret == (f"{SECRET}a", f"{SECRET}b")


def test_no_secret_is_ever_shown() -> None:
    given = settings(
        stream_token="optional",
        stream_secret="Zq7" + SECRET,
        twilio_account_sid=ACCOUNT,
        twilio_api_key=KEY,
        twilio_api_secret="Zq7",
    )

    assert "Zq7" not in repr(given) + str(shown(given))
    assert shown(given)["twilio_account_sid"] == ACCOUNT


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"stream_token": "optional"}, "set TWILIO_ACCOUNT_SID (with TWILIO_AUTH_TOKEN or an API key)"),
        ({"stream_secret": SECRET}, "set STREAM_TOKEN=optional, or remove STREAM_SECRET"),
        ({"twilio_api_key": KEY, "twilio_account_sid": ACCOUNT}, "need each other; set both, or neither"),
        ({"twilio_api_secret": "s"}, "need each other; set both, or neither"),
        ({"twilio_api_key": KEY, "twilio_api_secret": "s"}, "TWILIO_API_KEY needs TWILIO_ACCOUNT_SID"),
        ({"twilio_account_sid": "AC123"}, "must be the account's SID"),
        (
            {"twilio_account_sid": ACCOUNT, "twilio_auth_token": (), "twilio_validate_signatures": False},
            "TWILIO_ACCOUNT_SID has no login",
        ),
        ({"twilio_api_key": ACCOUNT}, "must be an API key's SID"),
        ({"stream_token": "optional", "stream_secret": "Zq7short"}, "must have 20 to 480 characters"),
        ({"stream_token": "optional", "stream_secret": f"{SECRET},Zq7"}, "must have 20 to 480 characters"),
        ({"stream_token": "optional", "stream_secret": "Zq7" * 161}, "must have 20 to 480 characters"),
        ({"stream_token": "optional", "stream_secret": f"Zq7&{SECRET}"}, "which TwiML reads as something else"),
        ({"stream_token": "optional", "stream_secret": f"Zq7é{SECRET}"}, "is not ASCII"),
        ({"stream_token": "maybe"}, "'required' or 'optional'"),
        ({"twilio_api_url": "http://api.twilio.com"}, "must begin with https:// for Twilio"),
        ({"twilio_api_url": "http://api.dublin.ie1.twilio.com"}, "must begin with https:// for Twilio"),
        ({"twilio_api_url": "https://u:Zq7@api.twilio.com"}, "no user and no password"),
        ({"twilio_api_url": "https://api.twilio.com?a=Zq7"}, "no query"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_cannot_work_is_refused_with_what_would(fields: dict[str, str], sentence: str) -> None:
    told = refusal(**fields)

    assert sentence in told
    assert "Zq7" not in told


@pytest.mark.parametrize(
    "url", ["https://api.dublin.ie1.twilio.com", "http://127.0.0.1:9096", "http://twilio-double/a/"]
)
def test_another_region_and_the_double_can_be_asked(url: str) -> None:
    assert settings(twilio_api_url=url).twilio_api_url == url.rstrip("/")
