"""The report of a comparison for programs. It has all that was said and heard."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from batkol import __version__
from batkol.compare.comparison import Comparison, HeardSpeech
from batkol.compare.prices import AS_OF

FORMAT: Final = 1
"""The version of the report's form: another number is another form."""


def report_json(comparison: Comparison, made_at: datetime) -> bytes:
    """Return the report as indented JSON in UTF-8. Times are in milliseconds, rates are shares of 1."""
    content = {
        "format": FORMAT,
        "batkol": __version__,
        "made_at": made_at.isoformat(timespec="seconds"),
        "prices_as_of": AS_OF,
        "planned": comparison.planned,
        "ended_early": comparison.ended_early,
        "sounds": len(comparison.speech),
        "compared": len(comparison.compared),
        "late_ms": round(comparison.late_ms, 1),
        "recognizers": comparison.recognizers,
        "confidence_of_differences": comparison.confidence,
        "differences": [{**msgspec.to_builtins(each), "verdict": each.sentence} for each in comparison.differences],
        "speech": [_speech(each) for each in comparison.speech],
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def _speech(each: HeardSpeech) -> dict[str, Any]:
    return {
        "name": each.speech.name,
        "call": each.speech.group,
        "seconds": round(each.speech.seconds, 3),
        "said": each.speech.said,
        "heard": {
            name: {
                "text": hearing.text,
                "fault": hearing.fault,
                "why": hearing.why,
                "unfinished": hearing.unfinished,
                "latencies": hearing.latencies,
                "counts": each.scores[name].counts,
                "words": [
                    {
                        "kind": pair.kind,
                        "said": pair.said and pair.said.shown,
                        "heard": pair.heard and pair.heard.shown,
                    }
                    for pair in each.scores[name].pairs
                ],
            }
            for name, hearing in each.hearings.items()
        },
    }
