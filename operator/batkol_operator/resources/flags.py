"""`flags.json` in flagd's format: `spec.streaming` and `spec.reply.enabled` as flags, and the raw `spec.flags`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from batkol_operator.model.agent import Spec
from batkol_operator.model.reply import REPLIES_FLAG
from batkol_operator.model.streaming import STREAMING_FLAG, CallerMode, CallerOverride, StreamingMode, StreamingSpec
from batkol_operator.resources.flag_sources import MergedFlags

Json = dict[str, Any]

_NONE: Final = MergedFlags()

FLAGD: Final = "Flagd"
"""In the status: flagd has the flag, and not the spec."""


def definitions(spec: Spec, merged: MergedFlags = _NONE) -> Json:
    """Return all definitions. A raw flag decides alone; the model refuses it beside the field of the same meaning.

    `merged`: what FeatureFlags add. They come before what the operator supplies where the spec says nothing.
    """
    raw = {name: flag.to_flagd() for name, flag in spec.flags.items()}
    own = {STREAMING_FLAG: _flag(spec.streaming or StreamingSpec())}
    if spec.reply is not None:
        own[REPLIES_FLAG] = _boolean("off" if spec.reply.enabled is False else "on")
    evaluators = {"$evaluators": merged.evaluators} if merged.evaluators else {}
    return {"flags": own | merged.flags | raw, **evaluators}


def specified(spec: Spec) -> set[str]:
    """Return the flags that the spec itself has, in either form."""
    own = {STREAMING_FLAG} if spec.streaming is not None else set()
    if spec.reply is not None and spec.reply.enabled is not None:
        own.add(REPLIES_FLAG)
    return own | spec.flags.keys()


def summary(spec: Spec, merged: MergedFlags = _NONE) -> str:
    """Return the text of `status.streaming`: which callers' speech is streamed."""
    if spec.flagd is not None:
        return FLAGD
    if STREAMING_FLAG in spec.flags or STREAMING_FLAG in merged.flags:
        return "Custom"
    streaming = spec.streaming or StreamingSpec()
    share = f" {streaming.rollout_percent}%" if streaming.mode is StreamingMode.ROLLOUT else ""
    return f"{streaming.mode}{share}"


def replies(spec: Spec, merged: MergedFlags = _NONE) -> str:
    """Return the text of `status.replies`: whether the agent answers callers; "" for one that has no `spec.reply`."""
    if spec.reply is None:
        return ""
    if spec.flagd is not None:
        return FLAGD
    if REPLIES_FLAG in spec.flags or REPLIES_FLAG in merged.flags:
        return "Custom"
    return "Disabled" if spec.reply.enabled is False else "Enabled"


def _flag(streaming: StreamingSpec) -> Json:
    flag = _boolean("on" if streaming.mode is StreamingMode.ENABLED else "off")
    if targeting := _targeting(streaming):
        flag["targeting"] = targeting
    return flag


def _boolean(variant: str) -> Json:
    """Build a flag. Off is not `DISABLED`: in flagd that means "no such flag", and the service's default decides."""
    return {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": variant}


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
