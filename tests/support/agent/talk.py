"""One conversation with its real playout, Twilio's buffer and the caller's ear, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog

from batkol.answering.answerer import Answerer
from batkol.calls.playout import Playout
from batkol.conversation import events
from batkol.conversation.actions import StockPhrase
from batkol.conversation.agent import Agent, AgentSettings, Speakers
from batkol.conversation.announcements import Announcements
from batkol.conversation.budget import SpeculationBudget
from batkol.conversation.conversation import CallSide, Conversation
from batkol.conversation.history import ConversationSoFar
from batkol.conversation.tools.webhook import PostTool, no_webhooks
from batkol.events.order import disorder
from batkol.speech.pieces import Cutter
from batkol.speech.tentative import Tentative, WithdrawalReason, Withdrawn
from batkol.speech.utterance import Mode, Source, Utterance
from batkol.transcription import events as heard
from batkol.voices.phrases import Phrase
from batkol.voices.voice import Voice
from support.agent.scripted import SlowVoice
from support.events.published import of_conversation
from support.twilio.far_ear import SID, FarEar

PHRASE_TEXTS = {
    StockPhrase.FILLER: "בבקשה",
    StockPhrase.APOLOGY: "תודה שלום",
    StockPhrase.REPEAT: "מה",
    StockPhrase.IDLE: "איפה",
    StockPhrase.GOODBYE: "שלום תודה",
}


async def spoken(voice: Voice, text: str) -> Phrase:
    """Return a phrase in that voice."""

    async def only() -> AsyncIterator[str]:
        yield text

    sound, ends = b"", list[int]()
    async for each in voice.speak(only()):
        sound += each.mulaw
        ends += each.word_ends
    return Phrase(text, sound, tuple(ends))


class Talk:
    """A caller and the agent. The caller's side is said by the methods; the clock of samples begins with the loop's."""

    def __init__(
        self, agent: Agent, call: CallSide, line: Playout, ear: FarEar, seen: list[events.ConversationEvent]
    ) -> None:
        self.agent = agent
        self.call = call
        self.line = line
        self.conversation = Conversation(agent, call)
        self.ear = ear
        self.seen = seen
        self.hung_up = False
        self.reasons: list[str] = []
        """Of the ends that the conversation asked for."""
        self.transfers: list[str] = []
        """Labels that the caller was to be transferred to."""
        self.unix_time = 0.0
        self._loop = asyncio.get_running_loop()
        self._begun = self._loop.time()
        self._count = 0
        self.utterance: Utterance

    @property
    def samples(self) -> int:
        """Audio time: samples that the caller has spoken by now."""
        return round((self._loop.time() - self._begun) * 8000)

    def begin(self) -> Utterance:
        """The caller begins an utterance."""
        at = self.samples
        self.utterance = Utterance(index=self._count, begin=at, speech_at=at, mode=Mode.STREAMING)
        self._count += 1
        self.conversation.observe(heard.UtteranceOpened(self.utterance, None))
        return self.utterance

    def interim(self, text: str) -> None:
        self.conversation.observe(heard.Interim(self.utterance, text, self.samples, settled=False))

    def reaches(self, text: str) -> None:
        self.interim(text)
        self.conversation.observe(Tentative(self.utterance, 1, text, self.samples))

    def goes_on(self) -> None:
        self.conversation.observe(Withdrawn(self.utterance, 1, WithdrawalReason.SPEECH))

    def lasts(self) -> None:
        self.conversation.observe(heard.SpeechLasted(self.utterance, self.samples))

    def stop(self, *, ago_s: float = 0.58, silence_s: float = 0.58) -> None:
        """The end of speech is known; it was `ago_s` seconds ago. The detector needs `silence_s` to know it."""
        self.utterance.end = self.samples - round(ago_s * 8000)
        self.utterance.silent_to = self.utterance.end + round(silence_s * 8000)
        self.conversation.observe(heard.SpeechStopped(self.utterance))

    def final(self, text: str, source: Source = Source.FINAL, *, unheard: bool = False) -> None:
        self.utterance.source, self.utterance.unheard = source, unheard
        self.conversation.observe(heard.FinalReady(self.utterance, text))

    def revises(self, text: str) -> None:
        """The final of the newest utterance is corrected."""
        self.conversation.observe(heard.RevisionReady(self.utterance, text))

    async def say(self, text: str) -> None:
        """Say an utterance of a second as the detector and the recognizer have it; returns at the end of speech."""
        self.begin()
        await asyncio.sleep(0.4)
        self.interim(text.split(maxsplit=1)[0])
        await asyncio.sleep(0.6)
        await asyncio.sleep(0.25)  # the last word's interim
        self.reaches(text)
        await asyncio.sleep(0.33)
        self.stop()

    def of(self, kind: type[Any]) -> list[Any]:
        """Return the events of one kind so far."""
        return [event for event in self.seen if isinstance(event, kind)]

    @property
    def api(self) -> Announcements:
        """The line, as the API drives it."""
        return self.conversation.open_line

    def ends_of(self, reply_id: str) -> list[events.ConversationEvent]:
        """Return the ends of an announcement so far; it must have one."""
        ends = (events.ReplySettled, events.AnnouncementUnsaid)
        return [
            event
            for event in self.seen
            if (isinstance(event, ends) or (isinstance(event, events.AttemptFailed) and not event.has_sound))
            and event.reply_id == reply_id
        ]

    @property
    def words(self) -> list[str]:
        """The words that the caller's ear has heard."""
        return [word.text for word in self.ear.ear.words()]


@asynccontextmanager
async def talking(
    answerer: Answerer | None,
    *,
    voice: Voice | None = None,
    greeting: str = "",
    settings: AgentSettings | Callable[[], AgentSettings] | None = None,
    budget: int = 1000,
    post_tool: PostTool = no_webhooks,
    speakers_of: Callable[[str], Speakers] | None = None,
    earlier: ConversationSoFar | None = None,
    caller: str = "",
    called: str = "",
    **network: Any,
) -> AsyncIterator[Talk]:
    """Open a conversation over a network (`FarEar`).

    `speakers_of` chooses per turn, in the place of both; `earlier`: another stream of the call was here before.
    """
    voice = voice or SlowVoice()
    texts = {} if answerer is None else PHRASE_TEXTS
    phrases = {phrase: await spoken(voice, text) for phrase, text in texts.items()}
    if greeting:
        phrases[StockPhrase.GREETING] = await spoken(voice, greeting)
    loop = asyncio.get_running_loop()
    playout = Playout(SID)
    ear = FarEar(playout, **network)
    seen: list[events.ConversationEvent] = []
    begun = loop.time()
    talk: Talk

    def hang_up(reason: str) -> None:
        talk.hung_up = True
        talk.reasons.append(reason)

    speakers = Speakers(answerer, voice)

    def transfer(label: str, *_: object) -> None:
        talk.transfers.append(label)

    agent = Agent(
        speakers=speakers_of or (lambda _: speakers),
        cutter=Cutter,
        phrase=phrases.get,
        budget=SpeculationBudget(budget),
        language="he-IL",
        settings=settings if callable(settings) else lambda: settings or AgentSettings(),
        post_tool=post_tool,
        unix_time=lambda: talk.unix_time,
    )
    call = CallSide(
        call_sid="CA" + "0" * 32,
        stream_sid=SID,
        line=playout,
        since=lambda sample: loop.time() - begun - sample / 8000,
        observe=seen.append,
        hang_up=hang_up,
        transfer=transfer,
        log=structlog.get_logger(),
        caller=caller,
        called=called,
    )
    talk = Talk(agent, call, playout, ear, seen)
    if earlier is not None:
        talk.conversation.go_on_from(earlier)
    tasks = [asyncio.create_task(playout.run(ear.send)), asyncio.create_task(talk.conversation.run())]
    await asyncio.sleep(0)
    try:
        yield talk
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()  # raises what ended it
    assert disorder(of_conversation(seen), begun=True) == [], "of what subscribers get"
