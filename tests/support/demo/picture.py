"""The picture of the demo, and its lines in the README, from a run: python -m support.demo.picture PICTURE README."""

from __future__ import annotations

import asyncio
import io
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from batkol.demo.run import DemoOptions, run
from batkol.demo.script import SHORT_SCRIPT
from batkol.terminal_text import FIRST_STRONG_ISOLATE, INDENT, POP_ISOLATE

COLUMNS: Final = 80
FIRST: Final = "utterance 1"
AFTER: Final = "⚑"
"""The excerpt is the first turns: up to the line about the flag."""
SPOKEN: Final = ("🟢", "🔵", "〰", "✋", "👂")
HEARD: Final = f"{INDENT}interrupted, heard"
GOES_ON: Final = INDENT + FIRST_STRONG_ISOLATE
PARTIALS: Final = 4
"""Partials that are shown of the first utterance: in a terminal they are one line, which grows."""
BEGIN, END = "<!-- demo: begin -->", "<!-- demo: end -->"

_SIZE: Final = 14  # of the letters, in pixels
_ADVANCE: Final = 0.602  # of a letter of a monospaced font, by its size
_LINE: Final = 21
_MARGIN: Final = 18
_FONTS: Final = "ui-monospace, 'SF Mono', 'DejaVu Sans Mono', Menlo, Consolas, monospace"
_DIM: Final = 0.66
_COLOURS: Final = TerminalTheme(
    (13, 17, 23),
    (201, 209, 217),
    [
        (72, 79, 88), (255, 123, 114), (86, 211, 100), (227, 179, 65),
        (121, 192, 255), (210, 168, 255), (86, 212, 221), (201, 209, 217),
    ],
)  # fmt: skip


async def captured() -> list[Text]:
    """Have the short conversation; return what it printed, with its colours. Raises `RuntimeError` if it went wrong."""
    page = io.StringIO()
    console = Console(file=page, width=COLUMNS, color_system="standard", highlight=False, _environ={})
    code = await run(console, DemoOptions(script=SHORT_SCRIPT))
    if code != 0:
        raise RuntimeError(page.getvalue())
    return [Text.from_ansi(line) for line in page.getvalue().splitlines()]


def excerpt(lines: Sequence[Text]) -> list[Text]:
    """Return the first turns, with the newest partials of the first utterance, as a terminal has them one by one."""
    first = next(number for number, line in enumerate(lines) if FIRST in line.plain)
    last = next(number for number, line in enumerate(lines) if line.plain.startswith(AFTER))
    second = next(number for number, line in enumerate(lines) if number > first and "utterance" in line.plain)
    partials = [number for number, line in enumerate(lines[:last]) if "Partial:" in line.plain]
    shown = [number for number in partials if number < second][-PARTIALS:]
    kept = [number for number in range(first, last) if number not in partials or number in shown]
    while not lines[kept[-1]].plain.strip():
        kept.pop()
    return [lines[number] for number in kept]


def for_readme(lines: Sequence[Text]) -> list[str]:
    """Return what is said and heard up to the interruption, with the newest partial, without direction marks."""
    plain = [line.plain for line in lines]
    heard = next(number for number, line in enumerate(plain) if line.startswith(HEARD))
    after = next(number for number in range(heard + 1, len(plain)) if not plain[number].startswith(GOES_ON))
    partial = max(number for number, line in enumerate(plain) if "Partial:" in line)
    kept = [line for number, line in enumerate(plain[:after]) if line.startswith(SPOKEN) or number in (partial, heard)]
    kept += plain[heard + 1 : after]
    return [line.translate(dict.fromkeys(map(ord, (FIRST_STRONG_ISOLATE, POP_ISOLATE)))) for line in kept]


def svg(lines: Sequence[Text]) -> str:
    """Return a picture of the lines, one element of text a line, whose letters the browser puts in order."""
    width = round(COLUMNS * _SIZE * _ADVANCE) + 2 * _MARGIN
    height = len(lines) * _LINE + 2 * _MARGIN - (_LINE - _SIZE) // 2
    ink = _COLOURS.foreground_color.hex
    rows = "\n".join(
        f'<text x="{_MARGIN}" y="{_MARGIN + _SIZE + number * _LINE}">{"".join(_spans(line))}</text>'
        for number, line in enumerate(lines)
        if line.plain.strip()
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'role="img" direction="ltr">\n'
        "<title>The output of make demo: a Hebrew conversation with an interruption</title>\n"
        f"<style>text {{ font: {_SIZE}px {_FONTS}; white-space: pre; fill: {ink}; }}</style>\n"
        f'<rect width="{width}" height="{height}" rx="8" fill="{_COLOURS.background_color.hex}"/>\n'
        f"{rows}\n</svg>\n"
    )


def _spans(line: Text) -> Iterator[str]:
    for part in line.divide(sorted({at for span in line.spans for at in (span.start, span.end)})):
        style = Style.combine([Style(), *(span.style for span in part.spans if isinstance(span.style, Style))])
        yield f"<tspan{_attributes(style)}>{_letters(part.plain)}</tspan>" if part.plain else ""


def _attributes(style: Style) -> str:
    given = {
        "fill": style.color.get_truecolor(_COLOURS).hex if style.color and not style.color.is_default else "",
        "font-weight": "bold" if style.bold else "",
        "opacity": str(_DIM) if style.dim else "",
    }
    return "".join(f" {name}={quoteattr(value)}" for name, value in given.items() if value)


def _letters(text: str) -> str:
    """Escape a text; characters of direction are written as references, so that a person sees them in the file."""
    return re.sub(f"[{FIRST_STRONG_ISOLATE}{POP_ISOLATE}]", lambda found: f"&#x{ord(found[0]):x};", escape(text))


def in_readme(readme: str, lines: Sequence[str]) -> str:
    """Return the page with these lines in the place of those that it has."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n```\n{chr(10).join(lines)}\n```\n{END}{after}"


def main(picture: Path, readme: Path) -> None:
    """Write both."""
    lines = excerpt(asyncio.run(captured()))
    picture.write_text(svg(lines), "utf-8")
    readme.write_text(in_readme(readme.read_text("utf-8"), for_readme(lines)), "utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
