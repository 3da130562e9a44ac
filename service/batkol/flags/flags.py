"""The one question the service asks of its flags: does this call stream?

Asked at the start of every utterance, answered in process through the OpenFeature SDK, and never an error:
without a value from the provider it is the last known value (of this call, else of this process), else
ENABLE_STREAMING_STT.

Two answers are not errors, and give ENABLE_STREAMING_STT by design: a flag that is DISABLED, and one that
good definitions do not contain. Neither is a way to turn streaming off; a defaultVariant of "off" is.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec
import structlog
from openfeature import api
from openfeature.exception import ErrorCode, OpenFeatureError
from openfeature.flag_evaluation import FlagEvaluationDetails
from openfeature.provider import FeatureProvider, ProviderStatus
from openfeature.provider.no_op_provider import NoOpProvider

from batkol.errors import ConfigurationError
from batkol.flags.context import CallContext
from batkol.flags.env_provider import EnvProvider
from batkol.flags.flagd import InProcessFlagd
from batkol.flags.hooks import CALLS_REMEMBERED, DecisionHook, EvaluationCounter
from batkol.flags.live_provider import LiveProvider
from batkol.live.config import Live
from batkol.live.flag_definitions import STREAMING_FLAG
from batkol.status import FlagsStatus
from batkol.supervision.threads import Revivable


class FlagLimits(NamedTuple):
    """Limits of the memory of calls and of trouble."""

    calls: int = CALLS_REMEMBERED
    repeat_s: float = 60.0
    """The same trouble, coming and going, is not warned of more often."""


LIMITS: Final = FlagLimits()

log = structlog.get_logger()
_domains = itertools.count(1)


class FlagsProvider(StrEnum):
    """`FLAGS_PROVIDER`."""

    LIVE = "live"
    FLAGD = "flagd"
    ENV = "env"


class DecisionSource(StrEnum):
    """The origin of a decision."""

    FLAG = "flag"
    LAST_KNOWN = "last-known"
    FALLBACK = "fallback"  # ENABLE_STREAMING_STT


class Decision(msgspec.Struct, frozen=True):
    """The answer. `reason` is OpenFeature's (`STATIC`, `TARGETING_MATCH`, `DISABLED`…), or its error code."""

    enabled: bool
    variant: str | None
    reason: str
    source: DecisionSource


class Flags:
    """Owns the provider and its OpenFeature domain. Make it with `start`, end it with `close`."""

    def __init__(
        self,
        *,
        provider: FlagsProvider | str = FlagsProvider.LIVE,
        fallback: bool,
        live: Live | None = None,
        counter: EvaluationCounter | None = None,
        limits: FlagLimits = LIMITS,
    ) -> None:
        """Raises `ConfigurationError` for a provider that does not exist or cannot be used as it is set."""
        if provider not in list(FlagsProvider):
            raise ConfigurationError("FLAGS_PROVIDER must be live, flagd or env.")
        self.provider = FlagsProvider(provider)
        self.fallback = fallback
        self.hook = DecisionHook(counter, limits.calls)
        self._limits = limits
        # The SDK's providers are global; a domain of its own keeps two services in a process apart.
        self._domain = f"batkol-{next(_domains)}"
        self._implementation = _implementation(self.provider, fallback, live)
        self.client = api.get_client(self._domain)
        self.client.add_hooks([self.hook])
        self._last_known: bool | None = None
        self._known: dict[str, bool] = {}  # by call SID, in order of use
        self._lock = threading.Lock()
        self._trouble = ""  # the error code that was warned of last, "" when all is well
        self._warned: dict[str, float] = {}  # error code -> when, monotonic seconds
        self._last_error: str | None = None

    @classmethod
    async def start(
        cls,
        *,
        provider: FlagsProvider | str = FlagsProvider.LIVE,
        fallback: bool,
        live: Live | None = None,
        counter: EvaluationCounter | None = None,
        limits: FlagLimits = LIMITS,
    ) -> Flags:
        """Connect the provider, waiting at most its own deadline (flagd: FLAGD_DEADLINE_MS, 0.5 s).

        A provider that is not there yet is no failure: it is warned of, and taken up when it comes. With
        `live`, await `live.ready()` first. Cancelling closes what was opened.
        """
        flags = cls(provider=provider, fallback=fallback, live=live, counter=counter, limits=limits)
        try:
            await flags._open()
        except OpenFeatureError as error:
            flags._warn(str(error.error_code), error.error_message or type(error).__name__)
        except BaseException:
            await flags.close()
            raise
        return flags

    async def close(self) -> None:
        """Shut the provider down and join its threads. Cancelled, a thread finishes it all the same."""
        if self.provider is FlagsProvider.FLAGD:  # waits for its thread, so not on the loop
            await asyncio.to_thread(self._close)
        else:
            self._close()

    def streaming(self, context: CallContext) -> Decision:
        """Decide for one utterance of a call. Never raises; microseconds; safe from any thread."""
        try:
            details = self.client.get_boolean_details(STREAMING_FLAG, self.fallback, context.evaluation)
        except Exception:  # the rim: a foreign hook or provider, while a caller waits
            log.exception("[CFG] flag evaluation failed", flag=STREAMING_FLAG)
            return self._recalled(context, str(ErrorCode.GENERAL), "")
        if details.error_code is None:
            return self._decided(context, details)
        if details.error_code is ErrorCode.FLAG_NOT_FOUND and self._state() is ProviderStatus.READY:
            self._warn(str(details.error_code), f"{STREAMING_FLAG} is not among the flags.")
            self._remember(context, self.fallback)
            return Decision(self.fallback, None, str(details.error_code), DecisionSource.FALLBACK)
        return self._recalled(context, str(details.error_code), details.error_message or "")

    @property
    def thread(self) -> Revivable | None:
        """The thread that follows the definitions: flagd's provider has one."""
        return self._implementation if isinstance(self._implementation, InProcessFlagd) else None

    def status(self) -> FlagsStatus:
        """Take a snapshot for the status page."""
        by_reason = self.hook.by_reason()
        return FlagsStatus(
            provider=self.provider,
            state=self._state().value,
            fallback=self.fallback,
            last_known=self._last_known,
            last_error=self._last_error,
            evaluations=sum(by_reason.values()),
            by_reason=by_reason,
        )

    def _state(self) -> ProviderStatus:
        return self.client.get_provider_status()

    async def _open(self) -> None:
        if self.provider is FlagsProvider.FLAGD:  # waits, so not on the loop
            await asyncio.to_thread(api.set_provider_and_wait, self._implementation, self._domain)
        else:  # at once; and `Live` is read where it changes
            api.set_provider_and_wait(self._implementation, self._domain)

    def _close(self) -> None:
        self._implementation.shutdown()
        api.set_provider_and_wait(NoOpProvider(), self._domain)

    def _decided(self, context: CallContext, details: FlagEvaluationDetails[bool]) -> Decision:
        if self._trouble:
            self._trouble = ""
            log.info("[CFG] flag evaluation recovered", flag=STREAMING_FLAG, provider=self.provider)
        self._remember(context, details.value)
        source = DecisionSource.FLAG if details.variant is not None else DecisionSource.FALLBACK
        return Decision(details.value, details.variant, str(details.reason), source)

    def _recalled(self, context: CallContext, code: str, message: str) -> Decision:
        """Decide when the provider has no answer; `message` quotes neither rule nor call."""
        self._warn(code, f"The provider gave no answer ({code}). {message}".rstrip())
        value = self._known.get(context.call_sid, self._last_known)
        if value is None:
            return Decision(self.fallback, None, code, DecisionSource.FALLBACK)
        return Decision(value, None, code, DecisionSource.LAST_KNOWN)

    def _remember(self, context: CallContext, value: bool) -> None:
        with self._lock:
            self._last_known = value
            self._known.pop(context.call_sid, None)
            self._known[context.call_sid] = value
            if len(self._known) > self._limits.calls:
                del self._known[next(iter(self._known))]

    def _warn(self, code: str, why: str) -> None:
        self._last_error = why
        if code == self._trouble:
            return
        self._trouble = code
        now = time.monotonic()
        if now - self._warned.get(code, float("-inf")) < self._limits.repeat_s:
            return
        self._warned[code] = now
        log.warning(
            "[CFG] flag provider not ready; the last known value decides, or ENABLE_STREAMING_STT if there is none",
            flag=STREAMING_FLAG,
            provider=self.provider,
            fallback=self.fallback,
            why=why,
        )


def _implementation(provider: FlagsProvider, fallback: bool, live: Live | None) -> FeatureProvider:
    match provider:
        case FlagsProvider.LIVE:
            return LiveProvider(Live() if live is None else live)
        case FlagsProvider.FLAGD:
            return InProcessFlagd()
        case FlagsProvider.ENV:
            return EnvProvider(streaming=fallback)
