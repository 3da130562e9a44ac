"""The default provider: flagd's evaluation over the live definitions, in process, in microseconds.

What flagd's file provider gets wrong (it looks at modification times, refuses the whole set for one bad flag,
and polls) does not arise: `Live` watches, compares contents, and hands over only flags that were checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
from openfeature.provider import AbstractProvider, Metadata

from batkol.flags.core import BoundedCore
from batkol.live.config import Live, LiveChange

_NEVER = (
    "The service has no valid flag definitions yet: flags.json is missing or was refused. "
    "ENABLE_STREAMING_STT decides until then."
)


class LiveProvider(AbstractProvider):
    """Evaluates any flag of `flags.json`. Safe from any thread; notified of changes on the event loop.

    READY with good definitions, or with no source at all (no flag exists, so defaults apply); STALE while the
    file has gone or is refused whole and the last good definitions answer; ERROR while there has never been a
    good one.
    """

    def __init__(self, live: Live) -> None:
        super().__init__()
        self._live = live
        self._core = BoundedCore()
        self._in_trouble = False
        self._unsubscribe: Callable[[], None] = lambda: None

    def get_metadata(self) -> Metadata:
        """Return the name that `FLAGS_PROVIDER` has for this provider."""
        return Metadata(name="live")

    def defines(self, flag_key: str) -> bool:
        """Whether the definitions in force have this flag."""
        return self._core.defines(flag_key)

    def initialize(self, evaluation_context: EvaluationContext) -> None:  # noqa: ARG002 - the SDK's
        """Take the definitions in force. Raises `ProviderNotReadyError` while there are none."""
        self._unsubscribe()
        self._unsubscribe = self._live.on_change(self._changed)
        self._load()
        self._in_trouble = self._live.source is not None and not self._live.flags_current
        if self._live.source is not None and self._live.definitions is None:
            raise ProviderNotReadyError(_NEVER)

    def shutdown(self) -> None:
        """Take no more changes; there is no thread to join."""
        self._unsubscribe()

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Raises `OpenFeatureError`, as the four below."""
        return self._core.resolve_boolean_value(flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """See `resolve_boolean_details`."""
        return self._core.resolve_string_value(flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """See `resolve_boolean_details`."""
        return self._core.resolve_integer_value(flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """See `resolve_boolean_details`."""
        return self._core.resolve_float_value(flag_key, default_value, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Any]:
        """See `resolve_boolean_details`."""
        return self._core.resolve_object_value(flag_key, default_value, evaluation_context)

    def _load(self) -> list[str]:
        definitions = self._live.definitions
        return self._core.load(definitions) if definitions else []

    def _changed(self, change: LiveChange) -> None:
        if not change.flags:
            return
        changed = self._load()
        was_in_trouble, self._in_trouble = self._in_trouble, not self._live.flags_current
        if self._live.definitions is None:
            self.emit_provider_error(ProviderEventDetails(message=_NEVER, error_code=ErrorCode.PARSE_ERROR))
        elif self._in_trouble and not was_in_trouble:
            self.emit_provider_stale(
                ProviderEventDetails(message="flags.json is missing, or the service refused the whole file.")
            )
        elif was_in_trouble and not self._in_trouble:
            self.emit_provider_ready(ProviderEventDetails(message="flags.json is valid."))
        if changed:
            self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=changed))
