"""Sounds for the detectors: recordings with their true ends, what is synthesized in their place, and `tools/sounds`."""

from __future__ import annotations

import subprocess
import wave
from hashlib import sha256
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from batkol.audio import mulaw
from support.speech.clip import Clip, Signal, rms, whole
from support.speech.coughs import clicks, coughs
from support.speech.human import VOICES, short_sounds, spoken, utterances
from support.speech.hums import mm_hms
from support.speech.music import pieces
from support.speech.sounds import SoundsMissingError, package, read
from support.vad.scenes import scene, white
from support.vad.segments import Segment, SpeechWindow, compare

SECOND = 8000
MS = 8
TOOL = Path(__file__).parents[1] / "tools" / "sounds"


def tone(ms: float, amplitude: float = 8000) -> Signal:
    return np.asarray(amplitude * np.sin(2 * np.pi * 440 * np.arange(round(ms * MS)) / SECOND))


def quiet(ms: float) -> Signal:
    return np.random.default_rng(1).normal(0, 4, round(ms * MS))


def write(file: Path, *parts: Signal, rate: int = SECOND) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(file), "wb") as opened:
        opened.setparams((1, 2, rate, 0, "NONE", "not compressed"))
        opened.writeframes(np.concatenate(parts).astype("<i2").tobytes())


def voices(folder: Path) -> None:
    """Write a package of each voice: three sentences, a beep, one with a long pause in it, a letter and a silence."""
    for voice in VOICES:
        root = folder / f"asterisk-core-sounds-{voice}-wav"
        said = root / "sounds" / f"{voice}_somebody"
        for number in range(3):
            write(said / f"sentence-{number}.wav", quiet(300), tone(1000 + 100 * number), quiet(500))
        write(said / "beep.wav", quiet(100), tone(900), quiet(100))
        write(said / "two-sentences.wav", tone(700), quiet(600), tone(700))
        write(said / "letters" / "m.wav", quiet(50), tone(300), quiet(50))
        write(said / "letters" / "double-you.wav", tone(600))
        write(said / "silence" / "1.wav", np.zeros(SECOND))
        (root / ".sounds").touch()


def test_sounds_that_are_not_here_say_how_to_fetch_them(tmp_path: Path) -> None:
    with pytest.raises(SoundsMissingError, match="no sounds of asterisk-core-sounds-en-wav: run `make sounds`"):
        utterances(5, folder=tmp_path)
    with pytest.raises(SoundsMissingError, match="make sounds"):
        pieces(folder=tmp_path)


def test_a_recording_at_another_rate_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "wide.wav", tone(100), rate=16_000)

    with pytest.raises(ValueError, match=r"wide.wav has rate, channels and bytes a sample \(16000, 1, 2\)"):
        read(tmp_path / "wide.wav")


def test_a_package_that_is_half_unpacked_is_missing(tmp_path: Path) -> None:
    (tmp_path / "some-wav" / "sounds").mkdir(parents=True)

    with pytest.raises(SoundsMissingError):
        package("some-wav", tmp_path)


def test_what_is_said_begins_and_ends_where_the_energy_does() -> None:
    found = spoken(np.concatenate([quiet(200), tone(500), quiet(120), tone(300, 1000), quiet(90)]).astype(np.int16))

    assert found is not None
    assert (found.begin / MS, found.end / MS, found.pause_ms) == (200, 1120, 120)
    assert spoken(np.zeros(SECOND, np.int16)) is None


def test_utterances_come_from_the_voices_by_turns_and_are_sentences_alone(tmp_path: Path) -> None:
    voices(tmp_path)

    drawn = utterances(15, folder=tmp_path)

    assert [clip.name[:2] for clip in drawn] == [*VOICES] * 3
    assert {clip.name[3:] for clip in drawn} == {"/sentence-0", "/sentence-1", "/sentence-2"}
    for clip in drawn:
        assert clip.ms == 1000 + 100 * int(clip.name[-1])
        assert (clip.begin, len(clip.pcm) - clip.end) == (200 * MS, 200 * MS)
        assert rms(clip.pcm[: clip.begin]) < 10
        assert rms(clip.pcm[clip.begin : clip.end]) > 4000
    with pytest.raises(ValueError, match="fewer such recordings"):
        utterances(16, folder=tmp_path)


def test_short_sounds_are_the_letters_and_digits_that_are_as_short_as_a_mm_hm(tmp_path: Path) -> None:
    voices(tmp_path)

    assert [clip.name for clip in short_sounds(folder=tmp_path)] == [f"{voice} letters/m" for voice in VOICES]


def test_music_begins_where_it_has_faded_in(tmp_path: Path) -> None:
    write(tmp_path / "asterisk-moh-opsound-wav" / "moh" / "a_tune.wav", np.zeros(10 * SECOND), tone(3000))
    (tmp_path / "asterisk-moh-opsound-wav" / ".sounds").touch()

    [piece] = pieces(2, folder=tmp_path)

    assert (piece.name, len(piece.pcm)) == ("a_tune", 2 * SECOND)
    assert rms(piece.pcm[:80]) > 5000
    with pytest.raises(ValueError, match=r"a_tune\.wav has no 4 s after its tenth"):
        pieces(4, folder=tmp_path)


@pytest.mark.parametrize(("made", "shortest", "longest"), [(mm_hms, 150, 350), (coughs, 100, 300), (clicks, 5, 40)])
def test_a_hundred_are_made_that_differ_and_are_the_same_each_time(made: Any, shortest: float, longest: float) -> None:
    clips = made(100)

    assert len({clip.mulaw for clip in clips}) == 100
    assert all(shortest - 1 <= clip.ms <= longest + 1 for clip in clips)
    assert all(0 < np.abs(clip.pcm).max() < 32767 for clip in clips), "one is silent or clipped"
    made.cache_clear()  # of functools.cache
    assert [clip.mulaw for clip in made(10)] == [clip.mulaw for clip in clips[:10]]
    assert not {clip.mulaw for clip in made(10, seed=2)} & {clip.mulaw for clip in clips}


def test_a_mm_hm_is_voiced() -> None:
    """Its loudest 40 ms come again after a period of its pitch."""
    for clip in mm_hms(20):
        loudest = max(range(0, len(clip.pcm) - 640, 80), key=lambda at, clip=clip: rms(clip.pcm[at : at + 640]))  # type: ignore[misc]
        sound = clip.pcm[loudest : loudest + 640].astype(float)
        again = np.correlate(sound, sound, "full")[639:]

        assert again[23:107].max() > 0.5 * again[0], clip.name


def test_clips_are_heard_where_a_scene_says_and_noise_is_as_loud_as_asked() -> None:
    clips = [Clip("padded", np.r_[np.zeros(80), tone(500), np.zeros(160)].astype(np.int16), 80, 4080)] * 3
    call = scene(clips, np.random.default_rng(1), (300, 600))

    assert call.spans[0] == (2 * SECOND, 2 * SECOND + 4000)
    for (_, end), (begin, _) in zip(call.spans, call.spans[1:], strict=False):
        assert 300 * MS <= begin - end <= 600 * MS
        assert not call.sound[end:begin].any()
    noise = call.in_noise(white, 10).sound - call.sound
    assert 20 * np.log10(call.level / rms(noise)) == pytest.approx(10)
    assert len(mulaw.decode(call.mulaw)) == len(call.sound)


def test_a_clip_can_be_made_quieter() -> None:
    assert rms(whole("", tone(100)).quieter(20).pcm) == pytest.approx(rms(tone(100)) / 10, rel=0.01)


def test_what_is_found_is_held_against_what_was_said() -> None:
    said = [(1000, 2000), (4000, 5000), (7000, 8000), (9000, 10000), (20000, 21000)]
    found = [
        Segment(1080, 2160),  # the first, 10 ms and 20 ms late
        Segment(4000, 4200),
        Segment(4600, 5000),  # the second, split
        Segment(6900, 10080),  # the third and the fourth, merged
        Segment(15000, 16000),  # nothing; and the fifth is missed
    ]

    score = compare(said, found, 60 * SECOND)

    assert (score.missed, score.split, score.merged, score.false) == (1, 1, 1, 1)
    assert (score.detected, score.alone) == (4, 2)
    assert score.start.tolist() == [10, 0]
    assert score.end.tolist() == [20, 0]
    assert score.missed_ms_per_minute == (80 + 400 + 1000) / MS


def test_a_segment_lasts_from_the_window_that_makes_it_so_long() -> None:
    segment = Segment(800, 4000, [SpeechWindow(end, 100) for end in (1600, 2400, 4000)])

    assert [segment.lasts(ms) for ms in (100, 101, 400, 401)] == [1600, 2400, 4000, None]


def test_a_segment_is_loud_up_to_its_last_window_near_the_loudest_before_it() -> None:
    levels = [(1600, 50.0), (2400, 1000.0), (3200, 900.0), (4000, 60.0)]
    segment = Segment(800, 4000, [SpeechWindow(*each) for each in levels])

    assert segment.loud(15).end == 3200
    assert segment.loud(15).lasts(200) == 2400
    assert segment.loud(30).end == 4000


def tool() -> ModuleType:
    """Return `tools/sounds` as a module."""
    loader = SourceFileLoader("sounds_tool", str(TOOL))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_a_machine_without_apt_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    sounds = tool()

    with pytest.raises(SystemExit, match=r"this machine has no apt-get on its PATH.*copy its \.tools/sounds to"):
        sounds.fetch(sounds.PACKAGES, tmp_path / "sounds")
    assert not (tmp_path / "sounds").exists()


class Archive:
    """A package archive of apt's, with one package of one tone; the machine's own lists know nothing of it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        (folder / "lists" / "partial").mkdir(parents=True)
        (folder / "sources").write_text(f"deb [trusted=yes] copy:{folder}/pool ./\n")
        (folder / "apt.conf").write_text(
            f'Dir::Etc::sourcelist "{folder}/sources"; Dir::Etc::sourceparts "-"; Dir::State::Lists "{folder}/lists";\n'
            'Acquire::Languages "none"; Acquire::Retries "0";\n'
        )
        monkeypatch.setenv("APT_CONFIG", str(folder / "apt.conf"))

    def publish(self, name: str, ms: float) -> None:
        tree, pool = self._folder / "tree", self._folder / "pool"
        write(tree / "usr/share/asterisk/moh/a_tune.wav", tone(ms))
        (tree / "usr/share/doc" / name).mkdir(parents=True, exist_ok=True)
        (tree / "usr/share/doc" / name / "copyright").write_text("CC-BY-SA-3.0\n")
        (tree / "DEBIAN").mkdir(exist_ok=True)
        fields = f"Package: {name}\nVersion: 1-{ms:.0f}\nArchitecture: all\nMaintainer: Nobody <no@body.invalid>\n"
        (tree / "DEBIAN" / "control").write_text(f"{fields}Description: a tune\n")
        pool.mkdir(exist_ok=True)
        deb = pool / f"{name}_1-{ms:.0f}_all.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", str(tree), str(deb)], check=True)
        content = deb.read_bytes()
        found = f"Filename: ./{deb.name}\nSize: {len(content)}\nSHA256: {sha256(content).hexdigest()}\n"
        (pool / "Packages").write_text(f"{fields}{found}Description: a tune\n\n")


@pytest.mark.nightly
def test_the_pinned_sounds_of_a_package_are_fetched_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    archive, out, sounds = Archive(tmp_path / "archive", monkeypatch), tmp_path / "sounds", tool()
    archive.publish("a-tune-wav", 500)
    pinned = {"a-tune-wav": sounds.Package(sounds.hashed(tmp_path / "archive/tree/usr/share/asterisk"), "CC-BY-SA-3.0")}

    sounds.fetch(pinned, out)

    assert "a-tune-wav is in sounds/a-tune-wav (CC-BY-SA-3.0: see copyright there)" in capfd.readouterr().out
    assert read(package("a-tune-wav", out) / "moh" / "a_tune.wav").tolist() == tone(500).astype(np.int16).tolist()
    assert (out / "a-tune-wav" / "copyright").read_text() == "CC-BY-SA-3.0\n"
    assert [path.name for path in out.iterdir()] == ["a-tune-wav"], "something was left behind"
    monkeypatch.setenv("PATH", str(tmp_path))
    sounds.fetch(pinned, out)
    assert "the sounds of all 1 packages are up to date" in capfd.readouterr().out


@pytest.mark.nightly
def test_other_sounds_than_the_pinned_ones_are_refused_and_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, out, sounds = Archive(tmp_path / "archive", monkeypatch), tmp_path / "sounds", tool()
    archive.publish("a-tune-wav", 500)

    with pytest.raises(SystemExit, match="a-tune-wav has other sounds than the pinned ones"):
        sounds.fetch({"a-tune-wav": sounds.Package("0" * 64, "CC-BY-SA-3.0")}, out)

    assert list(out.iterdir()) == []


@pytest.mark.nightly
def test_a_package_that_no_source_has_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    archive, out, sounds = Archive(tmp_path / "archive", monkeypatch), tmp_path / "sounds", tool()
    archive.publish("another-wav", 500)

    with pytest.raises(SystemExit, match="apt-get did not download a-tune-wav: its own words are above"):
        sounds.fetch({"a-tune-wav": sounds.Package("0" * 64, "CC-BY-SA-3.0")}, out)

    assert "Unable to locate package a-tune-wav" in capfd.readouterr().err
    assert list(out.iterdir()) == []
