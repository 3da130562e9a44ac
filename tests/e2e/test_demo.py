"""`make demo` as a newcomer runs it, but into a pipe: in a folder that nobody else may enter, as under `/root`."""

from __future__ import annotations

import io
import re
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len

from batkol.audio import mulaw
from batkol.demo.script import SCRIPT, SHORT_SCRIPT, DemoScript
from batkol.simulators.voice.recognizer import words_in
from batkol.terminal_text import isolated
from support.process.clones import clone, open_place, run, server_programs

STREAMED = ["utterance", "speech_to_text default", "endpointing"]
SINGLE = ["utterance", "endpointing", "single_request"]
HUM = SINGLE
"""The stream heard no word in the mm-hm, and a single request was to make sure."""


@pytest.mark.long
@pytest.mark.timeout(240)
def test_a_short_demo_shows_words_replies_modes_and_traces_and_records_both_sides_and_ends_by_itself() -> None:
    said, recorded = demo("--traces --short --listen call.wav")

    assert f"🟡 Partial: {isolated('שלום אני')}\n" in said
    assert f"🟢 Final: {isolated('שלום אני רוצה תור.')}\n" in said
    assert max(map(cell_len, said.splitlines())) <= 80
    check_rows(said, ["streaming", "streaming", "streaming", "single", "streaming"])
    assert "11/11 words right" in said
    check_replies(said, SHORT_SCRIPT)
    check_recording(recorded, SHORT_SCRIPT)
    assert "Stored in Postgres: 1 call · 5 utterances · 1 lead\n" in said
    check_traces(said, [STREAMED, HUM, STREAMED, SINGLE, STREAMED])


@pytest.mark.nightly
@pytest.mark.timeout(240)
def test_the_whole_demo_shows_words_replies_modes_and_traces_and_records_both_sides_and_ends_by_itself() -> None:
    said, recorded = demo("--traces --listen call.wav")

    assert f"🟡 Partial: {isolated('שלום אני')}\n" in said
    assert f"🟢 Final: {isolated('שלום אני רוצה לקבוע תור.')}\n" in said
    check_rows(said, ["streaming", "streaming", "streaming", "single", "streaming", "streaming", "streaming"])
    assert "21/21 words right" in said
    check_replies(said, SCRIPT)
    check_recording(recorded, SCRIPT)
    assert "Stored in Postgres: 1 call · 7 utterances · 1 lead\n" in said
    check_traces(said, [STREAMED, STREAMED, STREAMED, SINGLE, STREAMED, HUM, STREAMED])


def demo(options: str) -> tuple[str, bytes]:
    """Run it in a clone; return what it printed, and its recording."""
    with open_place() as place:
        place.chmod(0o700)
        made = clone(place)
        (made / ".venv").symlink_to(Path(sys.prefix))
        packages = server_programs(made / "packages")
        command = ["make", "--assume-old", ".venv/.installed", "demo", f"ARGS={options}"]
        done = run(command, made / "service", packages, cwd=made, timeout=200)
        recorded = (made / "call.wav").read_bytes() if done.returncode == 0 else b""

    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout, "a pipe gets plain lines"
    return done.stdout, recorded


def check_rows(said: str, modes: list[str]) -> None:
    assert re.search(
        r"streaming-stt off, in effect after .* single · flag off .*streaming-stt on, in effect", said, re.DOTALL
    )
    rows = re.findall(r"^\s*(\d)\s+(\d)/(\d)\s+.*?(streaming|single)\s", said, re.MULTILINE)
    assert [mode for *_, mode in rows] == modes
    assert all(right == total for _, right, total, _ in rows)


def check_replies(said: str, script: DemoScript) -> None:
    """Check each reply's line: its latency adds up, and the caller heard all of it unless they interrupted."""
    heard_of = re.findall(r"^(?:👂|  ) (?:interrupted, )?heard (\d+)/(\d+) words", said, re.MULTILINE)
    counts = [(int(heard), int(intended)) for heard, intended in heard_of]
    assert len(counts) == len(script) + 1
    for (heard, intended), turn in zip(counts[1:], script, strict=True):
        assert heard < intended if turn.interrupted_at is not None else heard == intended
    splits = re.findall(
        r"👂 (\d+) ms = text (\d+) \+ first token (\d+) \+ piece (\d+) \+ sound (\d+) \+ commit (\d+)\n", said
    )
    assert len(splits) == len(script)
    assert all(int(total) == sum(map(int, parts)) for total, *parts in splits)
    unwrapped = " ".join(said.split())
    assert re.search(rf"{len(script)} answers · .* · 1 interrupted, silent \d+ ms after .* · 1 mm-hm that", unwrapped)
    assert ", 0 false interruptions · " in unwrapped
    assert "✗" not in said


def check_recording(content: bytes, script: DemoScript) -> None:
    """Check that the caller is on the left, word for word, and the agent on the right, greeting first."""
    with wave.open(io.BytesIO(content)) as opened:
        assert (opened.getnchannels(), opened.getframerate()) == (2, 8000)
        both = np.frombuffer(opened.readframes(opened.getnframes()), "<i2").astype(np.int16).reshape(-1, 2)
    left, right = np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1])
    words = words_in(mulaw.encode(left))
    assert [word.text for word in words] == [word for turn in script for word in turn.words]
    loud = np.flatnonzero(np.abs(right.astype(np.int32)) > 1000)
    assert loud[0] < words[0].start, "the greeting is heard before the caller's first word"
    assert loud[-1] > words[-1].end, "the last reply is heard after the caller's last word"


def check_traces(said: str, expected: list[list[str]]) -> None:
    waterfalls = re.split(r"\nutterance (?=\d)", said.partition("What a collector got")[2])[1:]
    row = re.compile(r"^ *(utterance|speech_to_text default|endpointing|single_request) .*━", re.MULTILINE)
    assert [row.findall(waterfall)[:3] for waterfall in waterfalls] == expected
    assert "●" in waterfalls[0]
    assert "google.cloud.speech.v1p1beta1.Speech/StreamingRecognize 2" in waterfalls[-1]
