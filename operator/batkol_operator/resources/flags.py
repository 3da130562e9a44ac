"""`flags.json` in flagd's format: `spec.streaming` as the flag `streaming-stt`, and the raw flags of `spec.flags`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from batkol_operator.model.agent import Spec
from batkol_operator.model.streaming import STREAMING_FLAG, CallerMode, CallerOverride, StreamingMode, StreamingSpec

Json = dict[str, Any]


def definitions(spec: Spec) -> Json:
    """Return all definitions. A raw `streaming-stt` decides alone; the model refuses it beside `spec.streaming`."""
    raw = {name: flag.to_flagd() for name, flag in spec.flags.items()}
    return {"flags": {STREAMING_FLAG: _flag(spec.streaming or StreamingSpec()), **raw}}


def summary(spec: Spec) -> str:
    """Return the text of `status.streaming`: which callers' speech is streamed."""
    if STREAMING_FLAG in spec.flags:
        return "Custom"
    streaming = spec.streaming or StreamingSpec()
    share = f" {streaming.rollout_percent}%" if streaming.mode is StreamingMode.ROLLOUT else ""
    return f"{streaming.mode}{share}"


def _flag(streaming: StreamingSpec) -> Json:
    """Build the flag. Off is not `DISABLED`: in flagd that means "no such flag", and the service's default decides."""
    flag: Json = {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "on" if streaming.mode is StreamingMode.ENABLED else "off",
    }
    if targeting := _targeting(streaming):
        flag["targeting"] = targeting
    return flag


def _targeting(streaming: StreamingSpec) -> Json | None:
    """Match the caller first, then divide by call SID. None: the default variant is always the answer."""
    branches: list[Any] = []
    for mode, variant in ((CallerMode.ENABLED, "on"), (CallerMode.DISABLED, "off")):
        if numbers := _numbers(streaming.callers, mode):
            branches += [{"in": [{"var": "from"}, numbers]}, variant]
    share: Json | None = None
    if streaming.mode is StreamingMode.ROLLOUT:
        percent = streaming.rollout_percent or 0
        share = {"fractional": [{"var": "targetingKey"}, ["on", percent], ["off", 100 - percent]]}
    if not branches:
        return share
    return {"if": [*branches, share] if share else branches}


def _numbers(callers: Sequence[CallerOverride], mode: CallerMode) -> list[str]:
    return sorted(caller.number for caller in callers if caller.mode is mode)
