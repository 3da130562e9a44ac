"""Metrics of the tools that the agent's answerer calls. The names of tools are those of their definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from opentelemetry.trace import SpanContext

from batkol.telemetry.instruments import Counts, Histogram

_TOOL_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0)


def tool_duration(*, exemplars: bool) -> Histogram:
    """Return the histogram of the time that tools take."""
    return Histogram(
        "batkol.tool.duration",
        "Time from the begin of a tool call to its result, in seconds; refused tool calls do not count.",
        _TOOL_S,
        labels=("tool",),
        exemplars=exemplars,
    )


class ToolCounts:
    """The counter of tool calls, and the time that they take."""

    def __init__(self, counts: Callable[[str, str, str], Counts], duration: Histogram) -> None:
        self._calls = counts(
            "batkol.tool.calls", "{call}", "Tool calls of the answerer that have ended, by tool and outcome."
        )
        self._duration = duration

    def begin_at_zero(self, tools: Iterable[str], outcomes: Iterable[str]) -> None:
        """Show the series of these tools before they are called."""
        ends = tuple(outcomes)
        for tool in tools:
            self._duration.of(tool)
            for outcome in ends:
                self._calls.add(0, {"tool": tool, "outcome": outcome})

    def ended(self, tool: str, outcome: str, took_s: float | None, span: SpanContext | None) -> None:
        """Count a tool call. `took_s`: seconds; None for one that was not carried out."""
        self._calls.add(1, {"tool": tool, "outcome": outcome})
        if took_s is not None:
            self._duration.record(took_s, span, (tool,))
