"""Health of the recognizers, for `/v1/status` and `/readyz`, and the check that runs when no call asks them.

The breakers learn from calls. Wrong credentials should show before the first one, and a pod that is not ready for
them gets no call to find out by that they were put right: so Google is asked here, with a moment of silence. What it
answers, and what to do about it, is in the log, in the status and in the readiness (docs/adr/0041).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import structlog

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.errors import UpstreamError
from batkol.recognizers.google.channels import Channels
from batkol.recognizers.google.remedies import CREDENTIALS
from batkol.speech.breaker import Breaker, BreakerState, StepFailure
from batkol.speech.utterance import Source
from batkol.status import USED_BY, BreakerStatus, CheckStatus
from batkol.telemetry.metrics import Metrics
from batkol.transcription.recognizers import Recognizer, Recognizers, failure

CHECK_TIMEOUT: Final = 5.0  # seconds; a start-up check without an answer by then decides nothing
ASK_EVERY: Final = 30.0  # seconds between two questions while Google refuses us
SILENCE: Final = b"\xff" * (SAMPLE_RATE // 10)

STREAMING: Final = "streaming"

_WHO_WE_ARE: Final = frozenset({"unauthenticated", "permission_denied", CREDENTIALS})
"""Refusals of the credentials; a request so refused stands for a stream. Any other may be about the request alone."""

log = structlog.get_logger()


class CheckState(StrEnum):
    """Results of a question to Google that no call asked."""

    NOT_ASKED = "not_asked"
    ACCEPTED = "accepted"
    REFUSED = "refused"  # no repetition is accepted before a correction
    NO_ANSWER = "no_answer"  # Google is not reached, or has too much to do


_UNSETTLED: Final = frozenset({CheckState.REFUSED, CheckState.NO_ANSWER})


class Health:
    """One per process. `check` asks Google for one answer, within `CHECK_TIMEOUT`."""

    def __init__(
        self, recognizers: Recognizers, check: Recognizer, *, check_at_start: bool, ask_every: float = ASK_EVERY
    ) -> None:
        self._recognizers = recognizers
        self._check = check
        self._starting = check_at_start
        self._refused = asyncio.Event()
        self._checked = CheckState.NOT_ASKED
        self._checked_at: float | None = None
        self._failure = StepFailure("")
        self._loop = asyncio.get_running_loop()
        self._epoch = time.time() - self._loop.time()
        self.ask_every = ask_every
        for step, breaker in self._breakers():
            breaker.on_change = self._listener(step)

    async def run(self) -> None:
        """Ask Google at start, if so configured, and then until it answers; after a refusal, until it accepts.

        Cancelling it loses nothing, and neither does a death: run again it goes on asking where it was.
        """
        if self._starting:
            await self._ask()
            self._starting = False
            if self._checked is CheckState.NO_ANSWER:
                self._refused.set()
        while True:
            await self._refused.wait()
            self._refused.clear()
            try:
                await self._check_until_accepted()
            except BaseException:
                self._refused.set()  # still to be asked
                raise

    async def _check_until_accepted(self) -> None:
        single = self._single
        if not single.grave and self._checked not in _UNSETTLED:
            await self._ask()  # streams are refused, and no single request has been sent yet
        while single.grave or self._checked in _UNSETTLED:
            await asyncio.sleep(self.ask_every)
            await self._ask()

    def status(self) -> dict[str, BreakerStatus]:
        """Each step's breaker, in the order in which they are asked; `since` is when it last changed."""
        now = self._loop.time()
        return {
            step: BreakerStatus(
                state=breaker.state,
                used_by=USED_BY[breaker.state],
                reason=breaker.reason,
                said=breaker.said,
                remedy=breaker.remedy,
                since=None if breaker.since is None else _wall(self._epoch + breaker.since),
                retry_in_s=None if breaker.retry_at is None else round(max(0.0, breaker.retry_at - now), 1),
            )
            for step, breaker in self._breakers()
        }

    def check_status(self) -> CheckStatus:
        """The last question to Google that no call asked, and its answer."""
        return CheckStatus(
            state=self._checked,
            at=None if self._checked_at is None else _wall(self._epoch + self._checked_at),
            reason=self._failure.reason,
            said=self._failure.said,
            remedy=self._failure.remedy,
        )

    def words(self) -> dict[str, str]:
        """Google's own words about what is in the way, and the remedy; empty if nothing is.

        No other recognizer's words: who reads them here has shown no token.
        """
        held = [
            StepFailure(breaker.reason, breaker.said, breaker.remedy)
            for step, breaker in self._breakers()
            if step in {STREAMING, Source.SINGLE} and breaker.state is not BreakerState.CLOSED
        ]
        found = next((failed for failed in held if failed.said), self._failure)
        return {name: text for name, text in (("said", found.said), ("remedy", found.remedy)) if text}

    def why_not_ready(self) -> str | None:
        """The reason why no call should come here, or None: no recognizer can answer, and waiting will not mend it.

        Google is asked again from here; any other step has to be tried by a call, so after its rest it may have one.
        """
        if self._starting:
            return "starting"
        now = self._loop.time()
        for step, breaker in self._breakers():
            due = step not in {STREAMING, Source.SINGLE} and breaker.retry_at is not None and breaker.retry_at <= now
            if not breaker.grave or due:
                return None
        return f"recognizer: {self._single.reason}"

    def degraded(self) -> str | None:
        """Return which steps are held back and why, for a pod that is ready all the same; or None."""
        held = [
            f"{step}: {breaker.reason}"
            for step, breaker in self._breakers()
            if breaker.state is not BreakerState.CLOSED
        ]
        if not held and self._checked is CheckState.NO_ANSWER:
            return f"google: {self._failure.reason}"
        return ", ".join(held) or None

    def expose(self, metrics: Metrics, channels: Channels) -> None:
        """Have the breakers and what is under way at Google read at each scrape."""
        metrics.gauge("batkol.google.streams", "Streams to Google that are open.", lambda: channels.streams)
        metrics.gauge(
            "batkol.google.streams_limit",
            "Streams to Google that this pod may open at once; 0 if there is no limit.",
            lambda: channels.limit,
        )
        metrics.gauge(
            "batkol.google.requests", "Single requests to Google that are in progress.", lambda: channels.requests
        )
        metrics.gauges(
            "batkol.breaker.open",
            "1 for each recognition step that no call uses because it keeps failing, else 0.",
            self._open,
            by="step",
        )

    @property
    def _single(self) -> Breaker:
        return self._recognizers.breakers[Source.SINGLE]

    def _breakers(self) -> Iterator[tuple[str, Breaker]]:
        yield STREAMING, self._recognizers.streaming[0].breaker
        for source, _ in self._recognizers.fallbacks:
            yield source, self._recognizers.breakers[source]

    def _open(self) -> dict[str, float]:
        return {step: float(breaker.state is not BreakerState.CLOSED) for step, breaker in self._breakers()}

    async def _ask(self) -> None:
        single, streaming = self._single, self._recognizers.streaming[0].breaker
        refused = single.grave
        try:
            await self._check.recognize(SILENCE)
        except UpstreamError as error:
            now = self._loop.time()
            failed = failure(error)
            self._note(CheckState.NO_ANSWER if error.retryable else CheckState.REFUSED, failed)
            single.fail(now, failed, grave=not error.retryable)
            if error.reason in _WHO_WE_ARE:
                streaming.fail(now, failed, grave=True)
        else:
            now = self._loop.time()
            self._note(CheckState.ACCEPTED, StepFailure(""))
            single.succeed(now)
            if refused and streaming.grave:  # what refused both and takes one again takes both
                streaming.succeed(now)

    def _note(self, state: CheckState, failed: StepFailure) -> None:
        """Keep what a question came to, and log it if it is news."""
        news = (state, failed) != (self._checked, self._failure)
        first = self._checked is not CheckState.REFUSED
        self._checked, self._checked_at, self._failure = state, self._loop.time(), failed
        if not news:
            return
        fields = {"reason": failed.reason, "said": failed.said, "remedy": failed.remedy}
        match state:
            case CheckState.ACCEPTED:
                log.info("[STT] Google accepted the service's request")
            case CheckState.NO_ANSWER:
                log.warning(
                    "[STT] Google does not answer the service's request; calls try all the same, and the service asks "
                    "again every 30 s",
                    **fields,
                )
            case CheckState.REFUSED if not first:  # the first refusal is said by the breaker that it opens
                log.error("[STT] Google refuses the service's request for another reason", **fields)

    def _listener(self, step: str) -> Callable[[Breaker], None]:
        def changed(breaker: Breaker) -> None:
            if breaker.grave and breaker.state is BreakerState.OPEN:
                self._refused.set()
            _log_transition(step, breaker)

        return changed


def _log_transition(step: str, breaker: Breaker) -> None:
    """Log a transition, once for all calls."""
    match breaker.state:
        case BreakerState.CLOSED:
            log.info(f"[STT] {step} recovered; calls use the step again", step=step)
        case BreakerState.HALF_OPEN:
            log.info(f"[STT] {step} is on trial: one call uses the step", step=step, reason=breaker.reason)
        case BreakerState.OPEN if breaker.grave:
            log.error(
                f"[STT] {step} refused the service's credentials or configuration; calls do not use the step",
                step=step,
                reason=breaker.reason,
                said=breaker.said,
                remedy=breaker.remedy
                or "correct the credentials or the configuration; the service tries the step again by itself",
            )
        case BreakerState.OPEN:
            log.warning(
                f"[STT] {step} keeps failing; calls do not use the step",
                step=step,
                reason=breaker.reason,
                said=breaker.said,
                remedy=breaker.remedy,
            )


def _wall(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds")
