"""The last resort rehearsed: `WHISPER_URL` with a model of ivrit.ai, on a server as strict and untidy as speaches."""

from __future__ import annotations

from contextlib import AsyncExitStack
from io import BytesIO
from pathlib import Path

import pytest

from batkol.audio import mulaw
from batkol.audio.wav import wav_file
from batkol.compare.errors import score
from batkol.compare.recognizers import open_recognizers
from batkol.errors import UpstreamError
from batkol.recognizers.whisper.http import WhisperServer
from batkol.settings import Settings
from batkol.voices.marked.voice import say
from support.whisper.server import HALLUCINATED, IVRIT, HearingWhisper, hearing_whisper

SENTENCE = say(["אני", "רוצה", "תור"])
SILENCE = mulaw.silence(8000)


def client(of: HearingWhisper, *, model: str = IVRIT, language: str = "he", patience: float = 20.0) -> WhisperServer:
    return WhisperServer(url=of.url, model=model, language=language, api_key=of.api_key, timeout=patience)


async def test_the_settings_that_the_page_recommends_hear_a_sentence_by_ivrits_model() -> None:
    async with hearing_whisper(hallucinates=True) as whisper, AsyncExitStack() as stack:
        settings = Settings(
            twilio_validate_signatures=False, gcp_stt_endpoint="127.0.0.1:1", gcp_stt_insecure=True,
            whisper_url=whisper.url, whisper_model=IVRIT,
        )  # fmt: skip
        (recognizer,) = await open_recognizers(["whisper"], settings, stack)
        assert recognizer.single is not None
        text = await recognizer.single.recognize(SENTENCE.mulaw)

    assert text == "אני, רוצה תור."
    assert score(SENTENCE.text, text).counts.errors == 0, "marks are no words"
    assert whisper.refusals == []


async def test_a_connection_is_kept_and_one_that_was_closed_at_rest_costs_no_utterance() -> None:
    async with hearing_whisper() as keeping, hearing_whisper(closes_at_rest=True) as closing:
        for server, connections in ((keeping, 1), (closing, 3)):
            asking = client(server)
            texts = [await asking.recognize(SENTENCE.mulaw) for _ in range(3)]
            await asking.close()
            assert texts == [SENTENCE.text] * 3
            assert server.connections == connections


@pytest.mark.parametrize(
    ("asked", "served", "status", "remedy"),
    [
        (
            {"model": "ivrit-ai/whisper-large-v3"},
            {},
            404,
            "check WHISPER_URL, which ends before /v1, and WHISPER_MODEL",
        ),
        ({"language": "iw"}, {}, 500, ""),
        ({}, {"api_key": "another"}, 403, "set WHISPER_API_KEY to a valid one"),
    ],
)
async def test_what_the_server_refuses_has_its_status_and_what_to_do(
    asked: dict[str, str], served: dict[str, str], status: int, remedy: str
) -> None:
    async with hearing_whisper() as whisper:
        asking = client(whisper, **asked)  # type: ignore[arg-type]
        for name, value in served.items():
            setattr(whisper, name, value)
        with pytest.raises(UpstreamError, match=f"HTTP {status}") as raised:
            await asking.recognize(SENTENCE.mulaw)
        await asking.close()

    assert remedy in raised.value.remedy
    assert raised.value.retryable is (status == 500)


async def test_silence_is_empty_or_what_the_model_makes_up() -> None:
    async with hearing_whisper() as filtered, hearing_whisper(hallucinates=True) as unfiltered:
        texts = []
        for server in (filtered, unfiltered):
            asking = client(server)
            texts.append(await asking.recognize(SILENCE))
            await asking.close()

    assert texts == ["", HALLUCINATED]


async def test_a_model_that_loads_for_too_long_costs_one_utterance_and_not_the_next() -> None:
    async with hearing_whisper(load_s=2.0) as whisper:
        asking = client(whisper, patience=1.0)
        with pytest.raises(UpstreamError, match="did not answer in time") as raised:
            await asking.recognize(SENTENCE.mulaw)
        patient = client(whisper)
        assert await patient.recognize(SENTENCE.mulaw) == SENTENCE.text
        await asking.close()
        await patient.close()

    assert raised.value.retryable


async def test_openais_own_client_can_talk_to_the_double() -> None:
    from openai import APIStatusError, AsyncOpenAI

    sound = wav_file(mulaw.decode_to_bytes(SENTENCE.mulaw))
    async with hearing_whisper() as whisper, AsyncOpenAI(base_url=f"{whisper.url}/v1", api_key="x") as openai:
        named = ("a.wav", BytesIO(sound), "audio/wav")
        heard = await openai.audio.transcriptions.create(model=IVRIT, file=named, language="he")
        with pytest.raises(APIStatusError) as raised:
            await openai.audio.transcriptions.create(model="large", file=("a.wav", BytesIO(sound)), language="he")

    assert heard.text == f" {SENTENCE.text}"
    assert raised.value.status_code == 404


def test_the_page_recommends_the_model_that_is_rehearsed() -> None:
    page = (Path(__file__).parents[4] / "docs/accuracy.md").read_text(encoding="utf-8")
    recommended = page.partition("## The recommended last resort")[2].partition("\n## ")[0]

    assert f"WHISPER_MODEL={IVRIT}\n" in recommended
    assert f"PRELOAD_MODELS='[\"{IVRIT}\"]'" in recommended
