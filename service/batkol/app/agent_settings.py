"""The agent's settings in force, of the environment and of `reply.json`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from batkol.calls.registry import CallRegistry
from batkol.conversation.actions import StockPhrase
from batkol.conversation.agent import AgentSettings
from batkol.conversation.in_force import agent_settings, phrase_texts
from batkol.live.config import Live
from batkol.live.reply import ReplySettings
from batkol.live.reply_means import ReplyMeans
from batkol.live.turn_tuning import TurnTuning
from batkol.settings import Settings
from batkol.voices.phrases import Phrase, PhraseCache
from batkol.voices.stored import Stored, stored


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
            self._made = agent_settings(
                self._settings, reply, turns, may_transfer=bool(self._settings.twilio_account_sid)
            )
            self._made_of = turns, reply
        return self._made

    def texts(self) -> Mapping[StockPhrase, str]:
        """Return the texts of the phrases that are not the stored ones; an empty one is not said."""
        return phrase_texts(self._settings, self.live.reply, self.language)


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


def reply_means(settings: Settings) -> ReplyMeans:
    """Return what `reply.json` may name in this process."""
    return ReplyMeans.of(settings, os.environ)


def calls_using(calls: CallRegistry, revision: str) -> int:
    """Return how many live calls began their newest turn with this revision of the reply settings."""
    talks = [call.conversation for call in calls if not call.ended_by]
    return sum(each is not None and each.reply_revision == revision for each in talks)
