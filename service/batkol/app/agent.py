"""The agent of a process, made of its settings: who answers, who speaks, what it says by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import structlog

from batkol.answering.answerer import AnswererError
from batkol.answering.behind import FAILOVERS
from batkol.answering.factory import AnswererParts, Answerers
from batkol.answering.hedged import HedgeOutcome
from batkol.answering.openai import OpenAIAnswerer
from batkol.app.speakers import SpeakersByFlag, Speaking
from batkol.conversation.actions import StockPhrase
from batkol.conversation.agent import Agent, AgentSettings
from batkol.conversation.budget import SpeculationBudget
from batkol.conversation.tools.webhook import ToolWebhooks
from batkol.flags.context import CallContext
from batkol.flags.flags import Flags
from batkol.live.config import Live
from batkol.live.turn_tuning import TurnTuning
from batkol.named_specs import DEFAULT
from batkol.settings import Settings
from batkol.speech.lexicon import lexicon
from batkol.speech.pieces import Cutter
from batkol.supervision.tasks import Tasks
from batkol.telemetry.metrics import Metrics
from batkol.telemetry.names import OPENAI
from batkol.telemetry.reply_metrics import Variants
from batkol.tracing.peer import Peer
from batkol.voices.factory import VoiceParts, VoicesByName
from batkol.voices.phrases import Phrase, PhraseCache
from batkol.voices.stored import Stored, stored
from batkol.voices.voice import ConnectedVoice, Voice, VoiceError

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentParts:
    """Parts of the process that the agent uses."""

    live: Live
    flags: Flags
    metrics: Metrics
    voices: VoiceParts
    context_of: Callable[[str], CallContext]
    """The context of the flags for the call with this SID."""


async def agent(settings: Settings, parts: AgentParts, stack: AsyncExitStack, tasks: Tasks) -> Agent:
    """Make the agent, and have its phrases synthesized, in each voice.

    Without a flag to say so, an agent that does not reply has voices for the API. Raises `ConfigurationError` for a
    voice that is not installed.
    """
    budget = SpeculationBudget(settings.speculative_attempts_per_minute)
    answerers = _answerers(settings, parts.metrics, budget)
    stack.push_async_callback(answerers.aclose)
    made = VoicesByName(settings.voice_specs, settings.voice_keys(), parts.voices)
    stack.push_async_callback(made.aclose)
    voices = {name: await _speaking(name, voice, settings, stack, tasks) for name, voice in made.whole.items()}
    _begin_at_zero(settings, parts.metrics)
    if settings.agent_replies:
        for name, server in answerers.servers.items():
            if isinstance(server, OpenAIAnswerer):
                await tasks.own(stack, partial(warm_up, server), _task("agent.warm_up", name), may_return=True)
    webhooks = ToolWebhooks()
    stack.push_async_callback(webhooks.aclose)
    return Agent(
        speakers=SpeakersByFlag(parts.flags, answerers=answerers.by_name, voices=voices, context_of=parts.context_of),
        cutter=Cutter,
        phrase=voices[DEFAULT].phrase,
        budget=budget,
        language=settings.gcp_stt_language,
        settings=LiveAgentSettings(settings, parts.live).now,
        post_tool=webhooks.carry_out,
    )


def _answerers(settings: Settings, metrics: Metrics, budget: SpeculationBudget) -> Answerers:
    parts = AnswererParts(
        may_hedge=lambda: budget.spend(asyncio.get_running_loop().time()),
        on_hedge=metrics.replies.hedged,
        on_failover=metrics.replies.failed_over,
    )
    return Answerers(settings.answerer_specs, settings.answerer_keys(), parts)


def _begin_at_zero(settings: Settings, metrics: Metrics) -> None:
    """Show the series of all variants: one that appears at 1 was never seen to grow, and raises no alert."""
    specs = settings.answerer_specs
    variants = {
        *(Variants(name, DEFAULT) for name in specs),
        *(Variants(DEFAULT, name) for name in settings.voice_specs),
    }
    metrics.reply_times.begin_at_zero(sorted(variants))
    metrics.replies.begin_variants_at_zero(sorted(variants))
    metrics.replies.begin_requests_at_zero(
        hedges=[(name, outcome) for name, spec in specs.items() if spec.kind == "hedged" for outcome in HedgeOutcome],
        failovers=[(name, reason) for name, spec in specs.items() if spec.then for reason in FAILOVERS],
    )


async def _speaking(name: str, voice: Voice, settings: Settings, stack: AsyncExitStack, tasks: Tasks) -> Speaking:
    """Begin to have the phrases spoken in a voice."""
    language = settings.gcp_stt_language
    phrases = Phrases(PhraseCache(voice, language), settings.phrases(language), language)
    await tasks.own(stack, phrases.cache.run, _task("agent.phrases", name))
    if isinstance(voice, ConnectedVoice):
        await tasks.own(stack, partial(warm_up_voice, voice), _task("agent.warm_up_voice", name), may_return=True)
    return Speaking(voice, phrases.sound)


def _task(task: str, name: str) -> str:
    """Return the name of a task for one of several answerers or voices."""
    return task if name == DEFAULT else f"{task}.{name}"


def peers(settings: Settings) -> tuple[Mapping[str, Peer], Mapping[str, Peer]]:
    """Return the servers of answerers and voices, as spans describe them, by name; not where one of two may answer."""
    answerers = {
        name: Peer(spec.url, spec.model, OPENAI if spec.kind == "openai" else "")
        for name, spec in settings.answerer_specs.items()
        if spec.url and not spec.then
    }
    voices = {
        name: Peer(spec.url, spec.model)
        for name, spec in settings.voice_specs.items()
        if spec.kind == "openai" and not spec.then
    }
    return answerers, voices


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
                limits=self._settings.limits,
                transfers=self._settings.transfer_allowed,
                tools=self._settings.tools,
                lead_fields=self._settings.lead_fields,
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
            "[VOICE] the voice cannot be used; until it can, callers hear the voice behind it, or stored phrases",
            voice=voice.name,
            reason=error.reason,
            error=str(error),
        )
