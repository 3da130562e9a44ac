"""The agent of a process, made of its settings: who answers, who speaks, what it says by itself."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial

import structlog

from batkol.answering.answerer import Answerer, AnswererError
from batkol.answering.echo import Echo
from batkol.answering.openai import OpenAIAnswerer
from batkol.conversation.actions import StockPhrase
from batkol.conversation.agent import Agent, AgentSettings, Speakers
from batkol.conversation.budget import SpeculationBudget
from batkol.live.config import Live
from batkol.live.turn_tuning import TurnTuning
from batkol.settings import Settings
from batkol.speech.lexicon import lexicon
from batkol.speech.pieces import Cutter
from batkol.supervision.tasks import Tasks
from batkol.voices.factory import VoiceParts, voice_of
from batkol.voices.phrases import Phrase, PhraseCache
from batkol.voices.stored import Stored, stored
from batkol.voices.voice import ConnectedVoice, Voice, VoiceError

log = structlog.get_logger()


async def agent(settings: Settings, live: Live, voices: VoiceParts, stack: AsyncExitStack, tasks: Tasks) -> Agent:
    """Make the agent, and have its phrases synthesized. One that does not reply has a voice for the API, and no phrase.

    Raises `ConfigurationError` for a voice that is not installed.
    """
    voice = voice_of(settings.voice_spec, voices, api_key=settings.voice_api_key)
    stack.push_async_callback(voice.aclose)
    if isinstance(voice, ConnectedVoice):
        await tasks.own(stack, partial(warm_up_voice, voice), "agent.warm_up_voice", may_return=True)
    if not settings.agent_replies:
        return _silent_agent(settings, live, voice)
    answerer = _answerer(settings)
    stack.push_async_callback(answerer.aclose)
    language = settings.gcp_stt_language
    phrases = Phrases(PhraseCache(voice, language), settings.phrases(language), language)
    await tasks.own(stack, phrases.cache.run, "agent.phrases")
    if isinstance(answerer, OpenAIAnswerer):
        await tasks.own(stack, partial(warm_up, answerer), "agent.warm_up", may_return=True)
    speakers = Speakers(answerer, voice)
    return Agent(
        speakers=lambda _: speakers,
        cutter=Cutter,
        phrase=phrases.sound,
        budget=SpeculationBudget(settings.speculative_attempts_per_minute),
        language=language,
        settings=LiveAgentSettings(settings, live).now,
    )


def _silent_agent(settings: Settings, live: Live, voice: Voice) -> Agent:
    """Return the agent of calls in which only the API speaks."""
    speakers = Speakers(None, voice)
    return Agent(
        speakers=lambda _: speakers,
        cutter=Cutter,
        phrase=lambda _: None,
        budget=SpeculationBudget(0),
        language=settings.gcp_stt_language,
        settings=LiveAgentSettings(settings, live).now,
    )


class Phrases:
    """The phrases of the agent. Until the voice has spoken one, the stored one of the same meaning is said."""

    def __init__(self, cache: PhraseCache, texts: Mapping[StockPhrase, str], language: str) -> None:
        self.cache = cache
        self._texts = texts
        self._stored = {StockPhrase(phrase.value): stored(phrase, language) for phrase in Stored}
        cache.want(*(self._text(phrase) for phrase in StockPhrase))

    def sound(self, phrase: StockPhrase) -> Phrase | None:
        """Return a phrase at once; None for one that is not said, or has no sound so far."""
        text = self._text(phrase)
        return (self.cache.get(text) or self._stored.get(phrase)) if text else None

    def _text(self, phrase: StockPhrase) -> str:
        if phrase in self._texts:
            return self._texts[phrase]
        return self._stored[phrase].text if phrase in self._stored else ""


class LiveAgentSettings:
    """Settings of the agent that may change while calls are up, read anew when the tuning has changed."""

    def __init__(self, settings: Settings, live: Live) -> None:
        self._settings = settings
        self._live = live
        self._turns: TurnTuning | None = None
        self._made = AgentSettings()

    def now(self) -> AgentSettings:
        """Return what is in force."""
        turns = self._live.tuning.turns
        if turns is not self._turns:
            self._turns = turns
            self._made = AgentSettings(
                prompt=self._settings.answerer_prompt,
                greeting_yields=self._settings.greeting_interruptible,
                thresholds=turns.thresholds,
                words=lexicon(turns.backchannel, turns.stopping),
            )
        return self._made


async def warm_up(answerer: OpenAIAnswerer) -> None:
    """Open a connection before the first caller needs it; log what would keep the answerer from answering."""
    try:
        await answerer.warm_up()
    except AnswererError as error:
        log.error(
            "[AGENT] the answerer cannot be used; callers hear the apology until it can",
            reason=error.reason,
            error=str(error),
        )


async def warm_up_voice(voice: ConnectedVoice) -> None:
    """Open a connection before the first caller needs it; log what would keep the voice from speaking."""
    try:
        await voice.warm_up()
    except VoiceError as error:
        log.error(
            "[VOICE] the voice cannot be used; callers hear stored phrases until it can",
            voice=voice.name,
            reason=error.reason,
            error=str(error),
        )


def _answerer(settings: Settings) -> Answerer:
    if settings.answerer == "echo":
        return Echo()
    return OpenAIAnswerer(url=settings.answerer_url, model=settings.answerer_model, api_key=settings.answerer_api_key)
