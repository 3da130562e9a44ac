"""What the console asks before it shows anything."""

from __future__ import annotations

import io
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import msgspec
import numpy as np
from fastapi import FastAPI

from batkol.audio import mulaw
from batkol.rights import READ_RIGHTS, Grant, Right
from batkol.voices.marked.sentences import SENTENCES
from batkol.voices.marked.voice import WORDS, say
from batkol.web.access import Access
from batkol.web.console_api import ConsoleLine, ConsoleService, OtherConsole, routes

TOKEN, CALLER = "a-made-up-token-that-reads", "a-made-up-token-that-calls"
LINE = ConsoleLine(answerers=["default", "fast"], voices=["default"], transfers=["sales"], why_no_transfer="")


@asynccontextmanager
async def serving(service: ConsoleService) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    grants = [Grant("reader", TOKEN, READ_RIGHTS), Grant("caller", CALLER, frozenset({Right.LINE}))]
    app.include_router(routes(service, Access(grants), lambda: LINE))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x", headers=headers) as http:
        yield http


async def test_a_token_learns_what_it_may_and_whom_the_phone_calls() -> None:
    service = ConsoleService(
        agent="reception", pod="a", language="he-IL", replies=True, trace_url="https://x/{trace_id}"
    )
    async with serving(service) as http:
        facts = (await http.get("/v1/console")).json()
        refused = await http.get("/v1/console", headers={"Authorization": "Bearer x"})

    assert refused.status_code == 401
    assert (facts["name"], facts["may"]) == ("reader", ["status", "texts"])
    assert (facts["agent"], facts["trace_url"], facts["replies"]) == ("reception", "https://x/{trace_id}", True)
    assert (facts["builtin"], facts["sentences"]) == (False, [])


async def test_what_a_call_can_do_is_told_to_those_who_may_call() -> None:
    others = [OtherConsole(agent="sales", url="https://sales.example.com/console/")]
    async with serving(ConsoleService(others=others)) as http:
        reads = (await http.get("/v1/console")).json()
        calls = (await http.get("/v1/console", headers={"Authorization": f"Bearer {CALLER}"})).json()

    names = ("answerers", "voices", "transfers", "why_no_transfer")
    assert {name: reads[name] for name in names} == msgspec.to_builtins(ConsoleLine())
    assert {name: calls[name] for name in names} == msgspec.to_builtins(LINE)
    assert reads["others"] == calls["others"] == msgspec.to_builtins(others)


async def test_where_a_double_hears_the_sentences_of_its_voice_are_there() -> None:
    async with serving(ConsoleService(builtin=True)) as http:
        sentences = (await http.get("/v1/console")).json()["sentences"]
        sounds = [(await http.get(each["url"])) for each in sentences]
        beyond = await http.get(f"/v1/console/sentences/{len(sentences)}.wav")

    assert [each["text"] for each in sentences] == list(SENTENCES)
    assert {word for text in SENTENCES for word in text.split()} <= set(WORDS)
    assert {sound.headers["content-type"] for sound in sounds} == {"audio/wav"}
    with wave.open(io.BytesIO(sounds[0].content)) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
        assert (file.getframerate(), file.getnchannels()) == (8000, 1)
    assert np.array_equal(pcm, mulaw.decode(say(SENTENCES[0].split()).mulaw))
    assert beyond.status_code == 404


async def test_where_google_hears_there_is_no_sentence() -> None:
    async with serving(ConsoleService()) as http:
        assert (await http.get("/v1/console/sentences/0.wav")).status_code == 404
