"""The question to one vendor that no call asks: whether it takes our requests. It is asked until it does.

The breakers learn from calls. Wrong credentials should show before the first one, and a pod that is not ready for
them gets no call to find out by that they were put right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final

import structlog

from batkol.errors import UpstreamError
from batkol.recognizers.google.remedies import CREDENTIALS
from batkol.speech.breaker import Breaker, StepFailure
from batkol.transcription.recognizers import failure

ASK_EVERY: Final = 30.0  # seconds between two questions while a vendor refuses us

_WHO_WE_ARE: Final = frozenset({"unauthenticated", "permission_denied", CREDENTIALS})
"""Refusals of the credentials: a request so refused stands for a stream. Any other may be about the request alone."""

log = structlog.get_logger()


class CheckState(StrEnum):
    """Results of a question that no call asked."""

    NOT_ASKED = "not_asked"
    ACCEPTED = "accepted"
    REFUSED = "refused"  # no repetition is accepted before a correction
    NO_ANSWER = "no_answer"  # the vendor is not reached, or has too much to do


_UNSETTLED: Final = frozenset({CheckState.REFUSED, CheckState.NO_ANSWER})


class VendorCheck:
    """One per vendor. `ask` asks once, bounded, and raises `UpstreamError`; its result goes to the breaker `asked`.

    The breakers of `others` are of steps with the same credentials, which the answer does not try by itself.
    """

    def __init__(self, vendor: str, ask: Callable[[], Awaitable[object]], *, asked: Breaker) -> None:
        self.vendor = vendor
        self.state = CheckState.NOT_ASKED
        self.at: float | None = None
        """Time of the newest answer, or of giving up, by the loop's clock."""
        self.failure = StepFailure("")
        self.refused = asyncio.Event()
        """Set by a refusal that a call met."""
        self.ask_every = ASK_EVERY
        self._ask = ask
        self._asked = asked
        self.others: list[Breaker] = []
        self._loop = asyncio.get_running_loop()

    async def start(self) -> None:
        """Ask once, at the start of the process."""
        await self.ask()
        if self.state is CheckState.NO_ANSWER:
            self.refused.set()

    async def run(self) -> None:
        """Ask after a refusal, until the vendor accepts. Cancelling it loses nothing, and neither does a death."""
        while True:
            await self.refused.wait()
            self.refused.clear()
            try:
                await self._ask_until_accepted()
            except BaseException:
                self.refused.set()  # still to be asked
                raise

    async def _ask_until_accepted(self) -> None:
        asked = self._asked
        if not asked.grave and self.state not in _UNSETTLED:
            await self.ask()  # other steps are refused, and this one has not been asked yet
        while asked.grave or self.state in _UNSETTLED:
            await asyncio.sleep(self.ask_every)
            await self.ask()

    async def ask(self) -> None:
        """Ask once; keep, log and act on what it comes to."""
        refused = self._asked.grave
        try:
            await self._ask()
        except UpstreamError as error:
            now = self._loop.time()
            failed = failure(error)
            self._note(CheckState.NO_ANSWER if error.retryable else CheckState.REFUSED, failed)
            self._asked.fail(now, failed, grave=not error.retryable)
            if error.reason in _WHO_WE_ARE:
                for breaker in self.others:
                    breaker.fail(now, failed, grave=True)
        else:
            now = self._loop.time()
            self._note(CheckState.ACCEPTED, StepFailure(""))
            self._asked.succeed(now)
            for breaker in self.others:
                if refused and breaker.grave:  # what refused both and takes one again takes both
                    breaker.succeed(now)

    def _note(self, state: CheckState, failed: StepFailure) -> None:
        """Keep what a question came to, and log it if it is news."""
        news = (state, failed) != (self.state, self.failure)
        first = self.state is not CheckState.REFUSED
        self.state, self.at, self.failure = state, self._loop.time(), failed
        if not news:
            return
        fields = {"reason": failed.reason, "said": failed.said, "remedy": failed.remedy}
        match state:
            case CheckState.ACCEPTED:
                log.info(f"[STT] {self.vendor} accepted the service's request")
            case CheckState.NO_ANSWER:
                log.warning(
                    f"[STT] {self.vendor} does not answer the service's request; calls try all the same, and the "
                    "service asks again every 30 s",
                    **fields,
                )
            case CheckState.REFUSED if not first:  # the first refusal is said by the breaker that it opens
                log.error(f"[STT] {self.vendor} refuses the service's request for another reason", **fields)
