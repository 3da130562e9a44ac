"""The agent of a process: who answers, who speaks, its phrases and its settings; shared by all conversations."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from batkol.answering.answerer import Answerer
from batkol.conversation.actions import StockPhrase
from batkol.conversation.budget import SpeculationBudget
from batkol.conversation.limits import CallLimits
from batkol.conversation.reply import TextCutter
from batkol.conversation.tools.webhook import PostTool, no_webhooks
from batkol.conversation.turns import Turns
from batkol.speech.lexicon import Lexicon, lexicon
from batkol.speech.turn_thresholds import TurnThresholds
from batkol.tools.definition import ToolDefinition
from batkol.voices.voice import Voice


class PhraseSound(Protocol):
    """A phrase that was synthesized."""

    @property
    def text(self) -> str: ...
    @property
    def mulaw(self) -> bytes: ...
    @property
    def word_ends(self) -> tuple[int, ...]: ...


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Settings that may change while calls are up. A conversation reads them at each turn."""

    revision: str = ""
    """The revision of `reply.json` that they are of."""
    prompt: str = ""
    time_zone: str = "UTC"
    """The zone of `{{time}}` in the prompt."""
    greeting_yields: bool = True
    thresholds: TurnThresholds = field(default_factory=TurnThresholds)
    words: Lexicon = field(default_factory=lexicon)
    limits: CallLimits = field(default_factory=CallLimits)
    transfers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Label to number or SIP URI. A model, a log and an event see the label alone."""
    tools: tuple[ToolDefinition, ...] = ()
    """The user's own tools, and the built-in ones that are named."""
    lead_fields: Mapping[str, Any] = field(default_factory=dict)
    """Name to JSON Schema, or to a text that says what the field is: the arguments of `save_lead`."""


@dataclass(frozen=True, slots=True)
class Speakers:
    """The answerer and the voice of one turn. The variants are the names of both in the settings."""

    answerer: Answerer | None
    """None: the agent answers nothing in this turn, and the API alone speaks."""
    voice: Voice
    answerer_variant: str = "default"
    voice_variant: str = "default"
    phrase: Callable[[StockPhrase], PhraseSound | None] | None = None
    """The phrases in this voice; None: those of `Agent.phrase`."""


@dataclass(frozen=True, slots=True)
class Agent:
    """Made once, by `batkol.app`."""

    speakers: Callable[[str], Speakers]
    """Chooses for a turn, or an announcement, of the call with that SID. It neither waits nor raises."""
    cutter: Callable[[], TextCutter]
    phrase: Callable[[StockPhrase], PhraseSound | None]
    """Return a phrase at once; None for one that is not said, or has no sound so far. `Speakers` may have others."""
    budget: SpeculationBudget
    language: str
    settings: Callable[[], AgentSettings] = AgentSettings
    post_tool: PostTool = no_webhooks
    """Asks the webhooks of the user's own tools."""
    unix_time: Callable[[], float] = time.time
    """The clock of `{{time}}` in prompts."""


def new_turns(settings: AgentSettings, language: str) -> Turns:
    """Return the turns of a call that begins. Until its first turn there is no answerer."""
    return Turns(
        settings.thresholds,
        settings.words,
        greeting_yields=settings.greeting_yields,
        answers=False,
        language=language,
    )
