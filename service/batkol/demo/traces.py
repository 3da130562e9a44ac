"""The waterfall of each utterance, drawn from the spans that a collector got."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from batkol.demo.screen import print_wrapped
from batkol.quantity import quantity
from batkol.simulators.client.otlp_collector import Collector, SpanReceived
from batkol.telemetry import names

_LABEL: Final = 24
_TIMES: Final = 15  # columns of a span's begin and end
_LONGEST_BAR: Final = 56
_SHORTEST_BAR: Final = 16
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
    print_wrapped(console, "\nWhat a collector got: one trace for each utterance", "bold")
    print_wrapped(console, f"{_PARTIAL} partial  {_EVENT} event; times in ms since the first sample of speech", "dim")
    for root in collector.named(names.UTTERANCE):
        print_wrapped(console, _heading(root), "dim")
        for span in collector.trace(root.trace_id):
            for line in rows(span, root, console.width):
                console.print(line, soft_wrap=True)
    console.print()
    for call in collector.named(names.CALL):
        for said in _call(call, collector.named(names.STREAMING_RECOGNIZE)):
            print_wrapped(console, said, "dim")


def _heading(root: SpanReceived) -> str:
    found = root.attributes
    parts = [
        f"\nutterance {found[names.UTTERANCE_INDEX] + 1}",
        str(found[names.MODE]),
        f"flag {found.get(names.FLAG_VARIANT, 'none')}",
        f"source {found.get(names.SOURCE, 'none')}",
        quantity(found.get(names.WORDS, 0), "word"),
        f"trace {root.trace_id}",
    ]
    return " · ".join(parts)


def rows(span: SpanReceived, root: SpanReceived, columns: int) -> Iterator[Text]:
    """Yield the lines of a span of an utterance: its bar and times, and below them each thing that happened in it."""
    kind = span.name.partition(" ")[0]
    begun, ended = (span.begun - root.begun) / 1e6, (span.ended - root.begun) / 1e6
    label = span.name if span is root else f"  {span.name}"
    line = Text(f"{label:<{_LABEL}.{_LABEL}} ")
    wide = min(_LONGEST_BAR, max(_SHORTEST_BAR, columns - _LABEL - _TIMES - 1))
    line.append(_bar(span, root, wide), "red" if span.failed else _COLOURS.get(kind, ""))
    line.append(f" {begun:>5.0f} → {ended:.0f}")
    yield line
    for note in _notes(span, root):
        yield Text(f"{'':<{_LABEL}} {note}", "dim")


def _bar(span: SpanReceived, root: SpanReceived, columns: int) -> str:
    whole = max(1, root.ended - root.begun)

    def column(at: int) -> int:
        return min(columns - 1, max(0, round((at - root.begun) / whole * (columns - 1))))

    first, last = column(span.begun), column(span.ended)
    cells = [" "] * columns
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
        yield quantity(counts[names.PARTIAL], "partial")
    for event in span.events:
        if event.name in _SHOWN:
            yield f"{event.name} {(event.at - root.begun) / 1e6:.0f}"
    if span.failed:
        yield span.status


def _call(call: SpanReceived, streams: Sequence[SpanReceived]) -> Iterator[str]:
    yield f"call · {call.ms / 1000:.1f} s · ended by {call.attributes[names.END_REASON]} · trace {call.trace_id}"
    for stream in streams:
        if stream.parent_id == call.span_id:
            found = stream.attributes
            audio = f"{found[names.RPC_AUDIO_S]:.1f} s of audio"
            status = f"{found[names.RPC_ENDED]}, {found[names.RPC_STATUS]}"
            yield f"  {stream.name} {found[names.RPC_NUMBER]} · {stream.ms / 1000:.1f} s · {audio} · {status}"
