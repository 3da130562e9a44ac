"""The end of one call from within: when the caller has heard the last word, Twilio hangs up, or transfers the caller.

Closing the socket does not hang up: Twilio goes on with the next verb, which asks the voice webhook again. So Twilio's
REST API ends the call, and the stream stays open until Twilio stops it. Where the API cannot be asked, the socket is
closed, and the webhook, which knows of this end, answers with a hang-up (ADR 0032).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Protocol

from structlog.typing import FilteringBoundLogger

from batkol.calls.reasons import DRAINED, HUNG_UP, POD_LEFT, REPLACED, TRANSFERRED
from batkol.calls.telephone import NO_LABEL, Telephone
from batkol.errors import ConfigurationError, UpstreamError
from batkol.events.identity import Identity
from batkol.twilio import twiml
from batkol.twilio_api.control import CallControl, TwilioCall, Updated

_KEPT: Final = frozenset({REPLACED, "refused", "error"})
"""Ends from outside that stay what they are while the call is being hung up."""


class EndingCall(Protocol):
    """The call that ends."""

    def end(self, reason: str) -> None: ...


class EndingLine(Protocol):
    """The sound to the caller, as the end of the call needs it."""

    async def wait_echo(self, within_s: float) -> bool:
        """Wait until the peer has played all that was queued; false if it does not say so in time."""
        ...


class LineEnd:
    """The end of one call. Its work is done in a task of the call's group, one at a time."""

    def __init__(
        self, identity: Identity, call: EndingCall, line: EndingLine, telephone: Telephone, log: FilteringBoundLogger
    ) -> None:
        self._sids = TwilioCall(identity.account_sid, identity.call_sid)
        self._call = call
        self._line = line
        self._telephone = telephone
        self.log = log
        self._tasks: asyncio.TaskGroup
        self._task: asyncio.Task[None] | None = None
        self._reason = ""  # of the end that is under way
        self._asking = False  # Twilio has a request for that, or has carried it out

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """The call begins; its work will be done in `tasks`."""
        self._tasks = tasks

    def cancel(self) -> None:
        """The stream is over: ask nothing any more."""
        if self._task is not None:
            self._task.cancel()

    @property
    def under_way(self) -> bool:
        """Whether the call is being hung up or transferred."""
        return bool(self._reason)

    def reason_for(self, reason: str, *, decided: bool) -> str:
        """Return the reason of an end that comes from outside: it may be the one that was asked for.

        A pod that leaves ends what it was about to hang up, or had decided to: the call must not come back on another
        one.
        """
        if reason in _KEPT or not (self._reason or decided):
            return reason
        if reason in {DRAINED, POD_LEFT}:
            return reason if self._reason == TRANSFERRED else self._reason or HUNG_UP
        return self._reason if self._asking else reason

    def hang_up(self, reason: str = "") -> None:
        """Have Twilio end the call."""
        self._reason = reason or HUNG_UP
        self._task = self._tasks.create_task(self._survive(self._hang_up), name="call.hang_up")

    def transfer(self, label: str, refused: Callable[[], None]) -> None:
        """Have Twilio connect the caller to the number or SIP URI behind a label. The label alone is logged.

        `refused` is called if the call goes on here.
        """
        work = partial(self._transfer, label, refused)
        self._task = self._tasks.create_task(self._survive(work), name="call.transfer")

    async def _survive(self, work: Callable[[], Awaitable[None]]) -> None:
        """A defect ends the call as far as the service can, and leaves the transcription what it has."""
        try:
            await work()
        except Exception:
            self.log.exception("[CALL] the call was not ended as asked, by a defect of the service; it is closed")
            self._call.end(self._reason or HUNG_UP)

    async def _hang_up(self) -> None:
        """The stream's stop, which cancels this, is the good end."""
        control, patience = self._telephone.control, self._telephone.patience
        await self._line.wait_echo(patience.echo)
        if control is None:
            self._telephone.count("hang_up", "closed")
            self.log.info("[CALL] service closes the stream to hang up", why=self._telephone.why_no_control)
        else:
            await self._have_twilio_hang_up(control)
        self._call.end(self._reason)

    async def _have_twilio_hang_up(self, control: CallControl) -> None:
        patience = self._telephone.patience
        try:
            await self._asked("hang_up", lambda: control.complete(self._sids, within_s=patience.hang_up))
        except UpstreamError as error:
            self.log.error(
                "[CALL] Twilio did not hang up; the service closes the stream, and the voice webhook hangs up",
                err=str(error),
            )
        else:
            await asyncio.sleep(patience.stop)
            self.log.warning("[CALL] Twilio hung up and did not stop the stream; the service closes it")

    async def _transfer(self, label: str, refused: Callable[[], None]) -> None:
        control, target = self._telephone.control, self._telephone.transfers().get(label)
        if control is None or target is None:
            self._telephone.count("transfer", "unknown_label" if target is None else "no_credentials")
            self._log_refusal(label, NO_LABEL if target is None else self._telephone.why_no_control)
            refused()
            return
        self._reason = TRANSFERRED
        patience = self._telephone.patience
        try:
            dial = twiml.dial(target)
            await self._line.wait_echo(patience.echo)
            await self._asked("transfer", lambda: control.redirect(self._sids, dial, within_s=patience.transfer))
        except (UpstreamError, ConfigurationError) as error:
            self._reason = ""
            self._log_refusal(label, str(error))
            refused()
            return
        self.log.info("[CALL] Twilio transfers the caller", label=label)
        await asyncio.sleep(patience.stop)
        self._call.end(TRANSFERRED)

    def _log_refusal(self, label: str, why: str) -> None:
        self.log.error(
            "[CALL] transfer failed; the caller hears an apology, and the call goes on", label=label, err=why
        )

    async def _asked(self, action: str, ask: Callable[[], Awaitable[Updated]]) -> None:
        """Ask Twilio, and count what came of it. Raises `UpstreamError`."""
        self._asking = True
        try:
            outcome = await ask()
        except UpstreamError as error:
            self._asking = False
            self._telephone.count(action, error.reason)
            raise
        except asyncio.CancelledError:  # the stream ended: Twilio was quicker than its answer, or the caller was
            self._telephone.count(action, "stopped")
            raise
        self._telephone.count(action, outcome.value)
