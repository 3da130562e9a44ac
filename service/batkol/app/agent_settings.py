"""The agent's settings in force, of the environment and of `reply.json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from msgspec import UNSET, UnsetType

from batkol.calls.registry import CallRegistry
from batkol.conversation.actions import StockPhrase
from batkol.conversation.agent import AgentSettings
from batkol.conversation.limits import CallLimits
from batkol.live.config import Live
from batkol.live.reply import ReplySettings
from batkol.live.turn_tuning import TurnTuning
from batkol.settings import Settings
from batkol.speech.lexicon import lexicon
from batkol.voices.phrases import Phrase, PhraseCache
from batkol.voices.stored import Stored, stored

Value = TypeVar("Value")


class LiveAgentSettings:
    """Settings of the agent that may change while calls are up, made anew when the tuning or the file has changed."""

    def __init__(self, settings: Settings, live: Live) -> None:
        self._settings = settings
        self.live = live
        self.language = settings.gcp_stt_language
        self._made_of: tuple[TurnTuning, ReplySettings] | None = None
        self._made = AgentSettings()

    def now(self) -> AgentSettings:
        """Return what is in force; the same object until something changes."""
        turns, reply = self.live.tuning.turns, self.live.reply
        if self._made_of is None or self._made_of[0] is not turns or self._made_of[1] is not reply:
            self._made = self._make(reply.turns(turns), reply)
            self._made_of = turns, reply
        return self._made

    def texts(self) -> Mapping[StockPhrase, str]:
        """Return the texts of the phrases that are not the stored ones; an empty one is not said."""
        given = {StockPhrase(name): text for name, text in self.live.reply.phrase_texts().items()}
        return self._settings.phrases(self.language) | given

    def _make(self, turns: TurnTuning, reply: ReplySettings) -> AgentSettings:
        return AgentSettings(
            revision=reply.name,
            prompt=_or(reply.prompt, self._settings.answerer_prompt),
            greeting_yields=_or(reply.greeting_interruptible, self._settings.greeting_interruptible),
            thresholds=turns.thresholds,
            words=lexicon(turns.backchannel, turns.stopping),
            limits=_limits(reply, self._settings.limits),
            transfers=_transfers(reply, self._settings.transfer_allowed) if self._settings.twilio_account_sid else {},
            tools=_or(reply.tools, self._settings.tools),
            lead_fields=_or(reply.lead_fields, self._settings.lead_fields),
        )


class Phrases:
    """The phrases of the agent. A changed one is said with its old sound until the voice has spoken the new text.

    Until the voice has spoken one at all, the stored one of the same meaning is said.
    """

    def __init__(self, cache: PhraseCache, texts: Callable[[], Mapping[StockPhrase, str]], language: str) -> None:
        self.cache = cache
        self._now = texts
        self._stored = {StockPhrase(phrase.value): stored(phrase, language) for phrase in Stored}
        self._spoken: dict[StockPhrase, Phrase] = {}  # the newest sound of each, of the text in force or the one before
        self._texts: Mapping[StockPhrase, str] = {}
        self.refresh()

    def refresh(self) -> None:
        """Take up the texts in force, and have the new ones spoken in the background."""
        before = {self._text(phrase) for phrase in StockPhrase}
        for phrase in StockPhrase:
            self._keep(phrase, self._text(phrase))
        self._texts = dict(self._now())
        after = [self._text(phrase) for phrase in StockPhrase]
        for phrase, text in zip(StockPhrase, after, strict=True):
            if not text:
                self._spoken.pop(phrase, None)
        self.cache.forget(*before.difference(after))
        self.cache.want(*after)

    def sound(self, phrase: StockPhrase) -> Phrase | None:
        """Return a phrase at once; None for one that is not said, or has no sound so far."""
        text = self._text(phrase)
        if not text:
            return None
        self._keep(phrase, text)
        return self._spoken.get(phrase) or self._stored.get(phrase)

    def _keep(self, phrase: StockPhrase, text: str) -> None:
        if text and (spoken := self.cache.get(text)) is not None:
            self._spoken[phrase] = spoken

    def _text(self, phrase: StockPhrase) -> str:
        if phrase in self._texts:
            return self._texts[phrase]
        return self._stored[phrase].text if phrase in self._stored else ""


def calls_using(calls: CallRegistry, revision: str) -> int:
    """Return how many live calls began their newest turn with this revision of the reply settings."""
    talks = [call.conversation for call in calls if not call.ended_by]
    return sum(each is not None and each.reply_revision == revision for each in talks)


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
