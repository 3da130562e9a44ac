"""The agent of a process, made of its settings: who answers, who speaks, what it says by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import structlog

from batkol.answering.answerer import AnswererError
from batkol.answering.behind import FAILOVERS
from batkol.answering.factory import AnswererParts, Answerers
from batkol.answering.hedged import HedgeOutcome
from batkol.answering.openai import OpenAIAnswerer
from batkol.app.agent_settings import LiveAgentSettings, Phrases
from batkol.app.speakers import SpeakersByFlag, Speaking
from batkol.app.upstreams import Upstreams
from batkol.conversation.actions import StockPhrase
from batkol.conversation.agent import Agent
from batkol.conversation.budget import SpeculationBudget
from batkol.conversation.events import ToolOutcome
from batkol.conversation.tools.webhook import ToolWebhooks
from batkol.events.identity import Chosen
from batkol.flags.context import CallContext
from batkol.flags.flags import Flags
from batkol.live.config import Live
from batkol.named_specs import DEFAULT
from batkol.settings import Settings
from batkol.speech.pieces import Cutter
from batkol.supervision.tasks import Tasks
from batkol.telemetry.metrics import Metrics
from batkol.telemetry.names import OPENAI
from batkol.telemetry.reply_metrics import Variants
from batkol.tools.definition import SAVE_LEAD
from batkol.tracing.peer import Peer
from batkol.voices.factory import VoiceParts, VoicesByName
from batkol.voices.phrases import PhraseCache
from batkol.voices.voice import ConnectedVoice, Voice, VoiceError

log = structlog.get_logger()

GREETING_S: Final = 2.0
"""Seconds that the start waits for the greeting's sound: the first callers should hear it, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentParts:
    """Parts of the process that the agent uses."""

    live: Live
    flags: Flags
    metrics: Metrics
    voices: VoiceParts
    context_of: Callable[[str], CallContext]
    """The context of the flags for the call with this SID."""
    chosen_of: Callable[[str], Chosen]
    """The choice that was made for the call with this SID."""
    upstreams: Upstreams = field(default_factory=Upstreams)


async def agent(settings: Settings, parts: AgentParts, stack: AsyncExitStack, tasks: Tasks) -> Agent:
    """Make the agent, and have its phrases synthesized, in each voice.

    Without a flag to say so, an agent that does not reply has voices for the API. Raises `ConfigurationError` for a
    voice that is not installed.
    """
    budget = SpeculationBudget(settings.speculative_attempts_per_minute)
    answerers = _answerers(settings, parts, budget)
    stack.push_async_callback(answerers.aclose)
    watched = replace(parts.voices, watch=parts.upstreams.voice)
    made = VoicesByName(settings.voice_specs, settings.voice_keys(), watched)
    stack.push_async_callback(made.aclose)
    in_force = LiveAgentSettings(settings, parts.live)
    voices = {name: await begin_to_speak(name, voice, in_force, stack, tasks) for name, voice in made.whole.items()}
    _begin_at_zero(settings, parts.metrics)
    _begin_tools_at_zero(in_force, parts.metrics)
    stack.callback(parts.live.on_change(lambda _: _begin_tools_at_zero(in_force, parts.metrics)))
    if settings.agent_replies:
        for name, server in answerers.servers.items():
            if isinstance(server, OpenAIAnswerer):
                await tasks.own(stack, partial(warm_up, server), _task("agent.warm_up", name), may_return=True)
    webhooks = ToolWebhooks()
    stack.push_async_callback(webhooks.aclose)
    return Agent(
        speakers=SpeakersByFlag(
            parts.flags,
            answerers=answerers.by_name,
            voices=voices,
            context_of=parts.context_of,
            chosen_of=parts.chosen_of,
        ),
        cutter=Cutter,
        phrase=voices[DEFAULT].phrase,
        budget=budget,
        language=settings.gcp_stt_language,
        settings=in_force.now,
        post_tool=webhooks.carry_out,
    )


def _answerers(settings: Settings, agent_parts: AgentParts, budget: SpeculationBudget) -> Answerers:
    metrics = agent_parts.metrics

    def failed_over(name: str, reason: str) -> None:
        metrics.replies.failed_over(name, reason)
        log.warning("[AGENT] an answerer gave no text; the one behind it is asked", answerer=name, reason=reason)

    parts = AnswererParts(
        may_hedge=lambda: budget.spend(asyncio.get_running_loop().time()),
        on_hedge=metrics.replies.hedged,
        on_failover=failed_over,
        watch=agent_parts.upstreams.answerer,
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
        failovers=[
            (name, reason) for name, spec in specs.items() if spec.then or spec.kind == "hedged" for reason in FAILOVERS
        ],
    )


def _begin_tools_at_zero(in_force: LiveAgentSettings, metrics: Metrics) -> None:
    settings = in_force.now()
    tools = [tool.name for tool in settings.tools]
    metrics.tools.begin_at_zero([*tools, SAVE_LEAD] if settings.lead_fields else tools, ToolOutcome)


async def begin_to_speak(
    name: str, voice: Voice, in_force: LiveAgentSettings, stack: AsyncExitStack, tasks: Tasks
) -> Speaking:
    """Begin to have the phrases spoken in a voice; return when the default one has spoken the greeting, or soon."""
    cache = PhraseCache(voice, in_force.language)
    cache.want(in_force.texts().get(StockPhrase.GREETING, ""))  # before all others: the first callers hear it first
    phrases = Phrases(cache, in_force.texts, in_force.language)
    stack.callback(in_force.live.on_change(lambda change: phrases.refresh() if change.reply else None))
    await tasks.own(stack, phrases.cache.run, _task("agent.phrases", name))
    if name == DEFAULT and (greeting := in_force.texts().get(StockPhrase.GREETING)):
        with suppress(TimeoutError, VoiceError):  # the task above goes on trying, and logs it
            async with asyncio.timeout(GREETING_S):
                await phrases.cache.ensure(greeting)
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


async def warm_up(answerer: OpenAIAnswerer) -> None:
    """Open a connection before the first caller needs it. What would keep the answerer from answering is noted."""
    with suppress(AnswererError):
        await answerer.warm_up()


async def warm_up_voice(voice: ConnectedVoice) -> None:
    """Open a connection before the first caller needs it. What would keep the voice from speaking is noted."""
    with suppress(VoiceError):
        await voice.warm_up()
