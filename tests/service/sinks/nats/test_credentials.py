"""Credentials of NATS by their forms, the NKey against the published pair, and what is said of a damaged one."""

from __future__ import annotations

import base64

import pytest

from batkol.sinks.nats.credentials import NONE, credentials
from support.nats.keys import CREDENTIALS, JWT, NKEY, SEED

ACCOUNT = "SAAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HYMHI"
"""The seed of an account."""


def test_each_form_is_known() -> None:
    assert credentials(" \n") == NONE
    assert credentials("batkol:a:b").options() == {"user": "batkol", "password": "a:b"}
    assert credentials("t0ken\n").options() == {"token": "t0ken"}
    assert credentials(SEED).nkey == NKEY
    made = credentials(CREDENTIALS)
    assert (made.jwt, made.nkey) == (JWT, NKEY)
    assert made.options()["user_jwt_cb"]() == JWT.encode()


def test_an_nkey_signs_the_nonce() -> None:
    made = credentials(SEED)
    assert made.key is not None
    signature = base64.b64decode(made.options()["signature_cb"]("n0nce"))
    made.key.public_key().verify(signature, b"n0nce")
    assert len(signature) == 64


def test_a_credentials_file_on_one_line_is_read_too() -> None:
    """As it is after a tool has replaced its line breaks by spaces."""
    assert credentials(" ".join(CREDENTIALS.split())).nkey == NKEY


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SEED[:-1] + "A", "is damaged"),
        (SEED[:20] + "A" + SEED[21:], "is damaged"),
        (SEED.replace("M", "1"), "is damaged"),
        (CREDENTIALS.replace(SEED, NKEY), "is damaged"),
        (
            CREDENTIALS.replace(SEED, "SAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H777JQ"),
            "is damaged|no user's",
        ),
        (CREDENTIALS.partition("*****")[0], "is no whole credentials file"),
    ],
)
def test_what_is_damaged_is_refused_and_not_quoted(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        credentials(text)
    assert not any(part in str(raised.value) for part in (SEED[4:], JWT[:20], text[4:40]))


def test_nothing_secret_is_shown() -> None:
    assert all("t0ken" not in repr(credentials(text)) for text in ("t0ken", "a:t0ken", "t0ken:b"))
    assert SEED not in repr(credentials(SEED))
