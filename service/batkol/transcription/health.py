"""Health of the recognizers, for `/v1/status`, `/readyz` and the metrics, and the checks that run when no call asks.

What a vendor answers, and what to do about it, is in the log, in the status and in the readiness (docs/adr/0041).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Final

import structlog

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.recognizers.google.channels import Channels
from batkol.speech.breaker import Breaker, BreakerState, StepFailure
from batkol.speech.utterance import Source
from batkol.status import USED_BY, BreakerStatus, CheckStatus, StreamingRecognizerStatus
from batkol.telemetry.metrics import Metrics
from batkol.transcription.recognizers import Recognizer, Recognizers
from batkol.transcription.streaming_step import StreamingStep
from batkol.transcription.vendor_check import ASK_EVERY, CheckState, VendorCheck

CHECK_TIMEOUT: Final = 5.0  # seconds; a start-up check without an answer by then decides nothing
SILENCE: Final = b"\xff" * (SAMPLE_RATE // 10)
STREAMING: Final = "streaming"

log = structlog.get_logger()


class Health:
    """One per process. `check` asks Google for one answer, within `CHECK_TIMEOUT`.

    A streaming recognizer with credentials of its own is asked by its own `check`.
    """

    def __init__(
        self, recognizers: Recognizers, check: Recognizer, *, check_at_start: bool, ask_every: float = ASK_EVERY
    ) -> None:
        self._recognizers = recognizers
        self._starting = check_at_start
        self._google = VendorCheck("Google", lambda: check.recognize(SILENCE), asked=self._single)
        self._google.ask_every = ask_every
        self._own: dict[str, VendorCheck] = {}
        self._added = asyncio.Event()
        self._asks_new = check_at_start
        self._loop = asyncio.get_running_loop()
        self._epoch = time.time() - self._loop.time()
        for step in recognizers.streaming:
            self._watch(step)
        for source, _ in recognizers.fallbacks:
            recognizers.breakers[source].on_change = self._listener(partial(str, source), self._google)

    @property
    def ask_every(self) -> float:
        """Seconds between two questions to a vendor that refuses the service."""
        return self._google.ask_every

    @ask_every.setter
    def ask_every(self, seconds: float) -> None:
        for check in self._checks:
            check.ask_every = seconds

    async def run(self) -> None:
        """Ask every vendor at start, if so configured, and then until it answers; after a refusal, until it accepts.

        Cancelling it loses nothing, and neither does a death: run again it goes on asking where it was.
        """
        if self._starting:
            await asyncio.gather(*(check.start() for check in self._checks))
            self._starting = False
        begun: set[VendorCheck] = set()
        async with asyncio.TaskGroup() as tasks:
            while True:
                for check in self._checks:
                    if check not in begun:
                        tasks.create_task(self._keep_asking(check), name=f"health.{check.vendor}")
                        begun.add(check)
                self._added.clear()
                await self._added.wait()

    def add(self, step: StreamingStep) -> None:
        """A streaming recognizer has come into force while calls are up: ask its vendor, and watch its breaker."""
        self._watch(step)
        self._added.set()

    async def _keep_asking(self, check: VendorCheck) -> None:
        if self._asks_new and check.state is CheckState.NOT_ASKED:
            await check.start()
        await check.run()

    def _watch(self, step: StreamingStep) -> None:
        if step.stands_with_single:
            check = self._google
            check.others.append(step.breaker)
        else:
            check = VendorCheck(step.recognizer.vendor, step.recognizer.check, asked=step.breaker)
            check.ask_every = self.ask_every
            self._own[step.name] = check
        step.breaker.on_change = self._listener(partial(self._label, step), check)

    def status(self) -> dict[str, BreakerStatus]:
        """Each step's breaker, in the order in which they are asked; `since` is when it last changed.

        Streaming is as its best recognizer is.
        """
        steps = {STREAMING: self._best_stream(), **dict(self._fallback_breakers())}
        return {step: self._breaker_status(breaker) for step, breaker in steps.items()}

    def recognizer_status(self) -> dict[str, StreamingRecognizerStatus]:
        """Each streaming recognizer by its name: those in force in their order, then those that calls still use."""
        in_force, known = self._recognizers.streaming, self._recognizers.known.values()
        return {
            step.name: StreamingRecognizerStatus(
                endpoint=step.recognizer.endpoint,
                model=step.recognizer.model,
                streams=step.recognizer.streams,
                limit=step.recognizer.traits.concurrency,
                breaker=self._breaker_status(step.breaker),
                check=self._check_status(self._own.get(step.name, self._google)),
            )
            for step in (*in_force, *(step for step in known if step not in in_force and step.recognizer.streams))
        }

    def check_status(self) -> CheckStatus:
        """The last question to Google that no call asked, and its answer."""
        return self._check_status(self._google)

    def words(self) -> dict[str, str]:
        """A vendor's own words about what is in the way, and the remedy; empty if nothing is.

        No words of Whisper's: who reads them here has shown no token.
        """
        held = [
            StepFailure(breaker.reason, breaker.said, breaker.remedy)
            for step, breaker in self._breakers()
            if step != Source.WHISPER and breaker.state is not BreakerState.CLOSED
        ]
        found = next((failed for failed in held if failed.said), self._google.failure)
        return {name: text for name, text in (("said", found.said), ("remedy", found.remedy)) if text}

    def why_not_ready(self) -> str | None:
        """The reason why no call should come here, or None: no recognizer can answer, and waiting will not mend it.

        The vendors of streams are asked again from here; Whisper has to be tried by a call, so after its rest it may
        have one.
        """
        if self._starting:
            return "starting"
        now = self._loop.time()
        for step, breaker in self._breakers():
            due = step == Source.WHISPER and breaker.retry_at is not None and breaker.retry_at <= now
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
        if not held:
            silent = (check for check in self._checks if check.state is CheckState.NO_ANSWER)
            held = [f"{check.vendor.lower()}: {check.failure.reason}" for check in silent]
        return ", ".join(held) or None

    def expose(self, metrics: Metrics, channels: Channels) -> None:
        """Have the breakers and what is under way at the vendors read at each scrape."""
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
        metrics.gauges(
            "batkol.recognizer.streams",
            "Streams that are open, by streaming recognizer.",
            lambda: {name: float(step.recognizer.streams) for name, step in self._recognizers.known.items()},
            by="recognizer",
        )
        metrics.gauges(
            "batkol.recognizer.streams_limit",
            "Streams that this pod may open at once, by streaming recognizer; 0 if there is no limit.",
            lambda: {step.name: float(step.recognizer.traits.concurrency) for step in self._recognizers.streaming},
            by="recognizer",
        )
        metrics.gauges(
            "batkol.recognizer.breaker_open",
            "1 for each streaming recognizer that no call uses because it keeps failing, else 0.",
            lambda: {step.name: _is_open(step.breaker) for step in self._recognizers.streaming},
            by="recognizer",
        )

    @property
    def _single(self) -> Breaker:
        return self._recognizers.breakers[Source.SINGLE]

    @property
    def _checks(self) -> tuple[VendorCheck, ...]:
        """Checks of the vendors in force."""
        return (self._google, *(self._own[step.name] for step in self._recognizers.streaming if step.name in self._own))

    def _label(self, step: StreamingStep) -> str:
        """Name a streaming recognizer for people: where there is one alone, it is the step."""
        return STREAMING if len(self._recognizers.streaming) == 1 else step.name

    def _breakers(self) -> Iterator[tuple[str, Breaker]]:
        for step in self._recognizers.streaming:
            yield self._label(step), step.breaker
        yield from self._fallback_breakers()

    def _fallback_breakers(self) -> Iterator[tuple[str, Breaker]]:
        for source, _ in self._recognizers.fallbacks:
            yield source, self._recognizers.breakers[source]

    def _best_stream(self) -> Breaker:
        breakers = [step.breaker for step in self._recognizers.streaming]
        order = (BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN)
        return min(breakers, key=lambda breaker: order.index(breaker.state))

    def _open(self) -> dict[str, float]:
        steps = {STREAMING: self._best_stream(), **dict(self._fallback_breakers())}
        return {step: _is_open(breaker) for step, breaker in steps.items()}

    def _breaker_status(self, breaker: Breaker) -> BreakerStatus:
        left_s = None if breaker.retry_at is None else round(max(0.0, breaker.retry_at - self._loop.time()), 1)
        return BreakerStatus(
            state=breaker.state,
            used_by=USED_BY[breaker.state],
            reason=breaker.reason,
            said=breaker.said,
            remedy=breaker.remedy,
            since=None if breaker.since is None else _wall(self._epoch + breaker.since),
            retry_in_s=left_s,
        )

    def _check_status(self, check: VendorCheck) -> CheckStatus:
        return CheckStatus(
            state=check.state,
            at=None if check.at is None else _wall(self._epoch + check.at),
            reason=check.failure.reason,
            said=check.failure.said,
            remedy=check.failure.remedy,
        )

    def _listener(self, label: Callable[[], str], check: VendorCheck) -> Callable[[Breaker], None]:
        def changed(breaker: Breaker) -> None:
            if breaker.grave and breaker.state is BreakerState.OPEN:
                check.refused.set()
            _log_transition(label(), breaker)

        return changed


def _is_open(breaker: Breaker) -> float:
    return float(breaker.state is not BreakerState.CLOSED)


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
