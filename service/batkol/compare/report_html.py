"""The report of a comparison for people: one HTML file that loads nothing, with every difference marked.

It has no script, and its policy lets none run: what recognizers heard is text from elsewhere. Every text is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from typing import Final

from batkol import __version__
from batkol.compare.alignment import PairKind, WordPair
from batkol.compare.comparison import Comparison, HeardSpeech
from batkol.compare.report_style import STYLE
from batkol.compare.table import FROM, TIMES, cost, lines, percent, percents, quantiles, was_right
from batkol.quantity import quantity

_RIGHT_TO_LEFT: Final = re.compile("[\u05d0-\u05f2\u0620-\u06ff]")
"""Letters of Hebrew, Yiddish and Arabic."""

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_HEAD: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>Recognizers compared</title>
<style>{style}</style>
</head>
<body>
<main>
"""


def report_html(comparison: Comparison, made_at: datetime) -> bytes:
    """Return the report in UTF-8."""
    parts = (
        _HEAD.format(policy=escape(_POLICY), style=STYLE),
        _summary(comparison, made_at),
        _errors(comparison),
        _times(comparison),
        "<h2>Sound by sound</h2>\n",
        _legend(),
        *(_speech(each) for each in sorted(comparison.speech, key=_worst_first)),
        "</main>\n</body>\n</html>\n",
    )
    return "".join(parts).encode("utf-8", "replace")  # half of a surrogate pair is no text


def _worst_first(each: HeardSpeech) -> tuple[float, str]:
    worst = max((scored.counts.word_error_rate for scored in each.scores.values()), default=0.0)
    return (-worst, each.speech.name)


def _summary(comparison: Comparison, made_at: datetime) -> str:
    said = "".join(f"<li>{escape(line)}</li>\n" for line in lines(comparison))
    verdicts = f'<ul class="verdicts">\n{said}</ul>\n' if said else ""
    calls = len({each.speech.group for each in comparison.compared})
    return (
        "<h1>Recognizers compared</h1>\n"
        f"<p>{quantity(len(comparison.compared), 'sound')} of {quantity(calls, 'call')}, heard at 8 kHz in real time, "
        f"{escape(made_at.strftime('%Y-%m-%d %H:%M %Z'))}, Batkol {escape(__version__)}.</p>\n{verdicts}"
    )


def _errors(comparison: Comparison) -> str:
    rows = (
        (
            each.name,
            percent(each.word_error_rate),
            percents(each.word_interval),
            percent(each.without_prefixes),
            f"{each.counts.wrong} ({each.counts.prefix})",
            str(each.counts.missing),
            str(each.counts.extra),
            percent(each.character_error_rate),
            percents(each.character_interval),
        )
        for each in comparison.recognizers
    )
    titles = (
        "recognizer", "word errors", "95 % interval", "without prefix errors", "wrong (only in a prefix)", "missing",
        "extra", "character errors", "95 % interval",
    )  # fmt: skip
    words = comparison.recognizers[0].counts.words if comparison.recognizers else 0
    return _table(f"Errors, of {quantity(words, 'word that was said', 'words that were said')}", titles, rows)


def _times(comparison: Comparison) -> str:
    rows = (
        (
            each.name,
            *(quantiles(each.times.get(name)) for _, name in TIMES),
            was_right(each, comparison),
            f"{each.heard_minutes:.1f}",
            cost(each),
            each.price.source if each.price else "",
        )
        for each in comparison.recognizers
    )
    titles = (
        "recognizer", *(title for title, _ in TIMES), "sounds that were right", "minutes heard", "cost",
        "source of the price",
    )  # fmt: skip
    return f"{_table('Times in ms, median / 95th percentile, and cost', titles, rows)}<p>{escape(FROM)}</p>\n"


def _table(caption: str, titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>\n"
        for row in rows
    )
    return (
        f'<div class="wide"><table>\n<caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}</tbody>\n</table></div>\n"
    )


def _legend() -> str:
    return (
        '<p class="legend"><mark class="wrong">wrong</mark> with <s>what was said</s> behind it · '
        '<mark class="prefix">wrong in a prefix only</mark> · <del>missing</del> · <ins>extra</ins></p>\n'
    )


def _speech(each: HeardSpeech) -> str:
    heard = "".join(_hearing(each, name) for name in each.hearings)
    group = "" if each.speech.group == each.speech.name else f" · {escape(each.speech.group)}"
    return (
        f"<section>\n<h3><bdi>{escape(each.speech.name)}</bdi>{group}</h3>\n<dl>\n<dt>said</dt>\n"
        f'<dd dir="{_direction(each)}">{escape(each.speech.said) or "<i>nothing</i>"}</dd>\n{heard}</dl>\n</section>\n'
    )


def _direction(each: HeardSpeech) -> str:
    """Return the direction of all texts of a sound: one that begins with a Latin word or is wrong has no other one."""
    texts = (each.speech.said, *(hearing.text for hearing in each.hearings.values()))
    return "rtl" if any(_RIGHT_TO_LEFT.search(text) for text in texts) else "auto"


def _hearing(each: HeardSpeech, name: str) -> str:
    hearing, scored = each.hearings[name], each.scores[name]
    title = escape(name)
    if hearing.fault is not None:
        return f"<dt>{title}</dt>\n<dd>does not count: {escape(hearing.fault)}</dd>\n"
    marked = " ".join(_pair(pair) for pair in scored.pairs) or "<i>nothing</i>"
    counts = scored.counts
    return (
        f"<dt>{title} <small>{counts.errors} of {counts.words}</small></dt>\n"
        f'<dd dir="{_direction(each)}" class="heard">{marked}</dd>\n'
    )


def _pair(pair: WordPair) -> str:
    said = escape(pair.said.shown) if pair.said else ""
    heard = escape(pair.heard.shown) if pair.heard else ""
    match pair.kind:
        case PairKind.SAME:
            return heard
        case PairKind.MISSING:
            return f"<del>{said}</del>"
        case PairKind.EXTRA:
            return f"<ins>{heard}</ins>"
        case PairKind.WRONG | PairKind.PREFIX:
            return f'<mark class="{pair.kind}">{heard} <s>{said}</s></mark>'
