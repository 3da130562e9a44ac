"""The owner of one call's turns: feeds the turn table, carries out its actions, keeps what was said and heard.

It lives in a task of its own beside the call's transcription. The task waits for defects alone: an input is taken where
it comes, since waking a task for each interim costs more than the interim. A defect stays within the conversation: it
costs the caller an apology, and the transcription nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from contextvars import Context, copy_context
from typing import Any, Final

from batkol.alarm import Alarm
from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from batkol.conversation import actions as act
from batkol.conversation import inputs
from batkol.conversation.action_runner import ActionRunner, RunnerParts
from batkol.conversation.actions import StockPhrase
from batkol.conversation.agent import Agent, AgentSettings, new_turns
from batkol.conversation.announcements import Announcements, LineClosedError
from batkol.conversation.beginning import ReplyBeginner, ReplyParts
from batkol.conversation.call_side import CallSide
from batkol.conversation.handover import ConversationParts, Handover
from batkol.conversation.history import ConversationSoFar, History
from batkol.conversation.last_sentence import LastSentence
from batkol.conversation.limits import Spent
from batkol.conversation.replies import Replies
from batkol.conversation.tools.running import ToolRunner
from batkol.conversation.translation import translated
from batkol.conversation.voiced import Voiced
from batkol.transcription.events import TranscriptionEvent

__all__ = ["CallSide", "Conversation"]

MOST_FAULTS: Final = 3
"""Defects of the service in one call after which the agent is silent; the transcription goes on."""


class Conversation:
    """The turns of one call. `observe` never waits; `run` lasts as long as the call."""

    def __init__(self, agent: Agent, call: CallSide, *, greet: bool = True) -> None:
        self._agent = agent
        self._call = call
        self._greet = greet
        self._loop = asyncio.get_running_loop()
        self.reply_revision = ""
        """The revision of the reply settings that the newest turn was begun with."""
        self._turns = new_turns(self._settings(), agent.language)
        self._history = History()
        self._inputs: deque[inputs.Input] = deque()
        self._alarm = Alarm(self._work)
        self._busy = True  # inputs are being handled, further up the stack, or the task does not run
        self._context: Context
        self._spent = Spent()
        self._begun = False
        self._over = False  # no input is taken any more
        self._tasks: asyncio.TaskGroup
        self._defect: asyncio.Future[None]
        self._replies = Replies(call, self._history, self._put, self._loop.time)
        self._announcements = Announcements(agent, call, self._replies, self._put)
        self._announcements.spent = self._spent
        tools = ToolRunner(call, agent.post_tool, self._put, self._spawn)
        self._replies.answered = tools.answered
        said = ConversationParts(self._turns, tools, self._history, self._replies, self._announcements, self._spent)
        self._handover = Handover(said, self._loop.time())
        parts = ReplyParts(self._history, self._replies, tools, self._handover, self._spent)
        self._begin = ReplyBeginner(agent, call, parts, self._put, self._spawn)
        runner = RunnerParts(self._begin, self._replies, self._announcements)
        self._actions = ActionRunner(call, runner, self._settings, self._put, self._spawn)
        self._last_sentence = LastSentence(self._replies, call.line)
        call.line.on_written = self._on_written

    # -- in ----------------------------------------------------------------------------------------------------------

    def observe(self, event: TranscriptionEvent) -> None:
        """Take note of an event of the call's recognition; never blocks, and never raises."""
        try:
            turned = translated(event, self._spoken_at)
            if type(turned) is inputs.TextChanged and self._overhears(turned):
                return
        except Exception:  # the transcription must go on
            self._call.log.exception("[AGENT] the conversation missed an event by a defect of the service")
            return
        if turned is not None:
            self._put(turned)

    def _overhears(self, words: inputs.TextChanged) -> bool:
        """Take the words at once, if they change nothing but when something is due: most events are these."""
        now = self._loop.time()
        if self._inputs or self._busy or self._over or self._turns.is_due(now):
            return False
        is_taken = self._turns.overhears(words, now)
        self._alarm.arm(self._turns.deadline)
        return is_taken

    def go_on_from(self, earlier: ConversationSoFar) -> None:
        """Begin where an earlier stream of the call ended; before `run`."""
        self._handover.take(earlier, self._loop.time())

    def so_far(self, *, over: bool) -> ConversationSoFar:
        """Return the conversation for the next stream. `over`: this stream has ended, and what was heard is settled."""
        if over and not self._over:
            self._close()
        return self._handover.so_far(self._loop.time(), self._agent.settings().words.telling)

    def wind_down(self, within_s: float) -> None:
        """Begin no further turn; the sentences that the caller can hear within so many seconds go on."""
        self._put(inputs.CallClosing())
        self._last_sentence.end_within(int(within_s * SAMPLE_RATE))

    @property
    def open_line(self) -> Announcements:
        """The announcements of the call. Raises `LineClosedError` when none would be said any more."""
        if not self._begun or self._over or self._turns.closing:
            raise LineClosedError("the call is about to end")
        return self._announcements

    def clear(self) -> int:
        """Silence the line at once and drop the announcements that wait.

        Return the milliseconds that the caller has heard of what was said; 0 if nothing was. Raises `LineClosedError`.
        """
        self.open_line  # noqa: B018  it raises
        voiced = self._replies.playout.audible
        self._put(inputs.ClearAsked())
        return 0 if voiced is None else voiced.samples_heard // SAMPLES_PER_MS

    def end(self, asked: inputs.EndAsked) -> None:
        """End the call when what is said is over. Raises `LineClosedError` where its end is decided already."""
        self.open_line  # noqa: B018  it raises
        self._put(asked)

    def press(self, key: str) -> None:
        """The caller pressed a key."""
        self._put(inputs.DigitPressed(key))

    @property
    def carries_out(self) -> bool:
        """Whether a tool is being carried out, for an unanswered turn or for one whose reply began before."""
        return self._handover.unfinished

    @property
    def hangs_up(self) -> bool:
        """Whether it is decided from within that the call is hung up."""
        return self._begun and self._turns.hangs_up

    def check_limits(self, age_s: float) -> None:
        """End the call if it has lasted, or cost, as much as it may. Called a few times a second; never blocks."""
        if self._begun and not (self._over or self._turns.closing):
            limits = self._agent.settings().limits
            if reason := limits.reached(age_s + self._handover.lasted_s, self._spent):
                self._call.log.warning("[CALL] call ends because it has reached a limit", limit=reason)
                self._put(inputs.EndAsked(reason=reason))

    def budgets_used(self) -> Mapping[str, float]:
        """Return the share that the call has used of each budget that it has."""
        return self._agent.settings().limits.shares(self._spent)

    def _put(self, event: inputs.Input) -> None:
        if not self._over:
            self._inputs.append(event)
            self._work()

    def _spoken_at(self, sample: int) -> float:
        return self._loop.time() - self._call.since(sample)

    def _on_written(self, _: int, end: int) -> None:
        """Sound was written: at once, and not in its turn, so that nothing can take back what the caller hears."""
        try:
            if (voiced := self._replies.playout.first_before(end)) is not None:
                self._sounded(voiced)
        except Exception:  # the line must go on
            self._call.log.exception("[AGENT] reply was played, and the conversation could not take note of it")

    def _sounded(self, voiced: Voiced) -> None:
        last_sample = self._turns.last_sample
        self._replies.start(voiced, last_sample)
        self._run(self._turns.handle(inputs.ReplySounded(voiced.attempt), self._loop.time()))
        self._work()

    # -- its life ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Converse until cancelled. What was heard by then is settled. A defect never leaves it: the call goes on."""
        self._context = copy_context()  # what comes is handled in the context of whatever it comes from
        try:
            self._begun = True
            self._choose_speakers()
            greet = self._greet and not self._handover.greeted
            self._put(inputs.CallOpened(greet=greet and self._begin.phrase(StockPhrase.GREETING) is not None))
            for owed in self._handover.owed():
                self._put(owed)
            for _ in range(MOST_FAULTS):
                await self._survive()
            self._call.log.error("[AGENT] the agent is silent for the rest of this call; the transcription goes on")
        except Exception:
            self._call.log.exception(
                "[AGENT] conversation failed by a defect of the service, and so did the apology; the agent is silent "
                "for the rest of this call, and the transcription goes on"
            )
        finally:
            self._close()

    def _close(self) -> None:
        """Take nothing more, and settle what was heard. A second call changes nothing."""
        self._over = True
        self._inputs.clear()
        self._alarm.disarm()
        self._call.line.on_written = lambda _, __: None
        for close in (self._replies.close, self._announcements.close):
            try:
                close(act.Unsaid.CLOSING)
            except Exception:  # the call must end as it would without an agent
                self._call.log.exception("[AGENT] a reply was not settled, by a defect of the service")

    async def _survive(self) -> None:
        """Converse; after a defect silence the agent, apologize to the caller and return."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._converse()
        except* Exception:
            self._call.log.exception(
                "[AGENT] conversation failed by a defect of the service; the caller hears an apology"
            )
        self._replies.close(act.Unsaid.DEFECT, self._call.line.clear())
        self._announcements.close(act.Unsaid.DEFECT)
        self._run(self._turns.handle(inputs.ServiceFailed(), self._loop.time()))

    async def _converse(self) -> None:
        """Handle what comes until cancelled. Raises what a defect raises."""
        self._defect = self._loop.create_future()
        self._busy = False
        try:
            self._work()
            await self._defect
        finally:
            self._busy = True

    def _work(self) -> None:
        """Handle the inputs that wait, and let happen what is due; never raises."""
        if self._busy:
            return
        self._busy = True
        try:
            while self._inputs or self._turns.is_due(self._loop.time()):
                if self._inputs:
                    self._handle(self._inputs.popleft())
                else:
                    self._tick()
        except Exception as error:  # noqa: BLE001 -- the task raises it, and survives it
            if not self._defect.done():
                self._defect.set_exception(error)
            return
        self._busy = False
        self._alarm.arm(self._turns.deadline)

    def _settings(self) -> AgentSettings:
        """Return the settings in force, and note which these are."""
        settings = self._agent.settings()
        self.reply_revision = settings.revision
        return settings

    # -- the table ---------------------------------------------------------------------------------------------------

    def _handle(self, event: inputs.Input) -> None:
        self._turns.set_path(self._call.line.path_s)
        if isinstance(event, inputs.CallerBegan):
            self._actions.newest_utterance = event.utterance
        if isinstance(event, (inputs.CallerBegan, inputs.DigitPressed)):
            settings = self._settings()
            self._turns.tune(settings.thresholds, settings.words)
            self._choose_speakers()
        self._run(self._turns.handle(event, self._loop.time(), self._replies.playout.sounding_text()))

    def _tick(self) -> None:
        if not self._turns.talking:
            self._choose_speakers()  # what a silent caller hears is a turn, too
        self._run(self._turns.tick(self._loop.time()))

    def _run(self, todo: Sequence[act.Action]) -> None:
        """Carry out the actions; then the current attempt may act, if the turn table lets it."""
        self._actions.run(todo)
        if (acting := self._turns.acting) is not None:
            self._replies.let_act(acting)

    def _choose_speakers(self) -> None:
        """Choose who answers and who speaks, unless a turn is under way: it ends with those that it began with."""
        if self._turns.between_turns:
            speakers = self._begin.choose_speakers()
            self._history.add_caller(self._turns.answer_from_now(answers=speakers.answerer is not None))

    def _spawn(self, speaking: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._tasks.create_task(speaking, name="conversation.reply", context=self._context.copy())
