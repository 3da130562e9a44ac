"""All rows of the fault matrix in the table's order, and the classes of fault that they are of."""

from __future__ import annotations

from typing import Final, NamedTuple

from reliability import (
    rows_answers,
    rows_crossed,
    rows_ends,
    rows_limit,
    rows_network,
    rows_operations,
    rows_recognizers,
    rows_soniox,
    rows_times,
)
from reliability.scenario import Scenario

SCENARIOS: Final[tuple[Scenario, ...]] = (
    *rows_limit.ROWS,
    *rows_ends.ROWS,
    *rows_network.ROWS,
    *rows_answers.ROWS,
    *rows_operations.ROWS,
    *rows_times.ROWS,
    *rows_crossed.ROWS,
)
"""Google alone. Its table is in docs/reliability.md."""

WITH_SONIOX: Final[tuple[Scenario, ...]] = (*rows_soniox.ROWS, *rows_recognizers.ROWS)
"""Soniox alone, and both. Their table is in docs/soniox.md."""

ALL: Final = (*SCENARIOS, *WITH_SONIOX)


class FaultClass(NamedTuple):
    """Faults that the service survives by the same means. `row` stands for the class in `make test`, for `why`."""

    what: str
    row: str
    why: str
    others: tuple[str, ...] = ()
    """The further rows of the class."""


def _crossed(suffix: str) -> list[str]:
    return [row.name for row in rows_crossed.ROWS if row.name.endswith(suffix)]


CLASSES: Final = (
    FaultClass(
        "A rotation in mid-word",
        "limit-no-pause",
        "a seam in speech: what is lost or heard twice there is a word",
        ("limit-no-pause+pauses", "no-length"),
    ),
    FaultClass(
        "A rotation in silence",
        "limit-hold",
        "no media drives it, only the clock, and the limit passes before the caller is back",
        ("limit-pauses", "limit-pauses+pauses", "limit-silent", "limit-silent+pauses", "limit-hold+pauses"),
    ),
    FaultClass(
        "A rotation before Google has given a final",
        "limit-held-finals",
        "both sides of each seam come only with the old stream's half-close",
        ("limit-no-finals", "limit-slow-finals", "limit-slow-finals+pauses", "short-held"),
    ),
    FaultClass(
        "The limit, met unplanned",
        "aborted-v2-limit",
        "the code alone would mean a fault: only the text says that it is a limit",
        ("limit-early", "limit-early+pauses"),
    ),
    FaultClass(
        "The next stream cannot be opened",
        "rotation-refused",
        "the old stream must go on, and another attempt succeed before the limit",
        ("rotation-refused-long", "rotation-refused-no-pause"),
    ),
    FaultClass(
        "The next stream is deaf", "rotation-deaf", "an open socket is no sign: only a missed sentence shows it"
    ),
    FaultClass(
        "A stream dies as it begins",
        "rotation-dies-at-open",
        "the old stream is half-closed by then, so that the replay must reach behind the seam",
        ("rotation-dies", "rotation-dies+pauses", "unavailable-open", "unavailable-first-audio"),
    ),
    FaultClass(
        "A stream dies at its half-close",
        "half-close-unavailable-then-done",
        "the sentence lies across the seam and is over before its first half is answered",
        ("half-close-unavailable", "unavailable-half-close"),
    ),
    FaultClass(
        "A stream says nothing after its half-close",
        "half-close-stall-late-finals",
        "every seam has sentences that only a single request can still answer",
        ("half-close-stall", "half-close-stall-then-done", "half-close-stall-no-pause", "half-close-stall+pauses"),
    ),
    FaultClass(
        "A stream ends in mid-word",
        "internal-mid-utterance",
        "nothing is committed yet: all must be sent again, and half a word was heard",
        (
            "unavailable-mid-utterance",
            "unknown-mid-utterance",
            "cancelled-mid-utterance",
            "stall-mid-utterance",
            "cut-mid-utterance",
            "unavailable-mid-utterance+pauses",
            "status-inside",
            "deaths-in-a-row",
        ),
    ),
    FaultClass(
        "No stream lives",
        "deaths-for-ever",
        "each attempt looks well until it dies: the call must find out that streaming is of no use",
        ("unavailable-open-long", "hang-up-opening"),
    ),
    FaultClass("A connection is to end", "going-away", "all streams on it end together, again and again, as planned"),
    FaultClass(
        "A stream stalls in speech",
        "stall-no-pause",
        "no end of a sentence comes to help: the stall must be found while the caller speaks",
        ("hang-up-stall",),
    ),
    FaultClass(
        "A stream stalls in silence",
        "stall-silence+drain",
        "the next sentence finds it out; and the pod is drained meanwhile, calls to their ends",
        ("stall-silence", "stall-silence+pauses", "drain", "drain-rotation", *_crossed("+drain")),
    ),
    FaultClass(
        "A stream hears nothing",
        "silence-then-well",
        "a stream that answers nothing must be told from a caller who says nothing, and be replaced",
        ("silence", "stall-for-ever"),
    ),
    FaultClass("All of Google is away", "outage", "single requests fail too: a sentence must be asked again, later"),
    FaultClass(
        "A stream ends between a sentence and its final",
        "cut-before-final",
        "the words are heard, not committed, and over; and a reset is the rudest end",
        (
            "cut-between",
            "cut-again-and-again",
            "cut-between+pauses",
            "unavailable-between",
            "unavailable-before-final",
            "unavailable-before-final+pauses",
        ),
    ),
    FaultClass(
        "Google cannot be reached",
        "unreachable-whisper",
        "it stays so: each step must give way to the next",
        ("unreachable", "unreachable-at-start"),
    ),
    FaultClass(
        "A connection is dead without a word",
        "forgotten",
        "nothing ends it, and a new one would work: the service must leave it by itself",
        ("dead",),
    ),
    FaultClass(
        "A connection is dead for a while",
        "dead-briefly-no-pause",
        "what was given up comes all the same, behind what took its place",
        ("dead-briefly",),
    ),
    FaultClass("A slow network", "slow-network", "answers come when their sentence is over"),
    FaultClass(
        "Media is lost", "media-gap-2s", "words are missing, and the others must keep their times", ("media-gaps-50ms",)
    ),
    FaultClass(
        "No media for a while",
        "no-audio",
        "Google ends the stream meanwhile, and another must be there with the next word",
        ("no-audio+pauses", "media-hold"),
    ),
    FaultClass(
        "Media in bursts",
        "media-burst",
        "seconds of speech at once, ends of sentences in them",
        ("media-burst-short", "media-jitter", "media-stutter"),
    ),
    FaultClass(
        "Twilio's numbers are wrong",
        "clock-forward-backward",
        "times of words hang on the media clock; numbers of messages do not",
        ("media-sequence",),
    ),
    FaultClass("A starved loop", "starved-loop", "every timer is late, those of both calls at once"),
    FaultClass(
        "Finals that merge, repeat or come late",
        "merged-double-finals+pauses",
        "each word must be told apart by its time alone, and those times take the pauses in",
        (
            "merged-finals",
            "merged-double-finals",
            "merged-finals+pauses",
            "double-finals",
            "double-finals+pauses",
            "late-finals",
            "late-finals+pauses",
        ),
    ),
    FaultClass(
        "A caller hangs up before the final",
        "hang-up-late-final",
        "the first final goes out without Google's, which comes when the call is over",
        ("hang-up-rotation", "hang-up-replay"),
    ),
    FaultClass(
        "Google's quota",
        "quota-storm",
        "attempts that go on would feed it: the call must stay away from streaming",
        ("quota-mid-utterance",),
    ),
    FaultClass(
        "Google's pace", "pacing-refused", "a replay is what is refused: it must not be tried again", ("pacing-replay",)
    ),
    FaultClass(
        "A model that Google lacks", "model", "another model must be taken by all calls, with no word lost on the way"
    ),
    FaultClass(
        "Credentials and configuration",
        "credentials-all",
        "nothing at Google may be asked again and again; Whisper has every word",
        ("credentials-streams", "credentials-revoked", "invalid"),
    ),
    FaultClass(
        "Single requests fail too",
        "single-stalls-too",
        "no error comes, only a deadline, before the next recognizer is asked",
        ("single-fails-too", "single-slow"),
    ),
    FaultClass(
        "The process's own limit of streams",
        "own-quota-rotation",
        "a rotation needs two streams for a moment, and all are taken",
        ("own-quota", "rotation-quota"),
    ),
    FaultClass(
        "The flag, flipped",
        "flip-replay",
        "off and on while a stream is being replaced: two sessions at once for one sentence",
        ("flip", "flip-rotation", "flip-stall", "flip-late-finals"),
    ),
    FaultClass(
        "The end of a drain",
        "drain-over-stall",
        "the streams that should answer for the last sentence stall, and there is a deadline",
        ("drain-over", "drain-over-no-pause", "drain-over-rotation", "drain-over-replay", *_crossed("+over")),
    ),
    FaultClass("Everything at once", "everything", "what follows one fault is the beginning of the next"),
    FaultClass(
        "A word alone after a pause",
        "short-after-1s",
        "the pause counts as the word's: by its middle it would belong to the sentence before",
        ("short-after-4s", "short-after-1s-first", "short-after-4s-first"),
    ),
    FaultClass(
        "Finals without times",
        "undated-finals",
        "a guess of their end may neither drop a word nor move it",
        ("undated-finals-limit", "bare-finals"),
    ),
    FaultClass(
        "The flag, flipped off and on while a fault is at work",
        "merged-finals+flip",
        "a final spans the sentence with streaming and the one without",
        (*_crossed("+flip"),),
    ),
)

IN_THE_SUITE: Final = frozenset(each.row for each in CLASSES)
"""One row a class of fault: their short forms run with `make test`, all rows in full with `make faults`."""


def named(name: str) -> Scenario:
    """Return a row by its name. Raises `KeyError`."""
    return {scenario.name: scenario for scenario in ALL}[name]
