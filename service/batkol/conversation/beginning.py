"""The begin of what the turn table asks for: attempts at a reply, and phrases, in the voice of the turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from batkol.answering.answerer import Question
from batkol.conversation import actions as act
from batkol.conversation import events, inputs
from batkol.conversation.actions import StockPhrase
from batkol.conversation.agent import Agent, AgentSettings, PhraseSound, Speakers
from batkol.conversation.call_side import CallSide
from batkol.conversation.handover import Handover
from batkol.conversation.history import History
from batkol.conversation.limits import Spent
from batkol.conversation.replies import Replies, Spawn
from batkol.conversation.reply import Reply, Speaker
from batkol.conversation.tools.running import ToolRunner
from batkol.conversation.voiced import Voiced
from batkol.prompt_facts import PromptFacts


class ReplyParts(NamedTuple):
    """The parts of a conversation that a reply is begun with."""

    history: History
    replies: Replies
    tools: ToolRunner
    handover: Handover
    spent: Spent


class ReplyBeginner:
    """One per conversation. `put` takes what the turn table must know, `spawn` begins a task of the conversation."""

    def __init__(
        self, agent: Agent, call: CallSide, parts: ReplyParts, put: Callable[[inputs.Input], None], spawn: Spawn
    ) -> None:
        self._agent = agent
        self._call = call
        self._parts = parts
        self._put = put
        self._spawn = spawn
        self._clock = asyncio.get_running_loop().time
        self._speakers: Speakers | None = None  # of the turn under way, or else of the one before

    def choose_speakers(self) -> Speakers:
        """Choose who answers and who speaks from now on."""
        self._speakers = speakers = self._agent.speakers(self._call.call_sid)
        return speakers

    def ask(self, ask: act.Ask, settings: AgentSettings, utterance: int) -> None:
        """Begin an attempt. `utterance` is the newest one of the turn."""
        agent, speakers, replies = self._agent, self._speakers, self._parts.replies
        if speakers is None or speakers.answerer is None:
            raise RuntimeError("the turn table asks an answerer that there is not")
        if ask.speculative and not agent.budget.spend(self._clock()):
            self._call.observe(events.AttemptFailed(ask.attempt, "budget", "spent"))
            self._put(inputs.AttemptLost(ask.attempt))
            return
        tools = self._parts.tools.for_attempt(settings, replies.turn + 1)
        facts = self._facts(settings)
        question = Question(
            text=ask.text,
            history=self._parts.history.messages,
            prompt=facts.fill(settings.prompt),
            facts=facts,
            tools=tools.offered,
            language=agent.language,
            call_sid=self._call.call_sid,
            turn=replies.turn + 1,
        )
        reply = Reply(question, Speaker(speakers.answerer, speakers.voice, agent.cutter, self._clock), tools)
        self._call.observe(_began(ask, speakers, speakers.answerer.name, utterance))
        tools.owner = voiced = replies.add(ask.attempt, reply)
        voiced.task = self._spawn(reply.run())
        voiced.task.add_done_callback(partial(self._done, voiced))

    def _facts(self, settings: AgentSettings) -> PromptFacts:
        agent, call = self._agent, self._call
        return PromptFacts(
            now=agent.unix_time(),
            time_zone=settings.time_zone,
            language=agent.language,
            caller=call.caller,
            called=call.called,
            lead=dict(self._parts.tools.lead),
            note=self._parts.handover.note(agent.language),
        )

    def say(self, say: act.SayPhrase) -> None:
        """Say a phrase; the goodbye, where no phrase of a limit has a sound."""
        sound = self.phrase(say.phrase)
        if sound is None and say.phrase is StockPhrase.LIMIT:
            sound = self.phrase(StockPhrase.GOODBYE)
        if sound is not None:
            self._parts.replies.play_phrase(say, sound)
        elif say.attempt:
            self._put(inputs.ReplyPlayed(say.attempt))

    def phrase(self, phrase: StockPhrase) -> PhraseSound | None:
        """Return a phrase in the voice of the turn; None for one that is not said, or has no sound so far."""
        speakers = self._speakers
        return (self._agent.phrase if speakers is None or speakers.phrase is None else speakers.phrase)(phrase)

    def _done(self, voiced: Voiced, task: asyncio.Task[None]) -> None:
        usage = None if voiced.reply is None else voiced.reply.usage
        self._parts.spent.add(voiced.track, usage)  # also of an attempt that was thrown away
        try:
            if not task.cancelled() and task.exception() is None:
                self._parts.replies.ended(voiced)
        finally:
            if voiced.reply is not None:
                voiced.reply.let_go()


def _began(ask: act.Ask, speakers: Speakers, answerer: str, utterance: int) -> events.AttemptBegan:
    return events.AttemptBegan(
        ask.attempt,
        utterance,
        ask.speculative,
        answerer,
        speakers.voice.name,
        speakers.answerer_variant,
        speakers.voice_variant,
    )
