"""The agent's settings in force: those of the environment, with what `reply.json` says in their place.

One rule for a service and for a chat in text: what is tried in text is what callers hear.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from msgspec import UNSET, UnsetType

from batkol.conversation.actions import StockPhrase
from batkol.conversation.agent import AgentSettings
from batkol.conversation.limits import CallLimits
from batkol.live.reply import ReplySettings
from batkol.live.turn_tuning import TurnTuning
from batkol.speech.lexicon import lexicon
from batkol.tools.definition import ToolDefinition

Value = TypeVar("Value")
_DEFAULT: TurnTuning = TurnTuning()


class AgentDefaults(Protocol):
    """The environment's part: what counts where `reply.json` says nothing."""

    @property
    def answerer_prompt(self) -> str: ...
    @property
    def time_zone(self) -> str: ...
    @property
    def greeting_interruptible(self) -> bool: ...
    @property
    def limits(self) -> CallLimits: ...
    @property
    def transfer_allowed(self) -> dict[str, str]: ...
    @property
    def tools(self) -> tuple[ToolDefinition, ...]: ...
    @property
    def lead_fields(self) -> dict[str, Any]: ...
    def phrases(self, language: str) -> dict[StockPhrase, str]: ...


def agent_settings(
    defaults: AgentDefaults, reply: ReplySettings, tuning: TurnTuning = _DEFAULT, *, may_transfer: bool = True
) -> AgentSettings:
    """Return the settings in force. `may_transfer`: whether something can transfer a caller."""
    turns = reply.turns(tuning)
    return AgentSettings(
        revision=reply.name,
        prompt=_or(reply.prompt, defaults.answerer_prompt),
        time_zone=defaults.time_zone,
        greeting_yields=_or(reply.greeting_interruptible, defaults.greeting_interruptible),
        thresholds=turns.thresholds,
        words=lexicon(turns.backchannel, turns.stopping),
        limits=_limits(reply, defaults.limits),
        transfers=_transfers(reply, defaults.transfer_allowed) if may_transfer else {},
        tools=_or(reply.tools, defaults.tools),
        lead_fields=_or(reply.lead_fields, defaults.lead_fields),
    )


def phrase_texts(defaults: AgentDefaults, reply: ReplySettings, language: str) -> Mapping[StockPhrase, str]:
    """Return the texts of the phrases that are not the stored ones; an empty one is not said."""
    given = {StockPhrase(name): text for name, text in reply.phrase_texts().items()}
    return defaults.phrases(language) | given


def _limits(reply: ReplySettings, otherwise: CallLimits) -> CallLimits:
    budget = reply.budget
    return CallLimits(
        longest_call_s=_or(reply.limits.longest_call_seconds, otherwise.longest_call_s),
        tokens=_or(budget.tokens, otherwise.tokens),
        minutes=_or(budget.minutes, otherwise.minutes),
        characters=_or(budget.characters, otherwise.characters),
    )


def _transfers(reply: ReplySettings, allowed: Mapping[str, str]) -> Mapping[str, str]:
    """Return the numbers that may be used now, by label. A label without a number leads nowhere."""
    if reply.transfers is UNSET:
        return allowed
    return {label: allowed[label] for label in reply.transfers if label in allowed}


def _or(value: Value | UnsetType, default: Value) -> Value:
    return default if value is UNSET else value
