"""Google's refusals on the real wire: its own word is read, and a sentence says what to do."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.auth.transport.grpc import AuthMetadataPlugin
from google.oauth2 import service_account

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.audio.ring import Ring
from batkol.google_api.endpoint import token_request
from batkol.google_api.error_info import DETAILS, ErrorInfo, of_trailers
from batkol.google_api.hosts import is_google
from batkol.recognizers.google.channels import Channels
from batkol.recognizers.google.errors import GoogleError
from batkol.recognizers.google.recognizer import SingleRecognizer
from batkol.recognizers.google.remedies import BY_REASON, BY_TEXT, BY_WORD, remedy_of
from batkol.recognizers.google.wire import recognition
from batkol.recognizers.streaming.errors import Next, SpeechError
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.recognizers.streaming.stream import Stream
from batkol.simulators.google.faults import Fault, Kind, Moment, Surface
from batkol.simulators.google.refusals import PROJECT, REFUSALS
from batkol.simulators.google.server import SpeechDouble
from batkol.speech.timeline import Timeline
from support.google.key_files import write_key_file
from support.google.streaming import google_recognizer
from support.google.tls_front import tls_front
from support.http.one_answer import answering, http
from support.http.tls import CERTIFICATE, server_side
from support.speech.listener import Unheard

SILENCE = b"\xff" * (SAMPLE_RATE // 10)
CONFIG = recognition("he-IL", "default")
OF_THE_PROJECT = sorted(word for word in REFUSALS if word != "RATE_LIMIT_EXCEEDED")


@asynccontextmanager
async def google_double(*faults: Fault) -> AsyncIterator[Channels]:
    async with SpeechDouble() as double:
        channels = Channels(endpoint=f"127.0.0.1:{await double.start()}", insecure=True)
        double.inject(*faults)
        try:
            yield channels
        finally:
            await channels.close()


async def refused(channels: Channels) -> GoogleError:
    """What a single request comes to."""
    with pytest.raises(GoogleError) as raised:
        await SingleRecognizer(channels, CONFIG, deadline=20).recognize(SILENCE)
    return raised.value


async def stream_refused(channels: Channels) -> GoogleError:
    """What a stream comes to that sends a moment of silence."""
    ring = Ring(capacity=SAMPLE_RATE)
    ring.append(SILENCE)
    log: Any = None
    stream = Stream(
        Timeline(start=0).follow(0),
        recognizer=google_recognizer(channels, CONFIG),
        options=StreamingOptions(on_written=lambda *_: None),
        ring=ring,
        listener=Unheard(),
        log=log,
    )
    stream.offer(ring.end)
    await stream.run()
    assert isinstance(stream.error, GoogleError)
    return stream.error


@pytest.mark.parametrize("word", sorted(REFUSALS))
async def test_a_single_request_has_googles_own_word_and_a_remedy(word: str) -> None:
    async with google_double(Fault(kind=Kind.END, surface=Surface.UNARY, refusal=word)) as channels:
        error = await refused(channels)

    assert error.info is not None
    assert (error.info.reason, error.code) == (word, REFUSALS[word].code.name)
    assert str(error) == f"{REFUSALS[word].code.name}: {REFUSALS[word].text}"
    assert error.remedy.endswith(".")
    assert "{" not in error.remedy


@pytest.mark.parametrize("kind", [Kind.END, Kind.STATUS])
async def test_a_stream_has_them_too_whether_it_ends_so_or_a_response_says_so(kind: Kind) -> None:
    when = Moment.OPEN if kind is Kind.END else Moment.FIRST_AUDIO
    async with google_double(Fault(kind=kind, when=when, refusal="BILLING_DISABLED")) as channels:
        error = await stream_refused(channels)

    assert error.info is not None
    assert (error.info.reason, error.info.project) == ("BILLING_DISABLED", PROJECT)
    assert (error.reason, error.next) == ("permission_denied", Next.MISCONFIGURED)
    assert f"Link a billing account to the project {PROJECT}" in error.remedy


@pytest.mark.parametrize("word", OF_THE_PROJECT)
def test_each_refusal_of_a_project_or_an_account_has_a_remedy_of_its_own(word: str) -> None:
    info = ErrorInfo(word, "googleapis.com", {"consumer": f"projects/{PROJECT}"})
    reason = "unauthenticated" if REFUSALS[word].code is grpc.StatusCode.UNAUTHENTICATED else "permission_denied"

    remedy = remedy_of(reason, REFUSALS[word].text, info)

    assert remedy != BY_REASON["permission_denied"]
    assert "PROJECT" not in remedy


def test_every_remedy_is_whole_sentences() -> None:
    remedies = [*BY_WORD.values(), *BY_REASON.values(), *(remedy for _, remedy in BY_TEXT)]

    assert [text for text in remedies if not (text[0].isupper() and text.endswith("."))] == []


@pytest.mark.parametrize("trailers", [None, (), ((DETAILS, b"\xff\xff"),), (("other", b""),), ((DETAILS, b""),)])
def test_trailers_that_say_nothing_are_no_word(trailers: Any) -> None:
    assert of_trailers(trailers) is None


async def test_where_nothing_listens_the_remedy_names_the_way_to_google() -> None:
    channels = Channels(endpoint="127.0.0.1:9", insecure=True)
    try:
        error = await refused(channels)
    finally:
        await channels.close()

    assert (error.reason, error.retryable) == ("unavailable", True)
    assert "speech.googleapis.com:443" in error.remedy


GRANT = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
CLOCK = {
    "error": "invalid_grant",
    "error_description": "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
    "Check your iat and exp values in the JWT claim.",
}
TOKENS = {
    "a key that was deleted": (http("400 Bad Request", json.dumps(GRANT).encode()), "unauthenticated", "another one"),
    "a clock that is wrong": (http("400 Bad Request", json.dumps(CLOCK).encode()), "unauthenticated", "clock"),
}


@pytest.mark.parametrize("case", TOKENS)
async def test_a_key_that_the_token_server_refuses_is_no_fault_of_the_network(case: str, tmp_path: Path) -> None:
    answer, reason, remedy = TOKENS[case]
    async with answering(answer) as (token_url, asked):
        error = await with_key(tmp_path, token_url)

    assert asked
    assert (error.reason, error.next) == (reason, Next.MISCONFIGURED)
    assert remedy in error.remedy


async def test_a_token_server_that_is_not_reached_is_named(tmp_path: Path) -> None:
    error = await with_key(tmp_path, "http://127.0.0.1:9/token")

    assert (error.reason, error.retryable) == ("unavailable", True)
    assert "oauth2.googleapis.com:443" in error.remedy


async def with_key(folder: Path, token_url: str) -> SpeechError:
    """Ask Google's double over TLS, with a key whose tokens come from that URL."""
    write_key_file(folder / "google.json", token_url)
    untyped: Any = service_account.Credentials
    credentials = untyped.from_service_account_file(
        str(folder / "google.json"), scopes=["https://www.googleapis.com/auth/cloud-platform"]
    )
    plugin: Any = AuthMetadataPlugin
    tls: ssl.SSLContext = server_side(folder)
    async with SpeechDouble() as double, tls_front(tls, await double.start()) as port:

        def dial() -> grpc.aio.Channel:
            trusted = grpc.ssl_channel_credentials((folder / CERTIFICATE).read_bytes())
            tokens = grpc.metadata_call_credentials(plugin(credentials, token_request(), default_host="x"))
            return grpc.aio.secure_channel(
                f"127.0.0.1:{port}",
                grpc.composite_channel_credentials(trusted, tokens),
                options=[("grpc.enable_http_proxy", 0)],
            )

        channels = Channels(endpoint=f"127.0.0.1:{port}", insecure=False, dial=dial)
        try:
            async with asyncio.timeout(30):
                return await refused(channels)
        finally:
            await channels.close()


BAD_FILES = {
    "absent": (None, "does not exist"),
    "not JSON": (b"{", "is not JSON"),
    "not a key": (b'{"type": "service_account", "client_email": "a@b"}', "is no key of a service account"),
    "a list": (b"[]", "is no key of a service account"),
    "of another kind": (b'{"type": "\xd7\xa9"}', "is no key of a service account"),
}


@pytest.mark.parametrize("case", BAD_FILES)
async def test_a_bad_key_file_is_said_with_its_path_and_nothing_out_of_it(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, said = BAD_FILES[case]
    path = tmp_path / "google.json"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    channels = Channels(endpoint="", insecure=False)

    for _ in range(20):  # at once, one after another: none is taken for a look that hangs
        with pytest.raises(GoogleError) as raised:
            await channels.start()
    error = await refused(channels)

    assert str(raised.value) == str(error)
    assert f"{path}, {said}" in str(error)
    assert (error.reason, error.next) == ("credentials", Next.MISCONFIGURED)
    assert "GOOGLE_APPLICATION_CREDENTIALS" in error.remedy
    assert not channels.has_credentials
    with pytest.raises(SpeechError, match=said), channels.lease():
        raise AssertionError("a stream was lent without credentials")


async def test_without_any_key_the_variable_that_would_name_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))  # nobody has logged in with gcloud
    monkeypatch.setenv("NO_GCE_CHECK", "true")  # this machine is none of Google's

    with pytest.raises(SpeechError, match=r"GOOGLE_APPLICATION_CREDENTIALS is not set$") as raised:
        await Channels(endpoint="", insecure=False).start()

    assert (raised.value.reason, raised.value.next) == ("credentials", Next.MISCONFIGURED)
    assert "Set GOOGLE_APPLICATION_CREDENTIALS to the key file" in raised.value.remedy


async def test_a_folder_in_the_place_of_the_key_is_said_to_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path))

    with pytest.raises(SpeechError, match=r"cannot be opened \(Is a directory\)"):
        await Channels(endpoint="", insecure=False).start()


@pytest.mark.parametrize(
    ("endpoint", "google"),
    [
        ("", True),
        ("speech.googleapis.com:443", True),
        ("EU-speech.googleapis.com.:443", True),
        ("127.0.0.1:9090", False),
        ("googleapis.com.example:443", False),
        ("notgoogleapis.com:443", False),
    ],
)
def test_google_is_told_from_a_double_by_its_host(endpoint: str, google: bool) -> None:
    assert is_google(endpoint) is google
