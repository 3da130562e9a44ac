"""Known speech from files: a folder of WAV files with their texts, or a list that names both."""

from __future__ import annotations

import csv
import io
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from batkol.compare.known_speech import KnownSpeech, SpeechSpan
from batkol.errors import ConfigurationError
from batkol.paths import is_file, is_folder
from batkol.voices.wav import to_phone
from batkol.voices.wav_header import WavError

LARGEST: Final = 512 << 20
"""Bytes of a WAV file."""
LONGEST_S: Final = 4 * 3600.0
LARGEST_TEXT: Final = 1 << 20
"""Bytes of a text."""

FindSpans = Callable[[bytes], tuple[SpeechSpan, ...]]


class Channel(StrEnum):
    """Channels of a sound with two sides of a call."""

    MIX = "mix"
    LEFT = "left"
    RIGHT = "right"


class ListEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of a list: a WAV file relative to the list, the words said in it, and the call that it is from."""

    audio: str
    text: str
    call: str = ""


def read_known_speech(path: Path, *, find_spans: FindSpans, channel: Channel) -> list[KnownSpeech]:
    """Read a folder, a `.jsonl` or a `.csv`. Raises `ConfigurationError`, which names the file and the line."""
    if is_folder(path):
        entries = _folder(path)
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
    speech = []
    for entry in entries:
        sound = read_sound(base / entry.audio, channel)
        name = entry.audio.encode("utf-8", "backslashreplace").decode()  # a name on disk may be no UTF-8
        speech.append(KnownSpeech(name, entry.call or name, entry.text, sound, find_spans(sound)))
    return speech


def read_sound(file: Path, channel: Channel) -> bytes:
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
        return to_phone(content, longest_s=LONGEST_S, channel=_NUMBERS[channel])
    except WavError as error:
        raise ConfigurationError(f"{file}: {error}.") from None


_NUMBERS: Final[Mapping[Channel, int | None]] = {Channel.MIX: None, Channel.LEFT: 0, Channel.RIGHT: 1}


def _folder(folder: Path) -> list[ListEntry]:
    sounds = sorted(each for each in folder.iterdir() if each.suffix.lower() == ".wav")
    if not sounds:
        raise ConfigurationError(f"{folder} has no WAV file.")
    entries = []
    for sound in sounds:
        text = sound.with_suffix(".txt")
        if not is_file(text):
            raise ConfigurationError(f"{sound} has no text: write what is said in it to {text.name} beside it.")
        entries.append(ListEntry(sound.name, _text(text).strip()))
    return entries


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
            raise ConfigurationError(f"{file} must have the columns audio and text, and may have call.")
        for row in reader:
            if None in row or row["audio"] is None or row["text"] is None:
                raise ConfigurationError(f"{file}, line {reader.line_num} has another number of fields than columns.")
            yield ListEntry(row["audio"], row["text"], row.get("call") or "")
    except csv.Error as error:
        raise ConfigurationError(f"{file}, line {max(1, reader.line_num)} is no CSV: {error}.") from None
