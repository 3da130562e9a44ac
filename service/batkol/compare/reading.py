"""Known speech from files: a folder of WAV files with their texts, or a list that names both."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from batkol.compare.known_speech import KnownSpeech, SpeechSpan
from batkol.errors import ConfigurationError
from batkol.paths import is_file, is_folder
from batkol.quantity import quantity
from batkol.voices.wav import to_phone
from batkol.voices.wav_header import WavError, find_samples

LARGEST: Final = 512 << 20
"""Bytes of a WAV file."""
LONGEST_S: Final = 4 * 3600.0
LARGEST_TEXT: Final = 1 << 20
"""Bytes of a text."""

Note = Callable[[str], None]
"""Is called with a sentence for the reader of a report."""

FindSpans = Callable[[bytes], tuple[SpeechSpan, ...]]


class Channel(StrEnum):
    """Channels of a sound with two sides of a call."""

    MIX = "mix"
    LEFT = "left"
    RIGHT = "right"


class ReadSound(NamedTuple):
    """A sound in mu-law at 8 kHz, and whether it was made of several channels."""

    mulaw: bytes
    is_mixed: bool


class ListEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of a list: a WAV file relative to the list, the words said in it, and the call that it is from."""

    audio: str
    text: str
    call: str = ""


async def read_known_speech(
    path: Path, *, find_spans: FindSpans, channel: Channel, note: Note = lambda _: None
) -> list[KnownSpeech]:
    """Read a folder, a `.jsonl` or a `.csv`. Raises `ConfigurationError`, which names the file and the line.

    `note` is called with what the reader of a report should know of the speech. It can be cancelled between two sounds.
    """
    if is_folder(path):
        entries = _folder(path, note)
    elif not is_file(path):
        raise ConfigurationError(f"{path} is neither a folder nor a file.")
    elif path.suffix == ".jsonl":
        entries = list(_lines(path))
    elif path.suffix == ".csv":
        entries = list(_rows(path))
    else:
        raise ConfigurationError(f"{path} must be a folder with WAV files and texts, or a list: .jsonl or .csv.")
    if not entries:
        raise ConfigurationError(f"{path} has no entry.")
    base = path if is_folder(path) else path.parent
    _refuse_twice(base, entries)
    speech, mixed = [], 0
    for entry in entries:
        await asyncio.sleep(0)
        sound = read_sound(base / entry.audio, channel)
        mixed += sound.is_mixed
        name = _readable(entry.audio)
        speech.append(KnownSpeech(name, entry.call or name, entry.text, sound.mulaw, find_spans(sound.mulaw)))
    note_oddities(speech, mixed, note)
    return speech


def _refuse_twice(base: Path, entries: Sequence[ListEntry]) -> None:
    """Refuse a sound that stands in a list twice: it would count twice, and be paid for twice."""
    listed: set[str] = set()
    for entry in entries:
        file = os.path.normpath(base / entry.audio)
        if file in listed:
            raise ConfigurationError(f"{entry.audio} is listed twice; list each sound once, with one text.")
        listed.add(file)


def _readable(name: str) -> str:
    """Return a name that can stand in a report: one on disk may be no UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


def note_oddities(speech: Sequence[KnownSpeech], mixed: int, note: Note) -> None:
    """Say what makes every recognizer look bad: texts that are empty, channels that are mixed or are the wrong one."""
    if silent := [each.name for each in speech if not each.said.strip()]:
        has = quantity(len(silent), "sound has", "sounds have")
        note(
            f"{has} an empty text, which says that nothing is said there: each word that is heard is an extra one. "
            f"The first one is {silent[0]}."
        )
    if unheard := [each.name for each in speech if each.said.strip() and not each.spans]:
        has = quantity(len(unheard), "sound with a text has", "sounds with a text have")
        note(f"{has} no speech for the detector: check --channel, and the sound. The first one is {unheard[0]}.")
    if mixed:
        has = quantity(mixed, "sound has", "sounds have")
        note(
            f"{has} several channels, which are mixed: what the other side of the call says counts as extra words. "
            "--channel left or --channel right takes the caller alone."
        )


def read_sound(file: Path, channel: Channel) -> ReadSound:
    """Return a WAV file as a telephone would carry it. Raises `ConfigurationError`."""
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe is never read to its end
            raise ConfigurationError(f"{file} is no file.")
        if found.st_size > LARGEST:
            raise ConfigurationError(f"{file} has more than {LARGEST >> 20} MB; cut the sound.")
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise ConfigurationError(f"{str(file)!r} is no name of a file.") from None
    try:
        sound = to_phone(content, longest_s=LONGEST_S, channel=_NUMBERS[channel])
        samples = find_samples(content)
    except WavError as error:
        raise ConfigurationError(f"{file}: {error}.") from None
    return ReadSound(sound, channel is Channel.MIX and samples is not None and samples.form.channels > 1)


_NUMBERS: Final[Mapping[Channel, int | None]] = {Channel.MIX: None, Channel.LEFT: 0, Channel.RIGHT: 1}


def _folder(folder: Path, note: Note) -> list[ListEntry]:
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be read: {error.strerror}.") from None
    sounds = [each for each in files if each.suffix.lower() == ".wav"]
    if not sounds:
        raise ConfigurationError(f"{folder} has no WAV file.")
    texts = {each.with_suffix(".txt") for each in sounds}
    if len(texts) < len(sounds):
        raise ConfigurationError(f"{folder} has WAV files that differ in .wav and .WAV only, and would share a text.")
    if others := [each.name for each in files if each not in {*texts, *sounds} and not each.name.startswith(".")]:
        left_out = quantity(len(others), "entry is", "entries are")
        note(f"{left_out} left out, for only .wav files with a .txt count; the first one is {_readable(others[0])}.")
    if without := [each for each in sounds if not is_file(each.with_suffix(".txt"))]:
        more = f" {len(without) - 1} more have none." if len(without) > 1 else ""
        text = without[0].with_suffix(".txt")
        raise ConfigurationError(f"{without[0]} has no text: write what is said in it to {text.name} beside it.{more}")
    return [ListEntry(each.name, _text(each.with_suffix(".txt")).strip()) for each in sounds]


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            raw = opened.read(LARGEST_TEXT + 1)
        if len(raw) > LARGEST_TEXT:
            raise ConfigurationError(f"{file} has more than {LARGEST_TEXT >> 20} MB; a text is shorter.")
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file} is not UTF-8; save the file as UTF-8.") from None


def _lines(file: Path) -> Iterable[ListEntry]:
    for number, line in enumerate(_text(file).split("\n"), 1):  # other line separators may stand in a text
        if not line.strip():
            continue
        try:
            yield msgspec.json.decode(line, type=ListEntry)
        except msgspec.DecodeError:
            raise ConfigurationError(
                f'{file}, line {number} is no entry: {{"audio": "a.wav", "text": "…", "call": "CA…"}}, of which `call` '
                "may be missing."
            ) from None


def _rows(file: Path) -> Iterable[ListEntry]:
    reader = csv.DictReader(io.StringIO(_text(file), newline=""), strict=True)
    try:
        names: Sequence[str] = reader.fieldnames or ()
        if sorted(names) not in (["audio", "text"], ["audio", "call", "text"]):
            raise ConfigurationError(f"{file} must have the columns audio and text, and may have call, with commas.")
        for row in reader:
            if None in row or row["audio"] is None or row["text"] is None:
                raise ConfigurationError(f"{file}, line {reader.line_num} has another number of fields than columns.")
            yield ListEntry(row["audio"], row["text"], row.get("call") or "")
    except csv.Error as error:
        raise ConfigurationError(f"{file}, line {max(1, reader.line_num)} is no CSV: {error}.") from None
