import asyncio
import os
from pathlib import Path

import numpy as np
import pytest

from batkol.audio import mulaw
from batkol.audio.wav import wav_file
from batkol.compare.known_speech import KnownSpeech, SpeechSpan
from batkol.compare.reading import Channel, FindSpans, Note, read_known_speech
from batkol.errors import ConfigurationError


def no_spans(_: bytes) -> tuple[SpeechSpan, ...]:
    return ()


def tone(hz: float, rate: int = 8000) -> "np.typing.NDArray[np.int16]":
    return (8000 * np.sin(2 * np.pi * hz * np.arange(rate // 2) / rate)).astype("<i2")


def write_sound(file: Path, hz: float = 440.0, rate: int = 8000) -> None:
    file.write_bytes(wav_file(tone(hz, rate).tobytes(), rate))


def read(path: Path, channel: Channel = Channel.MIX) -> list[tuple[str, str, str, int]]:
    return [(each.name, each.group, each.said, len(each.mulaw)) for each in speech(path, channel)]


def loud_spans(sound: bytes) -> tuple[SpeechSpan, ...]:
    is_loud = np.abs(mulaw.decode(sound)).max() > 1000
    return (SpeechSpan(0, len(sound), len(sound)),) if is_loud else ()


def speech(
    path: Path, channel: Channel = Channel.MIX, note: Note = lambda _: None, find: FindSpans = no_spans
) -> list[KnownSpeech]:
    return asyncio.run(read_known_speech(path, find_spans=find, channel=channel, note=note))


def test_a_folder_has_sounds_with_their_texts_beside_them(tmp_path: Path) -> None:
    for name, rate in (("b", 8000), ("a", 16000)):
        write_sound(tmp_path / f"{name}.wav", rate=rate)
        (tmp_path / f"{name}.txt").write_text(f"\ufeffשלום {name}\n", encoding="utf-8")

    assert read(tmp_path) == [("a.wav", "a.wav", "שלום a", 4000), ("b.wav", "b.wav", "שלום b", 4000)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.jsonl", '{"audio": "a.wav", "text": "שלום", "call": "CA1"}\n\n{"audio": "b.wav", "text": ""}\n'),
        ("l.csv", "audio,text,call\na.wav,שלום,CA1\nb.wav,,\n"),
    ],
)
def test_a_list_names_sounds_texts_and_calls(tmp_path: Path, name: str, text: str) -> None:
    for sound in ("a.wav", "b.wav"):
        write_sound(tmp_path / sound)
    (tmp_path / name).write_text(text, encoding="utf-8")

    assert read(tmp_path / name) == [("a.wav", "CA1", "שלום", 4000), ("b.wav", "b.wav", "", 4000)]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("l.csv", 'audio,text\r\na.wav,"שלום\r\nעולם"\r\n', "שלום\r\nעולם"),
        ("l.csv", "audio,text\na.wav,שלום\u2028עולם\n", "שלום\u2028עולם"),
        ("l.jsonl", '{"audio": "a.wav", "text": "שלום\u2028עולם"}\r\n', "שלום\u2028עולם"),
    ],
)
def test_a_text_of_two_lines_stays_one_text_of_two_words(tmp_path: Path, name: str, text: str, said: str) -> None:
    write_sound(tmp_path / "a.wav")
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")

    assert read(tmp_path / name) == [("a.wav", "a.wav", said, 4000)]


def test_a_name_that_is_no_utf_8_can_stand_in_a_report(tmp_path: Path) -> None:
    write_sound(tmp_path / os.fsdecode(b"\xf9.wav"))
    (tmp_path / os.fsdecode(b"\xf9.txt")).write_text("שלום", encoding="utf-8")

    assert read(tmp_path) == [("\\udcf9.wav", "\\udcf9.wav", "שלום", 4000)]


def test_the_channel_with_the_caller_is_taken(tmp_path: Path) -> None:
    both = np.stack([tone(300.0), tone(1700.0)], axis=1)
    (tmp_path / "a.wav").write_bytes(wav_file(both.tobytes(), channels=2))
    (tmp_path / "a.txt").write_text("שלום", encoding="utf-8")

    for channel, side in ((Channel.LEFT, 0), (Channel.RIGHT, 1)):
        (found,) = speech(tmp_path, channel)
        assert np.abs(mulaw.decode(found.mulaw).astype(int) - both[:, side]).max() < 300


@pytest.mark.parametrize(
    ("files", "source", "why"),
    [
        ({}, "", "has no WAV file"),
        ({"a.wav": b""}, "", r"a\.wav has no text: write what is said in it to a\.txt beside it\.$"),
        ({"a.wav": b"", "b.wav": b"", "c.wav": b""}, "", r"a\.txt beside it\. 2 more have none\.$"),
        ({"a.wav": b"no sound", "a.txt": b"x"}, "", r"a\.wav: it is no WAV file"),
        ({"a.wav": b"", "a.txt": b"\xff"}, "", r"a\.txt is not UTF-8"),
        ({}, "l.jsonl", "is neither a folder nor a file"),
        ({"l.txt": b""}, "l.txt", "must be a folder with WAV files and texts, or a list"),
        ({"l.jsonl": b'{"audio": "a.wav"}'}, "l.jsonl", r"l\.jsonl, line 1 is no entry"),
        ({"l.jsonl": b'{"audio": "a.wav", "text": "", "cal": ""}'}, "l.jsonl", r"l\.jsonl, line 1 is no entry"),
        ({"l.csv": b"audio;text\n"}, "l.csv", "must have the columns audio and text"),
        ({"l.csv": b"audio,text\na.wav,x,y\n"}, "l.csv", r"l\.csv, line 2 has another number of fields"),
        ({"l.jsonl": b'{"audio": "a.wav", "text": ""}'}, "l.jsonl", r"a\.wav cannot be read: No such file"),
        ({"l.jsonl": b'{"audio": "a\\u0000.wav", "text": ""}'}, "l.jsonl", r"a\\x00\.wav' is no name of a file"),
        ({"l.jsonl": b'{"audio": "/dev/zero", "text": ""}'}, "l.jsonl", "/dev/zero is no file"),
        ({"l.jsonl": b"\n"}, "l.jsonl", r"l\.jsonl has no entry"),
        ({"l.csv": b"audio,text\n"}, "l.csv", r"l\.csv has no entry"),
        ({"l.csv": b'audio,"text\n'}, "l.csv", r"l\.csv, line 1 is no CSV: unexpected end of data"),
        ({"l.csv": b"audio,text,audio\na.wav,x,b.wav\n"}, "l.csv", "must have the columns audio and text"),
        ({"l.csv": b"audio,text\na.wav,x\n./a.wav,y\n"}, "l.csv", r"\./a\.wav is listed twice; list each sound once"),
        ({"a.wav": b"", "a.WAV": b"", "a.txt": b"x"}, "", "would share a text"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(
    tmp_path: Path, files: dict[str, bytes], source: str, why: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)

    with pytest.raises(ConfigurationError, match=why):
        read(tmp_path / source if source else tmp_path)


def test_a_channel_that_a_sound_does_not_have_is_refused(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.wav")
    (tmp_path / "a.txt").write_text("שלום", encoding="utf-8")

    with pytest.raises(ConfigurationError, match=r"a\.wav: it has 1 channel, and channel 2 was asked for"):
        read(tmp_path, Channel.RIGHT)


def test_what_a_reader_of_the_report_should_know_of_the_sounds_is_noted(tmp_path: Path) -> None:
    caller_left = np.stack([tone(300.0), np.zeros_like(tone(300.0))], axis=1)
    (tmp_path / "a.wav").write_bytes(wav_file(caller_left.tobytes(), channels=2))
    write_sound(tmp_path / "b.wav")
    for name, text in (("a.txt", "שלום"), ("b.txt", " \n"), ("c.txt", "תודה"), ("c.mp3", "")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    notes: list[str] = []
    speech(tmp_path, note=notes.append, find=loud_spans)

    left_out, empty, mixed = notes
    assert left_out == "2 entries are left out, for only .wav files with a .txt count; the first one is c.mp3."
    assert mixed.startswith("1 sound has several channels, which are mixed")
    assert empty.startswith("1 sound has an empty text")
    assert empty.endswith("The first one is b.wav.")
    (tmp_path / "b.wav").unlink()
    for channel, said in (
        (Channel.LEFT, []),
        (Channel.RIGHT, ["1 sound with a text has no speech for the detector: check --channel, and the sound."]),
    ):
        notes.clear()
        speech(tmp_path, channel, note=notes.append, find=loud_spans)
        assert [note.partition(" The first")[0] for note in notes[1:]] == said
