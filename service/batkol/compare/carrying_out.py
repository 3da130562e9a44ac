"""`batkol compare`: from options to an exit code."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from batkol.audio.segmenter import SegmenterSettings
from batkol.commands.report_file import check_writable, write
from batkol.compare.budget import within
from batkol.compare.comparison import Comparison, compared
from batkol.compare.known_speech import KnownSpeech, SpeechSpan
from batkol.compare.prices import price_of
from batkol.compare.reading import Channel, FindSpans, read_known_speech
from batkol.compare.recognizers import ComparedRecognizer, open_recognizers, read_settings
from batkol.compare.report_html import report_html
from batkol.compare.report_json import report_json
from batkol.compare.running import chosen_probes, hear_all
from batkol.compare.spans import find_spans
from batkol.compare.stored_calls import read_corrected_calls
from batkol.compare.table import faults, show
from batkol.errors import ConfigurationError
from batkol.paths import in_full
from batkol.settings import Settings
from batkol.terminal_text import without_steering
from batkol.vad.factory import create

INTERRUPTED: Final = 130
"""The exit code of a comparison that was interrupted; reports are of what was heard by then."""

ENDED_EARLY: Final = 2
"""The exit code of a comparison that ended because a recognizer heard nothing any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """The options of the command line."""

    source: Path | None = None
    recordings: Path | None = None
    names: tuple[str, ...] = ()
    budget: float = 30.0
    seed: int | None = None
    channel: str = "mix"
    probes: int = 10
    at_once: int = 4
    json: Path | None = None
    html: Path | None = None
    database_url: str = ""


async def carry_out(options: CompareOptions, out: Console, notes: Console) -> int:
    """Compare, write the reports and print the tables; returns the exit code.

    Raises `ConfigurationError` before anything costs; and afterwards if nothing can be compared, or a report not be
    written: the tables are printed all the same. When it is cancelled it ends with what was heard by then.
    """
    channel = _channel(options.channel)
    _check_reports(options)
    settings = read_settings()
    async with AsyncExitStack() as stack:
        recognizers = await open_recognizers(options.names, settings, stack)
        speech = await _speech(options, channel, _finder(settings), notes)
        comparison, interrupted = await _compare(options, speech, recognizers, notes)
    if not comparison.compared:
        if not interrupted:
            why = ("no sound was heard by every recognizer, so nothing is compared:", *faults(comparison))
            raise ConfigurationError("\n  ".join(why))
        notes.print("interrupted before a sound was heard by every recognizer, so nothing is compared")
        return INTERRUPTED
    unwritten = _write_reports(options, comparison)
    show(comparison, out)
    if unwritten:
        raise ConfigurationError("\n  ".join(unwritten))
    if interrupted:
        return INTERRUPTED
    return ENDED_EARLY if comparison.ended_early else 0


def _check_reports(options: CompareOptions) -> None:
    files = [file for file in (options.json, options.html) if file is not None]
    for file in files:
        check_writable(file)
    if len({in_full(file) for file in files}) < len(files):
        raise ConfigurationError("--json and --html are one file: give each report a name of its own.")


def _write_reports(options: CompareOptions, comparison: Comparison) -> list[str]:
    """Write the reports; return what is wrong with those that could not be written."""
    made_at, unwritten = datetime.now(UTC), []
    for file, content in ((options.json, report_json), (options.html, report_html)):
        if file is None:
            continue
        try:
            write(file, content(comparison, made_at))
        except ConfigurationError as error:
            unwritten.append(str(error))
    return unwritten


def _channel(name: str) -> Channel:
    try:
        return Channel(name)
    except ValueError:
        raise ConfigurationError(f"--channel is mix, left or right, not {name!r}.") from None


def _finder(settings: Settings) -> FindSpans:
    engine = create(settings.vad)
    thresholds = SegmenterSettings(
        minimum_speech_ms=settings.vad_minimum_speech_ms,
        silence_ms=settings.vad_silence_ms,
        pre_roll_ms=settings.vad_pre_roll_ms,
    )

    def find(sound: bytes) -> tuple[SpeechSpan, ...]:
        return find_spans(sound, engine, thresholds)

    return find


async def _speech(options: CompareOptions, channel: Channel, find: FindSpans, notes: Console) -> Sequence[KnownSpeech]:
    if (options.source is None) == (options.recordings is None):
        raise ConfigurationError(
            "name the speech to compare on: a folder or list with texts, or --recordings for calls of the store."
        )

    def note(line: str) -> None:
        notes.print(without_steering(line), markup=False, soft_wrap=True)

    if options.source is not None:
        return await read_known_speech(options.source, find_spans=find, channel=channel, note=note)
    if options.recordings is None:
        raise AssertionError("one of the two is named")
    calls = await read_corrected_calls(options.database_url)
    return await calls.with_recordings(options.recordings, find_spans=find, channel=channel, note=note)


async def _compare(
    options: CompareOptions, speech: Sequence[KnownSpeech], recognizers: Sequence[ComparedRecognizer], notes: Console
) -> tuple[Comparison, bool]:
    """Return the comparison, and whether it was interrupted."""
    streaming = sum(each.streams for each in recognizers)
    probes = options.probes if streaming else 0
    heard = within(
        speech,
        options.budget,
        streaming=streaming,
        single=len(recognizers) - streaming,
        probes=probes,
        seed=options.seed,
    )
    seed = options.seed or 0
    names = [each.name for each in recognizers]
    notes.print(f"comparing {', '.join(names)} on {len(heard)} of {len(speech)} sounds", markup=False)
    with notes.status("") as status:
        run = await hear_all(
            heard,
            recognizers,
            at_once=options.at_once,
            probed=chosen_probes(heard, probes, seed),
            on_heard=lambda done, of: status.update(f"{done} of {of} heard"),
        )
    prices = {name: price_of(name) for name in names}
    comparison = compared(run.speech, names, prices, seed=seed, planned=len(heard), ended_early=run.ended_early)
    return comparison, run.interrupted
