"""One attempt at a reply: the answerer's text, cut into pieces, spoken by the voice, silent until it has a way out.

Two tasks: one reads the answer as it comes, one has it spoken. The sound goes into the track, and on to the caller only
while `release`d. Where the answer calls tools, the text before is spoken, the tools are carried out once the turn is
committed, and the answerer is asked again with their results. Closing what is under way cancels the requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

import msgspec

from batkol.answering.answerer import AnsweredBy, Answerer, AnswererError, Question, ToolCall, ToolResult, Usage
from batkol.conversation.history import corrected
from batkol.conversation.tools.turn_tools import Verdict
from batkol.conversation.track import Track
from batkol.conversation.usage import total
from batkol.speech.sameness import same
from batkol.voices.audible import audible
from batkol.voices.voice import Voice, VoiceError

LONGEST_S: Final = 180.0
"""Seconds of sound that one reply may have; the rest of a longer answer is not spoken."""


class TextCutter(Protocol):
    """Cuts text that comes in parts into pieces that can be spoken."""

    def append(self, text: str) -> list[str]: ...
    def flush(self) -> list[str]: ...


@dataclass(slots=True)
class Moments:
    """Moments of an attempt, in seconds of the loop's clock; None: not yet."""

    asked: float
    first_token: float | None = None
    first_piece: float | None = None
    first_sound: float | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """The part that failed, and a short word that says how."""

    part: str
    reason: str


class Tools(Protocol):
    """The tools of one attempt (`tools.running.AttemptTools`)."""

    @property
    def results(self) -> tuple[ToolResult, ...]: ...
    async def carry_out(self, calls: Sequence[ToolCall], *, spoken: bool) -> Verdict: ...
    def refuse(self, calls: Sequence[ToolCall]) -> Verdict: ...
    def end(self) -> None: ...
    def abandon_end(self) -> None: ...


class _Asked(NamedTuple):
    """A whole answer. `about` are the caller's words that it answers."""

    about: str
    text: str
    calls: Sequence[ToolCall]


@dataclass(slots=True)
class Speaker:
    """Parts that a reply is made with."""

    answerer: Answerer
    voice: Voice
    cutter: Callable[[], TextCutter]
    clock: Callable[[], float] = field(default_factory=lambda: asyncio.get_running_loop().time)


class Reply:
    """An attempt. `on_sound` is called with each new stretch of sound; `run` returns when all of it is there."""

    def __init__(self, question: Question, speaker: Speaker, tools: Tools | None = None) -> None:
        self.question = question
        self.tools = tools
        self.track = Track()
        self.moments = Moments(asked=speaker.clock())
        self.failure: Failure | None = None
        self.usage: Usage | None = None
        """Tokens of all its questions, if the answerer tells them."""
        self.answered_by = ""
        """The name in the settings of the answerer that gives its text, where one of several may."""
        self.voices: list[str] = []
        """The names of the voices that gave sound, in order; "" is the one that was asked."""
        self.owes_text = False
        """Whether tools were carried out, and the answerer has said nothing about them so far."""
        self.ends_call = False
        """Whether its tools end the call or transfer the caller; it may have no sound then."""
        self.whole = False
        """Whether no more sound will come."""
        self.on_sound: Callable[[Reply], None] = _nobody_waits
        self._read_out = False  # no more text will come
        self._speaker = speaker
        self._pieces: asyncio.Queue[str | None] = asyncio.Queue()
        self._committed = asyncio.Event()

    def correct(self, before: str, text: str) -> None:
        """The caller has said `text`, and not `before`, which was asked about: no further tool is called for that."""
        said = corrected(self.question.text, before, text)
        self.question = msgspec.structs.replace(self.question, text=said)

    def commit(self) -> None:
        """The turn is committed, and its words are known: its tools may be carried out."""
        self._committed.set()

    def hold(self) -> None:
        """The commit is taken back, or the caller interrupts: no further tool is carried out."""
        self._committed.clear()

    def give_up(self, *, on_the_line: bool = False) -> Failure:
        """Nothing more of it is waited for: name the part that hangs: the line, if that has its sound."""
        has_words = not (self._pieces.empty() and all(piece.whole for piece in self.track.pieces))
        part = "voice" if self._read_out or has_words else "answerer"
        if on_the_line:
            part = "line"
        self._fail(part, "stalled")
        return self.failure or Failure(part, "stalled")

    def let_go(self) -> None:
        """Let go, when the run is over, of those that were called and know it, so that nothing keeps its sound."""
        self.on_sound = _nobody_waits
        self.tools = None

    async def run(self) -> None:
        """Ask, cut and speak. What fails is in `failure`, and what was spoken before stands.

        Cancelling it cancels the requests.
        """
        reading = asyncio.create_task(self._read(), name="reply.read")
        try:
            await self._speak()
            await reading
        except VoiceError as error:
            self._fail("voice", error.reason)
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            self._fail("answerer" if reading.cancelled() else "voice", "cancelled")  # by itself: what it shares ended
        finally:
            if not reading.done():
                reading.cancel()
                await asyncio.wait((reading,))
            self.whole = True
        self.on_sound(self)

    async def _read(self) -> None:
        cutter = self._speaker.cutter()
        try:
            said = ""
            while (asked := await self._ask(cutter, said)).calls and self.tools is not None:
                self._offer(cutter.flush())
                said = f"{said} {asked.text}".strip()
                if not await self._carry_out(asked, self.tools):
                    break
            self._offer(cutter.flush())
        except AnswererError as error:
            self._fail("answerer", error.reason)
            self._offer(cutter.flush())
        finally:
            self._read_out = True
            self._pieces.put_nowait(None)

    async def _ask(self, cutter: TextCutter, said: str) -> _Asked:
        """Ask the answerer, with what its tools have given so far; hand its text on, and return all of the answer."""
        results = self.question.results if self.tools is None else self.tools.results
        question = self.question
        if (said, results) != (question.said, question.results):
            question = msgspec.structs.replace(question, said=said, results=results)
        texts: list[str] = []
        calls: list[ToolCall] = []
        async with aclosing(self._speaker.answerer.answer(question)) as answer:
            async for part in answer:
                match part:
                    case str():
                        self.moments.first_token = self.moments.first_token or self._speaker.clock()
                        self.owes_text = False
                        texts.append(part)
                        self._offer(cutter.append(part))
                    case ToolCall():
                        calls.append(part)
                    case AnsweredBy(name):
                        self.answered_by = name
                    case Usage():
                        self.usage = total(self.usage, part)
        return _Asked(question.text, "".join(texts), tuple(calls))

    async def _carry_out(self, asked: _Asked, tools: Tools) -> bool:
        """Carry out the tools that the answer calls, as soon as they may be; return whether it goes on.

        Those that were called for other words than the caller's are refused: the answerer calls them anew.
        """
        await self._until_committed()
        if same(asked.about, self.question.text):
            verdict = await tools.carry_out(asked.calls, spoken=any(map(str.isalnum, asked.text)))
        else:
            verdict = tools.refuse(asked.calls)
        if verdict is Verdict.GIVE_UP:
            self._fail("answerer", "too_many_calls")
        if verdict is Verdict.ENDS:
            try:
                await self._until_committed()
            except asyncio.CancelledError:
                tools.abandon_end()
                raise
            self.ends_call = True
            tools.end()
        self.owes_text = verdict is Verdict.GO_ON
        return self.owes_text

    async def _until_committed(self) -> None:
        while not self._committed.is_set():  # it may be taken back before this task runs
            await self._committed.wait()

    def _offer(self, pieces: list[str]) -> None:
        for piece in pieces:
            self.moments.first_piece = self.moments.first_piece or self._speaker.clock()
            self._pieces.put_nowait(piece)

    async def _to_speak(self) -> AsyncGenerator[str, None]:
        while (piece := await self._pieces.get()) is not None:
            self.track.add_piece(piece)
            yield piece

    async def _speak(self) -> None:
        async with (
            aclosing(self._to_speak()) as pieces,
            aclosing(self._speaker.voice.speak(pieces)) as spoken,
            aclosing(audible(spoken)) as sounds,
        ):
            async for sound in sounds:
                self.track.add_sound(sound.mulaw, sound.piece, last=sound.last, word_ends=sound.word_ends)
                if not sound.mulaw:
                    continue
                if sound.voice not in self.voices:
                    self.voices.append(sound.voice)
                self.moments.first_sound = self.moments.first_sound or self._speaker.clock()
                self.on_sound(self)
                if self.track.samples > LONGEST_S * 8000:
                    return

    def _fail(self, part: str, reason: str) -> None:
        self.failure = self.failure or Failure(part, reason)


def _nobody_waits(_: Reply) -> None:
    """Take a new stretch of sound for which nothing waits."""


def _is_cancelled() -> bool:
    """Whether the task that runs is cancelled. No frame of it may hold it: its error keeps its frames."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
