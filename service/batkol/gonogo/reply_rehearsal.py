"""The part of a rehearsal in which the agent answers: a call of its own, beside the others.

Whether it answers is the service's own word on this call: the flag `agent-replies` may say so where AGENT_REPLIES does
not, and may leave out this call where it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from batkol.client import Batkol
from batkol.gonogo import reply_checks
from batkol.gonogo.checks import Check, RehearsalLimits
from batkol.gonogo.heard import HeardText, heard_from, said_by_agent
from batkol.gonogo.reply_call import ReplyTalk, Speak
from batkol.gonogo.target import Target, see_that_it_was_a_call
from batkol.live.flag_definitions import REPLIES_FLAG
from batkol.simulators.client.conversation import CallScript, observe
from batkol.simulators.twilio.plan import new_sid
from batkol.status import ServiceStatus

NOT_REHEARSED: Final = "no reply is rehearsed"


class ReplyRehearsal:
    """Talks with the agent, if it answers the rehearsal's call."""

    def __init__(
        self,
        target: Target,
        *,
        limits: RehearsalLimits,
        deadline_s: float,
        write_line: Callable[[str], None],
        speak: Speak = CallScript.say,
    ) -> None:
        self.heard: list[HeardText] = []
        self._target = target
        self._limits = limits
        self._deadline_s = deadline_s
        self._write_line = write_line
        self._speak = speak

    async def begin(self, state: ServiceStatus, tasks: asyncio.TaskGroup) -> asyncio.Task[list[Check]] | None:
        """Begin the call beside the others, or have it first where there is no place for two.

        None if the agent answers no caller. Cancelling it leaves the call to the group.
        """
        if not state.agent.replies and REPLIES_FLAG not in state.flags.defined:
            self._note(f"the agent answers no caller (AGENT_REPLIES, flag {REPLIES_FLAG}); {NOT_REHEARSED}")
            return None
        task = tasks.create_task(self.run(state), name="gonogo.replies")
        if state.max_calls - state.active_calls < 2:
            await asyncio.wait((task,))
        return task

    async def run(self, state: ServiceStatus) -> list[Check]:
        """Place the call and talk with the agent. Return no check if it does not answer this call.

        Raises `RehearsalImpossibleError`, `ClientError`. Cancelling it drops the call.
        """
        target = self._target
        plan = target.plan(new_sid("CA"))
        answered = False

        async def hang_up() -> None:
            async with Batkol(target.internal.url, target.internal.token, scope=target.internal.scope) as batkol:
                await batkol.call(plan.call_sid).hangup()

        talk = ReplyTalk(hang_up, greeted=state.agent.greeting, speak=self._speak)

        async def carry_out(conversation: CallScript) -> None:
            nonlocal answered
            await conversation.until(lambda: conversation.watch.started is not None)
            answered = await self._answers(plan.call_sid, otherwise=state.agent.replies)
            if answered:
                self._note("a call that the agent answers, beside the others")
                await talk.carry_out(conversation)

        observed = await observe(plan, target.internal, carry_out, patience_s=self._deadline_s, on_event=talk.observe)
        see_that_it_was_a_call(observed, target)
        if answered:
            self.heard += [*heard_from(reply_checks.PART, observed), *said_by_agent(reply_checks.PART, talk.seen)]
            return reply_checks.replies(observed, talk.seen, self._limits)
        self._note(
            f"the agent does not answer this call (flag {REPLIES_FLAG}); {NOT_REHEARSED}. Choose numbers that the flag "
            "has answers for with --from and --to"
        )
        return []

    async def _answers(self, call_sid: str, *, otherwise: bool) -> bool:
        """Ask the service whether the agent answers this call. `otherwise`: where it is too old to say."""
        internal = self._target.internal
        async with Batkol(internal.url, internal.token, scope=internal.scope) as batkol:
            said = (await batkol.call(call_sid).details()).agent_replies
        return otherwise if said is None else said

    def _note(self, line: str) -> None:
        self._write_line(f"{reply_checks.PART}: {line}")
