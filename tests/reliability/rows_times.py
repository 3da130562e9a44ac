"""Word times as untidy as Google's: a word starts where the one before it ended, so the pause is the next word's.

Inside a final that is so in every row of the matrix. Here it is so between finals and at a stream's start as well, in
rows of the other pages; and finals span pauses after which a short word comes, or no end of theirs is told.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec

from batkol.simulators.google.faults import Fault, Kind
from batkol.simulators.google.settings import DoubleSettings
from reliability import rows_answers, rows_ends, rows_limit, rows_network
from reliability.rows_ends import TALKS
from reliability.scenario import SECOND, Scenario, Seen, Talk, sentences

SHORT: Final = (("שלום", "תודה", "בבקשה"), ("ערב",), ("היום", "בוקר"), ("ערב",))
ALSO_SHORT: Final = (("רוצה", "פגישה"), ("מספר",), ("חשבון", "טלפון", "כתובת"), ("מספר",))
"""One word is all that is said after a pause."""

CROSSED: Final = (
    "limit-pauses",
    "limit-no-pause",
    "limit-silent",
    "limit-hold",
    "limit-slow-finals",
    "limit-early",
    "rotation-dies",
    "half-close-stall",
    "unavailable-mid-utterance",
    "unavailable-before-final",
    "stall-silence",
    "cut-between",
    "merged-finals",
    "merged-double-finals",
    "double-finals",
    "late-finals",
    "no-audio",
)
"""Rows of other pages in which first words matter: where streams follow each other, where finals come late or twice."""

_PAGES: Final = (*rows_limit.ROWS, *rows_ends.ROWS, *rows_network.ROWS, *rows_answers.ROWS)


def times(**fields: Any) -> Scenario:
    """Return a row of this page."""
    return Scenario(**{"group": "times", "talks": TALKS, **fields})


def short_after(gap_ms: int) -> tuple[Talk, ...]:
    """Return callers who say single words after pauses of that length."""
    return (
        Talk(utterances=SHORT, gap_ms=gap_ms),
        Talk(utterances=ALSO_SHORT, gap_ms=gap_ms, starts_s=0.6),
    )


def with_pauses(row: Scenario) -> Scenario:
    """Return the row with a Google whose first words take the pause before them, too."""
    name = f"{row.name}+pauses"
    double = msgspec.structs.replace(row.double, first_word_takes_pause=True)
    return replace(row, name=name, group="times", double=double)


MERGED: Final = (Fault(kind=Kind.MERGED_FINALS, utterances=2),)

ROWS: Final = (
    times(
        name="short-after-1s",
        what="A final spans two sentences, the second a single short word after 1 s",
        talks=short_after(1000),
        faults=MERGED,
        seen=Seen(streams=(2, 4)),
    ),
    times(
        name="short-after-4s",
        what="The same after 4 s",
        talks=short_after(4000),
        faults=MERGED,
    ),
    times(
        name="short-after-1s-first",
        what="A final is a single short word, and its time includes the second of silence before it",
        talks=short_after(1000),
        double=DoubleSettings(first_word_takes_pause=True),
        seen=Seen(quiet=True, streams=(2, 2)),
    ),
    times(
        name="short-after-4s-first",
        what="The same with 4 s",
        talks=short_after(4000),
        double=DoubleSettings(first_word_takes_pause=True),
        seen=Seen(quiet=True, streams=(2, 2)),
    ),
    times(
        name="short-held",
        what="Nothing but the end of the call brings a final, with all sentences in it",
        talks=short_after(1200),
        faults=(Fault(kind=Kind.HELD_FINALS),),
    ),
    times(
        name="no-length",
        what="Nobody pauses, streams are replaced in mid-word, and short words have no length at all",
        double=rows_limit.LIMIT,
        settings=rows_limit.ROTATING,
        talks=(
            Talk(utterances=sentences(("כמה", "מספר", "ערב", "למה", "רופא", "מי", "תור"), 24)),
            Talk(utterances=sentences(SECOND, 24), starts_s=0.5),
        ),
        seen=Seen(quiet=True, says=("Stream rotated",), streams=(4, 10), unary=(0, 0)),
    ),
    times(
        name="undated-finals",
        what="Finals do not tell where they end (`result_end_time` is missing)",
        faults=(Fault(kind=Kind.UNDATED_FINALS),),
        seen=Seen(quiet=True, streams=(2, 2), unary=(0, 0)),
    ),
    times(
        name="undated-finals-limit",
        what="The same across two limits",
        talks=rows_limit.PAUSING,
        double=rows_limit.LIMIT,
        settings=rows_limit.ROTATING,
        faults=(Fault(kind=Kind.UNDATED_FINALS),),
    ),
    times(
        name="bare-finals",
        what="Finals tell neither where they end nor where their words are",
        faults=(Fault(kind=Kind.UNDATED_FINALS, bare=True),),
        seen=Seen(quiet=True, streams=(2, 2), unary=(0, 0)),
    ),
    *(with_pauses(row) for row in _PAGES if row.name in CROSSED),
)
