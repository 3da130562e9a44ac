"""The questions to the flags: whether a call streams and by which recognizer, whether an agent replies, who, and how.

The first two are asked at the start of every utterance, the others at every turn. They are answered in process through
the OpenFeature SDK, and never by an error: without a value from the provider it is the last known value (of this call,
else of this process), else the setting: ENABLE_STREAMING_STT, STT_RECOGNIZER, AGENT_REPLIES, and the names `default`.

A service without LIVE_SOURCE has no flags: its settings decide, and nothing is asked.

Two answers are not errors, and give the setting by design: a flag that is DISABLED, and one that good definitions do
not contain. Neither is a way to turn streaming off; a defaultVariant of "off" is. Of the flags of replies, one that is
not among the definitions is the rule, so it is neither warned of nor counted.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

import msgspec
import structlog
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode, OpenFeatureError
from openfeature.flag_evaluation import FlagEvaluationDetails
from openfeature.provider import ProviderStatus
from openfeature.provider.no_op_provider import NoOpProvider

from batkol.errors import ConfigurationError
from batkol.flags.context import CallContext
from batkol.flags.env_provider import EnvProvider
from batkol.flags.flag import (
    DecisionSource,
    FlagAnswer,
    ReplyFallbacks,
    ReplyFlags,
    TypedFlag,
    Value,
    recognizer_flag,
    streaming_flag,
)
from batkol.flags.flagd import InProcessFlagd
from batkol.flags.hooks import CALLS_REMEMBERED, DecisionHook, EvaluationCounter
from batkol.flags.live_provider import LiveProvider
from batkol.flags.memory import FlagMemory
from batkol.flags.provider import FlagsProvider
from batkol.live.config import Live
from batkol.status import FlagsStatus
from batkol.supervision.threads import Revivable


class FlagLimits(NamedTuple):
    """Limits of the memory of calls and of trouble."""

    calls: int = CALLS_REMEMBERED
    repeat_s: float = 60.0
    """The same trouble, coming and going, is not warned of more often."""


LIMITS: Final = FlagLimits()
_NO_REPLIES: Final = ReplyFallbacks()
_Ask: TypeAlias = Callable[[str, Value, EvaluationContext], FlagEvaluationDetails[Value]]

log = structlog.get_logger()
_domains = itertools.count(1)


class Decision(msgspec.Struct, frozen=True):
    """Whether a call streams. `reason` as in `FlagAnswer`."""

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
        replies: ReplyFallbacks = _NO_REPLIES,
        recognizers: Callable[[], Sequence[str]] = tuple,
        live: Live | None = None,
        counter: EvaluationCounter | None = None,
        limits: FlagLimits = LIMITS,
    ) -> None:
        """Raises `ConfigurationError` for a provider that does not exist or cannot be used as it is set.

        `recognizers` gives the names of the streaming ones in force. Calls use the first where no flag says otherwise.
        """
        if provider not in list(FlagsProvider):
            raise ConfigurationError("FLAGS_PROVIDER must be live, flagd or env.")
        self.provider = FlagsProvider(provider)
        self.fallback = fallback
        self.hook = DecisionHook(counter, limits.calls)
        # The SDK's providers are global; a domain of its own keeps two services in a process apart.
        self._domain = f"batkol-{next(_domains)}"
        self._implementation = _implementation(self.provider, fallback, live)
        self._has_none = self.provider is FlagsProvider.LIVE and (live is None or live.source is None)
        self.client = api.get_client(self._domain)
        self.client.add_hooks([self.hook])
        asked = ReplyFlags(replies)
        self._streaming = self._memory(streaming_flag(fallback), limits)
        self._replies = self._memory(asked.replies, limits)
        self._answerer = self._memory(asked.answerer, limits)
        self._voice = self._memory(asked.voice, limits)
        self._recognizers = recognizers
        self._recognizer = self._memory(recognizer_flag(next(iter(recognizers()), "")), limits)

    @classmethod
    async def start(
        cls,
        *,
        provider: FlagsProvider | str = FlagsProvider.LIVE,
        fallback: bool,
        replies: ReplyFallbacks = _NO_REPLIES,
        recognizers: Callable[[], Sequence[str]] = tuple,
        live: Live | None = None,
        counter: EvaluationCounter | None = None,
        limits: FlagLimits = LIMITS,
    ) -> Flags:
        """Connect the provider, waiting at most its own deadline (flagd: FLAGD_DEADLINE_MS, 0.5 s).

        A provider that is not there yet is no failure: it is warned of, and taken up when it comes. With
        `live`, await `live.ready()` first. Cancelling closes what was opened.
        """
        flags = cls(
            provider=provider,
            fallback=fallback,
            replies=replies,
            recognizers=recognizers,
            live=live,
            counter=counter,
            limits=limits,
        )
        try:
            await flags._open()
        except OpenFeatureError as error:
            flags._streaming.warn(str(error.error_code), error.error_message or type(error).__name__)
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
        if self._has_none:
            answer = self._streaming.settled(context.call_sid)
        else:
            answer = self._ask(self._streaming, self.client.get_boolean_details, context)
        return Decision(answer.value, answer.variant, answer.reason, answer.source)

    def recognizer(self, context: CallContext) -> str | None:
        """Return the name of the streaming recognizer for one utterance of a call; None: the one before stays.

        A name that this process does not have is warned of once, and changes nothing. As `streaming`.
        """
        names, memory = self._recognizers(), self._recognizer
        if names and names[0] != memory.flag.fallback:  # others are in force
            memory.flag = recognizer_flag(names[0])
        if len(names) < 2:
            return None
        answer = self._ask_if_defined(memory, self.client.get_string_details, context)
        if answer.value in names:
            return answer.value
        memory.warn_of_value(answer, names)
        return None

    def replies(self, context: CallContext) -> FlagAnswer[bool]:
        """Whether the agent replies in one turn of a call. As `streaming`."""
        return self._ask_if_defined(self._replies, self.client.get_boolean_details, context)

    def answerer(self, context: CallContext) -> FlagAnswer[str]:
        """The name of who answers in one turn of a call, which may be none. As `streaming`."""
        return self._ask_if_defined(self._answerer, self.client.get_string_details, context)

    def voice(self, context: CallContext) -> FlagAnswer[str]:
        """The name of who speaks in one turn of a call, which may be none. As `streaming`."""
        return self._ask_if_defined(self._voice, self.client.get_string_details, context)

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
            last_known=self._streaming.last_known,
            last_error=next((memory.last_error for memory in self._memories if memory.last_error), None),
            recognizer=self._recognizer.newest,
            replies={memory.flag.key: memory.newest for memory in self._of_replies},
            defined=tuple(
                memory.flag.key for memory in self._of_replies if self._implementation.defines(memory.flag.key)
            ),
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

    @property
    def _memories(self) -> tuple[FlagMemory[bool] | FlagMemory[str], ...]:
        return self._streaming, self._recognizer, *self._of_replies

    @property
    def _of_replies(self) -> tuple[FlagMemory[bool] | FlagMemory[str], ...]:
        return self._replies, self._answerer, self._voice

    def _memory(self, flag: TypedFlag[Value], limits: FlagLimits) -> FlagMemory[Value]:
        return FlagMemory(flag, self.provider, calls=limits.calls, repeat_s=limits.repeat_s)

    def _ask_if_defined(self, memory: FlagMemory[Value], ask: _Ask[Value], context: CallContext) -> FlagAnswer[Value]:
        """Ask, where the definitions have the flag: an evaluation that finds none costs as much as one that does."""
        if not self._implementation.defines(memory.flag.key):
            return memory.absent(context.call_sid)
        return self._ask(memory, ask, context)

    def _ask(self, memory: FlagMemory[Value], ask: _Ask[Value], context: CallContext) -> FlagAnswer[Value]:
        key, call_sid = memory.flag.key, context.call_sid
        try:
            details = ask(key, memory.flag.fallback, context.evaluation)
        except Exception:  # the rim: a foreign hook or provider, while a caller waits
            log.exception("[CFG] flag evaluation failed", flag=key)
            return memory.recalled(call_sid, str(ErrorCode.GENERAL), "")
        if details.error_code is None:
            return memory.decided(call_sid, details)
        if details.error_code is ErrorCode.FLAG_NOT_FOUND and self._state() is ProviderStatus.READY:
            return memory.absent(call_sid)
        return memory.recalled(call_sid, str(details.error_code), details.error_message or "")


def _implementation(
    provider: FlagsProvider, fallback: bool, live: Live | None
) -> LiveProvider | InProcessFlagd | EnvProvider:
    match provider:
        case FlagsProvider.LIVE:
            return LiveProvider(Live() if live is None else live)
        case FlagsProvider.FLAGD:
            return InProcessFlagd()
        case FlagsProvider.ENV:
            return EnvProvider(streaming=fallback)
