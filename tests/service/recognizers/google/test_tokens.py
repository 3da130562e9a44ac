"""How Google's tokens are fetched: from a token server that is well, and from servers that do a client harm."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import google.auth.exceptions
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.credentials import AnonymousCredentials
from google.oauth2 import service_account

from batkol.google_api.endpoint import token_request
from batkol.recognizers.google.channels import Channels
from support.http.hostile_server import WAYS, hostile_http
from support.http.one_answer import answering, http

SLOW = frozenset({"no answer", "drip", "dripping head"})


@pytest.fixture(scope="module")
def key() -> str:
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return made.private_bytes(pem, form, serialization.NoEncryption()).decode()


def account(key: str, url: str) -> Any:
    info = {"private_key": key, "client_email": "a@b.iam.gserviceaccount.com", "token_uri": url}
    untyped: Any = service_account.Credentials
    return untyped.from_service_account_info(info, scopes=["speech"])


async def test_a_token_comes(key: str) -> None:
    answer = json.dumps({"access_token": "made-up", "expires_in": 3600}).encode()
    async with answering(http("200 OK", answer, "Content-Type: application/json")) as (url, _):
        credentials = account(key, url)
        await asyncio.to_thread(credentials.refresh, token_request())

    assert credentials.token == "made-up"


@pytest.mark.parametrize("way", WAYS)
async def test_a_hostile_token_server_costs_one_error_and_little_else(key: str, way: str) -> None:
    async with hostile_http(way) as server:
        request = token_request(0.25 if way in SLOW else 20.0)
        with pytest.raises(google.auth.exceptions.GoogleAuthError):
            await asyncio.to_thread(account(key, server.url).refresh, request)
        await server.check()


async def test_channels_ask_for_tokens_within_these_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def request() -> object:
        made.append(token_request())
        return made[-1]

    monkeypatch.setattr("batkol.google_api.endpoint.token_request", request)
    anonymous: Any = AnonymousCredentials
    monkeypatch.setattr("google.auth.default", lambda **_: (anonymous(), "a-project"))
    pool = Channels(endpoint="127.0.0.1:9", insecure=False)
    await pool.start()
    with pool.lease():
        assert pool.connections == 1
    await pool.close()

    assert len(made) == 2, "for finding the credentials, and for the connection"
