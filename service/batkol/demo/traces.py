"""The waterfall of each utterance, drawn from the spans that a collector got."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from batkol.simulators.client.otlp_collector import Collector, SpanReceived
from batkol.telemetry import names

_LABEL: Final = 24
_WIDTH: Final = 56  # columns of a bar
_PARTIAL, _EVENT = "●", "◆"
_COLOURS: Final = {
    names.UTTERANCE: "bold",
    names.SPEECH_TO_TEXT: "green",
    names.ENDPOINTING: "yellow",
    names.SINGLE_REQUEST: "cyan",
    names.WHISPER: "magenta",
}
_SHOWN: Final = (
    names.SILENCE_NOTICED,
    names.PROMOTED,
    names.ROTATED,
    names.RECONNECTED,
    names.FELL_BACK,
    names.FLIPPED,
)


def draw(console: Console, collector: Collector) -> None:
    """Print one waterfall for each utterance, and a line for the call and its streams."""
    console.print(Text("\nWhat a collector got: one trace for each utterance", "bold"))
    console.print(Text(f"{_PARTIAL} partial  {_EVENT} event; times in ms since the first sample of speech", "dim"))
    for root in collector.named(names.UTTERANCE):
        console.print(_heading(root), soft_wrap=True)
        for span in collector.trace(root.trace_id):
            console.print(_row(span, root), soft_wrap=True)
    console.print()
    for call in collector.named(names.CALL):
        for line in _call(call, collector.named(names.STREAMING_RECOGNIZE)):
            console.print(line, soft_wrap=True)


def _heading(root: SpanReceived) -> Text:
    found = root.attributes
    parts = [
        f"\nutterance {found[names.UTTERANCE_INDEX] + 1}",
        f"trace {root.trace_id}",
        str(found[names.MODE]),
        f"flag {found.get(names.FLAG_VARIANT, 'none')}",
        f"source {found.get(names.SOURCE, 'none')}",
        f"{found.get(names.WORDS, 0)} words",
    ]
    return Text(" · ".join(parts), "dim")


def _row(span: SpanReceived, root: SpanReceived) -> Text:
    kind = span.name.partition(" ")[0]
    begun, ended = (span.begun - root.begun) / 1e6, (span.ended - root.begun) / 1e6
    label = span.name if span is root else f"  {span.name}"
    line = Text(f"{label:<{_LABEL}.{_LABEL}} ")
    line.append(_bar(span, root), "red" if span.failed else _COLOURS.get(kind, ""))
    line.append(f" {begun:>5.0f} → {ended:<5.0f}")
    line.append(" · ".join(_notes(span, root)), "dim")
    return line


def _bar(span: SpanReceived, root: SpanReceived) -> str:
    whole = max(1, root.ended - root.begun)

    def column(at: int) -> int:
        return min(_WIDTH - 1, max(0, round((at - root.begun) / whole * (_WIDTH - 1))))

    first, last = column(span.begun), column(span.ended)
    cells = [" "] * _WIDTH
    cells[first : last + 1] = "━" * (last - first + 1)
    for event in span.events:
        if event.name == names.PARTIAL:
            cells[column(event.at)] = _PARTIAL
    for event in span.events:
        if event.name in _SHOWN:
            cells[column(event.at)] = _EVENT
    return "".join(cells)


def _notes(span: SpanReceived, root: SpanReceived) -> Iterator[str]:
    counts = Counter(event.name for event in span.events)
    if counts[names.PARTIAL]:
        yield f"{counts[names.PARTIAL]} partials"
    for event in span.events:
        if event.name in _SHOWN:
            yield f"{event.name} {(event.at - root.begun) / 1e6:.0f}"
    if span.failed:
        yield span.status


def _call(call: SpanReceived, streams: Sequence[SpanReceived]) -> Iterator[Text]:
    yield Text(
        f"call · trace {call.trace_id} · {call.ms / 1000:.1f} s · ended by {call.attributes[names.END_REASON]}", "dim"
    )
    for stream in streams:
        if stream.parent_id == call.span_id:
            found = stream.attributes
            audio = f"{found[names.RPC_AUDIO_S]:.1f} s of audio"
            status = f"{found[names.RPC_ENDED]}, {found[names.RPC_STATUS]}"
            yield Text(
                f"  {stream.name} {found[names.RPC_NUMBER]} · {stream.ms / 1000:.1f} s · {audio} · {status}", "dim"
            )
