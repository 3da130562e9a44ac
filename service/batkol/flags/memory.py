"""Memory of one flag: its newest answers, by call, and the trouble that was warned of."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Final, Generic

import structlog
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails, Reason

from batkol.flags.flag import DecisionSource, FlagAnswer, TypedFlag, Value

_VALUES: Final = 100
"""Values of a flag that each are warned of."""

log = structlog.get_logger()


class FlagMemory(Generic[Value]):
    """One per flag. `calls` are remembered; the same trouble, coming and going, is warned of every `repeat_s` seconds.

    Safe from any thread.
    """

    def __init__(self, flag: TypedFlag[Value], provider: str, *, calls: int, repeat_s: float) -> None:
        self.flag: TypedFlag[Value] = flag
        self.last_known: Value | None = None
        self.last_error: str | None = None
        self._provider = provider
        self._calls = calls
        self._repeat_s = repeat_s
        self._known: dict[str, Value] = {}  # by call SID, in order of use
        self._lock = threading.Lock()
        self._values: set[str] = set()  # that were warned of
        self._trouble = ""  # the error code that was warned of last, "" when all is well
        self._warned: dict[str, float] = {}  # error code -> when, monotonic seconds

    @property
    def newest(self) -> Value:
        """The newest answer; before there is one, the fallback."""
        return self.flag.fallback if self.last_known is None else self.last_known

    def decided(self, call_sid: str, details: FlagEvaluationDetails[Value]) -> FlagAnswer[Value]:
        """The provider has answered."""
        if self._trouble:
            self._trouble = ""
            log.info("[CFG] flag evaluation recovered", flag=self.flag.key, provider=self._provider)
        self._remember(call_sid, details.value)
        source = DecisionSource.FLAG if details.variant is not None else DecisionSource.FALLBACK
        return FlagAnswer(details.value, details.variant, str(details.reason), source)

    def settled(self, call_sid: str) -> FlagAnswer[Value]:
        """The service has no flags at all, by its settings: nothing is amiss, and no provider need be asked."""
        self._remember(call_sid, self.flag.fallback)
        return FlagAnswer(self.flag.fallback, None, str(Reason.DEFAULT), DecisionSource.FALLBACK)

    def absent(self, call_sid: str) -> FlagAnswer[Value]:
        """Good definitions do not contain the flag."""
        code = str(ErrorCode.FLAG_NOT_FOUND)
        if not self.flag.is_optional:
            undefined = f"[CFG] flag is not in the definitions; {self.flag.setting} decides"
            self.warn(code, f"{self.flag.key} is not among the flags.", undefined)
            self._remember(call_sid, self.flag.fallback)
        elif self.last_known is not None:  # it was one, and is to be forgotten
            self._remember(call_sid, self.flag.fallback)
        return FlagAnswer(self.flag.fallback, None, code, DecisionSource.FALLBACK)

    def recalled(self, call_sid: str, code: str, message: str) -> FlagAnswer[Value]:
        """The provider has no answer; `message` quotes neither rule nor call."""
        self.warn(code, f"The provider gave no answer ({code}). {message}".rstrip())
        value = self._known.get(call_sid, self.last_known)
        if value is None:
            return FlagAnswer(self.flag.fallback, None, code, DecisionSource.FALLBACK)
        return FlagAnswer(value, None, code, DecisionSource.LAST_KNOWN)

    def warn(self, code: str, why: str, line: str = "") -> None:
        """Warn of trouble, once while it lasts, with this line or that of a provider that gives no answer."""
        self.last_error = why
        if code == self._trouble:
            return
        self._trouble = code
        now = time.monotonic()
        if now - self._warned.get(code, float("-inf")) < self._repeat_s:
            return
        self._warned[code] = now
        setting = self.flag.setting
        line = line or f"[CFG] flag provider not ready; the last known value decides, or {setting} if there is none"
        log.warning(
            line,
            flag=self.flag.key,
            provider=self._provider,
            fallback=self.flag.fallback,
            why=why,
        )

    def warn_of_value(self, answer: FlagAnswer[str], names: Sequence[str]) -> None:
        """Warn of a value that this process does not have, once each."""
        with self._lock:
            known = answer.value in self._values or len(self._values) >= _VALUES
            self._values.add(answer.value if not known else "")
        if known:
            return
        self.last_error = f"The flag {self.flag.key} gives {answer.value[:40]!r}, which this process does not have."
        log.warning(
            "[CFG] flag gives a name that this process does not have; the last valid name stays. Correct the flag's "
            f"variant, or set {self.flag.setting} and STT_RECOGNIZERS_ORDER",
            flag=self.flag.key,
            variant=answer.variant,
            value=answer.value[:40],
            names=list(names),
        )

    def _remember(self, call_sid: str, value: Value) -> None:
        with self._lock:
            self.last_known = value
            self._known.pop(call_sid, None)
            self._known[call_sid] = value
            if len(self._known) > self._calls:
                del self._known[next(iter(self._known))]
