"""The demo's screen: partials growing in place, finals, replies, and a table. Plain lines where there is no terminal.

Hebrew stands last in its line, behind Latin letters and in an isolate of its own. No line is wider than the screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from types import TracebackType
from typing import Final, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from batkol.events.events import (
    AnyEvent,
    CallEnded,
    CallStarted,
    FinalText,
    PartialText,
    ReplyEnded,
    ReplyFailed,
    ReplyResumed,
    ReplySentence,
    RevisedText,
    TentativeText,
    UtteranceStarted,
)
from batkol.quantity import quantity
from batkol.simulators.client.call_record import CallRecordRow, CallWatch
from batkol.terminal_text import INDENT, lines, newest, wrapped

_SOURCES: Final = {
    "final": "the stream's own final",
    "interim": "Google's final did not come within STT_FINAL_TIMEOUT_MS, so the service promoted the newest partial",
    "single": "one request with the whole utterance",
    "whisper": "the last fallback",
    "none": "no recognizer returned a word",
}
_OTHER_COLUMNS: Final = 57
"""Columns of the table without that of the texts, with the widest content that they have."""
_FEWEST: Final = 16
"""Columns that a text has at least."""


class Screen:
    """A context manager; while it is open, everything that is printed goes through it."""

    def __init__(self, console: Console) -> None:
        self.console = console
        # No refresh thread: it is drawn when something happens, and only where a cursor can go back.
        self._growing = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._growing is not None:
            self._growing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._growing is not None:
            self._growing.stop()

    def event(self, event: AnyEvent) -> None:  # noqa: C901  one line an event
        """Show one event of a call. The end of a reply is shown by `reply`."""
        match event:
            case CallStarted():
                self._line(f"☎  {event.call_sid}  streaming {'on' if event.streaming else 'off'}", "bold")
            case UtteranceStarted():
                flag = (
                    f"flag {event.flag_variant} ({event.flag_reason})" if event.flag_reason else "found by the stream"
                )
                self._line(f"\n   utterance {event.index + 1} · {event.mode} · {flag}", "dim")
            case PartialText():
                self._partial("🟡 Partial: ", event.text)
            case TentativeText():
                self._partial("🟠 Tentative: ", event.text)
            case FinalText():
                self._partial("", "")
                self._said("🟢 Final: " if event.text else "⚪ Final: no words", event.text, "green")
            case RevisedText():
                self._said(f"{INDENT}revised: ", event.text, "dim green")
            case ReplySentence():
                self._said("🔵 Agent: ", event.text, "blue")
            case ReplyResumed():
                self._line("   the agent goes on: that was no interruption", "dim")
            case ReplyFailed():
                self._line(f"   the {event.part} failed ({event.reason})", "red")
            case CallEnded():
                self._line(f"\n☎  ended by {event.reason} after {event.duration_s:.1f} s", "bold")

    def note(self, text: str) -> None:
        """Print a notice."""
        self._line(text, "cyan")

    def reply(self, reply: ReplyEnded, heard: str) -> None:
        """Show what was heard of a reply that is over, and its latency."""
        style = "magenta" if reply.interrupted else "cyan"
        words, all_words = len(heard.split()), len(reply.intended.split())
        count = f"{'interrupted, ' if reply.interrupted else ''}heard {words}/{all_words} words: "
        took = split(reply)
        if took:
            self._line(f"👂 {took}", style)
        self._said(f"{INDENT if took else '👂 '}{count}", heard, style)
        if reply.interrupted:
            self._said(f"{INDENT}intended: ", reply.intended, "dim")

    def _partial(self, label: str, text: str) -> None:
        if self._growing is not None:
            line = newest(label, text, self.console.width)
            self._growing.update(Text(line, "yellow", no_wrap=True, overflow="crop"), refresh=True)
        elif text:
            self._said(label, text, "yellow")

    def _said(self, label: str, text: str, style: str) -> None:
        for line in lines(label, text, self.console.width):
            self.console.print(Text(line, style), soft_wrap=True)

    def _line(self, text: str, style: str) -> None:
        print_wrapped(self.console, text, style)


def print_wrapped(console: Console, text: str, style: str = "") -> None:
    """Print a text without Hebrew in lines as wide as the screen; an address or a path is never cut."""
    for line in wrapped(text, console.width):
        console.print(Text(line, style), soft_wrap=True)


def split(reply: ReplyEnded) -> str:
    """The latency of a reply and its parts, in whole milliseconds that add up; empty for a phrase."""
    named = {
        "text": reply.text_ms,
        "first token": reply.first_token_ms,
        "piece": reply.first_piece_ms,
        "sound": reply.first_sound_ms,
        "commit": reply.commit_ms,
    }
    shown, until = [], 0.0
    for name, ms in named.items():
        if ms is None:
            return ""
        shown.append(f"{name} {round(until + ms) - round(until)}")
        until += ms
    return f"{until:.0f} ms = {' + '.join(shown)}"


def table(rows: Sequence[CallRecordRow], columns: int) -> Table:
    """One row for each utterance, in so many columns."""
    room = max(_FEWEST, columns - _OTHER_COLUMNS)
    sheet = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading, justify in (("#", "right"), ("words", "right"), ("first partial", "right"), ("final", "right")):
        sheet.add_column(heading, justify="right" if justify == "right" else "left", no_wrap=True)
    for heading in ("mode", "source", "heard"):
        sheet.add_column(heading, no_wrap=heading != "heard")
    for number, row in enumerate(rows, 1):
        final = row.last_final
        sheet.add_row(
            str(number),
            Text(f"{row.right}/{len(row.said.words)}", "green" if row.perfect else "bold red"),
            _ms(row.first_partial_ms),
            _ms(final.latency_ms if final else None),
            final.mode if final else "–",
            final.source if final else "–",
            Text("\n".join(lines("", row.text, room, indent=""))),
        )
    return sheet


def totals(rows: Sequence[CallRecordRow], watch: CallWatch) -> str:
    """The line under the table."""
    right, total = sum(row.right for row in rows), sum(len(row.said.words) for row in rows)
    modes = [final.mode for final in watch.finals]
    firsts = [row.first_partial_ms for row in rows if row.first_partial_ms is not None]
    latencies = [final.latency_ms for final in watch.finals]
    gaps = [gap for seen in watch.utterances.values() for gap in seen.gaps_ms]
    sessions = watch.ended.sessions if watch.ended else 0
    parts = [
        f"{right}/{total} words right",
        f"{modes.count('streaming')} streaming and {quantity(modes.count('single'), 'single utterance')}",
        quantity(sessions, "streaming session"),
        f"{quantity(watch.partials, 'partial')}{f', one in {median(gaps):.0f} ms' if gaps else ''}",
    ]
    if firsts:
        parts.append(f"first partial after {median(firsts):.0f} ms")
    if latencies:
        parts.append(f"final {median(latencies):.0f} ms after speech (medians)")
    return " · ".join(parts)


def legend(rows: Sequence[CallRecordRow]) -> str:
    """Explain the sources that are in the table."""
    sources = {seen.final.source for row in rows for seen in row.heard if seen.final is not None}
    return "\n".join(f"{source}: {_SOURCES[source]}" for source in _SOURCES if source in sources)


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} ms"
