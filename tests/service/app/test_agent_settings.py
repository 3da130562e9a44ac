"""What the agent says and obeys: the file before the environment, the same object until something changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from batkol.app.agent_settings import LiveAgentSettings, Phrases, reply_means
from batkol.backoff import Backoff
from batkol.conversation.actions import StockPhrase
from batkol.live.config import Live
from batkol.live.reply import parse_reply
from batkol.live.turn_tuning import TurnTuning
from batkol.settings import Settings
from batkol.speech.turn_thresholds import TurnThresholds
from batkol.voices.phrases import PhraseCache
from batkol.voices.stored import TEXTS, Stored
from support.agent.scripted import SlowVoice

ENVIRONMENT = {
    "answerer_prompt": "of the environment",
    "greeting": "שלום",
    "greeting_interruptible": False,
    "agent_phrases": {"filler": "רגע"},
    "twilio_validate_signatures": False,
}


def settings_of(live: Live) -> LiveAgentSettings:
    return LiveAgentSettings(Settings(**ENVIRONMENT), live)  # type: ignore[arg-type]


def apply(live: Live, text: str) -> None:
    live.reply = parse_reply(text.encode())


def test_without_a_file_the_environment_decides() -> None:
    settings = settings_of(Live())

    assert settings.now().revision == "defaults"
    assert (settings.now().prompt, settings.now().greeting_yields) == ("of the environment", False)
    assert settings.texts()[StockPhrase.GREETING] == "שלום"
    assert settings.texts()[StockPhrase.FILLER] == "רגע"


def test_the_file_goes_before_the_environment_field_by_field() -> None:
    live = Live()
    settings = settings_of(live)
    apply(live, '{"revision": "1", "prompt": "", "phrases": {"filler": ""}, "budget": {"tokens": 900}}')

    now = settings.now()

    assert (now.revision, now.prompt, now.greeting_yields, now.limits.tokens) == ("1", "", False, 900)
    assert settings.texts()[StockPhrase.FILLER] == ""
    assert settings.texts()[StockPhrase.GREETING] == "שלום"


def test_a_turn_costs_nothing_until_the_file_or_the_tuning_changes() -> None:
    live = Live()
    settings = settings_of(live)
    apply(live, '{"idle": {"milliseconds": 7000}}')
    first = settings.now()
    live.tuning = msgspec.structs.replace(live.tuning, batch_ms=60)

    assert settings.now() is first
    live.tuning = msgspec.structs.replace(live.tuning, turns=TurnTuning(thresholds=TurnThresholds(filler_ms=900)))
    assert settings.now() is not first
    assert (settings.now().thresholds.filler_ms, settings.now().thresholds.idle_ms) == (900, 7000)


@asynccontextmanager
async def speaking(voice: SlowVoice, live: Live) -> AsyncIterator[Phrases]:
    cache = PhraseCache(voice, "he-IL", retries=Backoff(first_s=1.0, longest_s=60.0, uniform=lambda: 0.0))
    phrases = Phrases(cache, settings_of(live).texts, "he-IL")
    task = asyncio.create_task(cache.run())
    try:
        yield phrases
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def text_of(phrases: Phrases, phrase: StockPhrase) -> str | None:
    sound = phrases.sound(phrase)
    return sound.text if sound else None


@pytest.mark.virtual_time
async def test_a_changed_phrase_is_said_with_its_old_sound_until_the_new_one_is_there() -> None:
    live = Live()
    async with speaking(SlowVoice(first_s=2.0), live) as phrases:
        await asyncio.sleep(20)
        apply(live, '{"greeting": "תודה"}')
        phrases.refresh()
        at_once = text_of(phrases, StockPhrase.GREETING)
        await asyncio.sleep(20)
        later = text_of(phrases, StockPhrase.GREETING)

    assert (at_once, later) == ("שלום", "תודה")


@pytest.mark.virtual_time
async def test_a_phrase_that_is_not_said_any_more_is_not_said_from_then_on() -> None:
    live = Live()
    async with speaking(SlowVoice(first_s=2.0), live) as phrases:
        await asyncio.sleep(20)
        apply(live, '{"greeting": "", "phrases": {"filler": ""}}')
        phrases.refresh()
        unsaid = text_of(phrases, StockPhrase.GREETING), text_of(phrases, StockPhrase.FILLER)
        apply(live, '{"greeting": "תודה"}')
        phrases.refresh()
        of_the_last_but_one = text_of(phrases, StockPhrase.GREETING)

    assert unsaid == (None, None)
    assert of_the_last_but_one is None


@pytest.mark.virtual_time
async def test_a_text_that_was_replaced_before_the_voice_spoke_it_is_spoken_no_more() -> None:
    """Else each change made while the voice is away would be asked for until the end of the process."""
    live, fails_at = Live(), [0]
    async with speaking(SlowVoice(first_s=2.0, fails_at=fails_at), live) as phrases:
        for number in range(100):
            apply(live, f'{{"greeting": "שלום {number}"}}')
            phrases.refresh()
            await asyncio.sleep(0.01)
        fails_at.clear()
        await asyncio.sleep(200)
        assert text_of(phrases, StockPhrase.GREETING) == "שלום 99"


async def test_until_the_voice_has_spoken_the_stored_phrase_stands_in() -> None:
    phrases = Phrases(PhraseCache(SlowVoice(), "he-IL"), settings_of(Live()).texts, "he-IL")

    assert text_of(phrases, StockPhrase.APOLOGY) == TEXTS["he"][Stored.APOLOGY]
    assert text_of(phrases, StockPhrase.GREETING) is None


def test_transfers_are_those_of_the_environment_that_the_file_names() -> None:
    live = Live()
    numbers = {"sales": "+97225550100", "night": "+97225550101"}
    given: dict[str, Any] = {**ENVIRONMENT, "transfer_allowed": numbers, "longest_call_s": 60}
    account: dict[str, Any] = {"twilio_account_sid": "AC" + "0" * 32, "twilio_auth_token": "made-up"}
    settings = LiveAgentSettings(Settings(**given, **account), live)
    away = LiveAgentSettings(Settings(**given), live).now()
    before = settings.now()
    apply(live, '{"transfers": ["night", "nowhere"], "budget": {"minutes": 3}}')

    assert before.transfers == numbers
    assert away.transfers == {}, "without access to Twilio's REST API"
    assert settings.now().transfers == {"night": "+97225550101"}
    assert (settings.now().limits.longest_call_s, settings.now().limits.minutes) == (60, 3)


def test_reply_json_may_name_what_the_environment_of_the_process_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOL_THERE", "secret")
    given: dict[str, Any] = {**ENVIRONMENT, "transfer_allowed": {"sales": "+97225550100"}}
    tools = [{"name": name, "url": "http://x.example/", "tokenEnv": f"TOOL_{name}"} for name in ("THERE", "AWAY")]
    document = {"tools": [*tools, {"name": "save_lead"}], "transfers": ["sales", "night"]}

    lacking = reply_means(Settings(**given)).lacking(parse_reply(json.dumps(document).encode()))

    assert [text.split()[2] if "tool" in text else text.split()[0] for text in lacking] == [
        "AWAY",
        "transfers[1]",
        "save_lead",
    ]
