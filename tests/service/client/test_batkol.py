"""The client as a whole: what it sends to whom, and what it takes from whom."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from batkol.client import Batkol, ClientError, ServiceUnreachableError, TokenRefusedError, UnexpectedAnswerError
from support.http.one_answer import answering, http
from support.http.scripted_server import answered, refused, scripted
from support.http.tls import CERTIFICATE, server_side


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8081", "http://[", "ftp://a", "http://a b", "http://u:p/w@h", "http://h:99999", "https://"]
)
def test_a_url_that_is_none_is_a_sentence_that_quotes_nothing(url: str) -> None:
    with pytest.raises(ClientError, match="internal API") as raised:
        Batkol(url)

    assert "p/w" not in str(raised.value)


@pytest.mark.parametrize("token", ["a\nb", "א", "a\x00"])
def test_a_token_that_cannot_be_sent_is_refused_and_not_quoted(token: str) -> None:
    with pytest.raises(ClientError, match="token") as raised:
        Batkol("http://127.0.0.1:1", token)

    assert token not in str(raised.value)


async def test_a_token_out_of_a_file_has_its_line_feed_removed_and_no_header_without_one() -> None:
    async with scripted(answered({"calls": []})) as server:
        for token in ("a-token\n", " "):
            async with Batkol(server.url, token) as batkol:
                assert len(await batkol.calls()) == 0

    assert [request.headers.get("authorization") for request in server.asked] == ["Bearer a-token", None]


async def test_a_service_that_is_not_there_is_a_sentence() -> None:
    async with Batkol("http://user:secret@127.0.0.1:1", give_up_s=0) as batkol:
        for asking in (batkol.status(), batkol.calls(), anext(batkol.events()), anext(batkol.following())):
            with pytest.raises(ServiceUnreachableError, match="cannot be reached") as raised:
                await asking
            assert "secret" not in str(raised.value)


async def test_the_status_is_read_as_far_as_it_is_needed() -> None:
    body = b'{"version":"9","draining":true,"active_calls":3,"max_calls":4,"new":[1],"recognizer":{"streams":2}}'
    async with scripted(answered(body)) as server, Batkol(server.url) as batkol:
        state = await batkol.status()

    assert (state.version, state.draining, state.active_calls, state.recognizer.streams) == ("9", True, 3, 2)
    assert state.live.flags_revision is None


async def test_a_status_that_is_none_and_a_token_that_is_wrong_are_sentences() -> None:
    async with scripted(answered(b"<html/>"), refused(401)) as server, Batkol(server.url) as batkol:
        with pytest.raises(UnexpectedAnswerError, match="Is the URL right"):
            await batkol.status()
        with pytest.raises(TokenRefusedError, match="API_TOKENS"):
            await batkol.status()


async def test_the_tokens_of_an_environment_proxy_are_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment's would get the token."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with scripted(answered({"calls": []})) as server, Batkol(server.url, "a-token") as batkol:
        await batkol.calls()

    assert len(server.asked) == 1


async def test_a_certificate_of_an_own_authority_is_taken_where_it_is_given(tmp_path: Path) -> None:
    served = answering(http("200 OK", b'{"cursor": "b-1"}', "Content-Type: application/json"), server_side(tmp_path))
    known = ssl.create_default_context(cafile=tmp_path / CERTIFICATE)
    async with served as (url, asked):
        async with Batkol(url, tls=known) as batkol:
            assert (await batkol.calls()).cursor == "b-1"
        async with Batkol(url) as batkol:
            with pytest.raises(ServiceUnreachableError):
                await batkol.status()

    assert len(asked) == 1
