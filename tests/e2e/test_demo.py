"""`batkol demo` as a newcomer runs it, but into a pipe."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest


@pytest.mark.timeout(240)
def test_the_demo_shows_every_word_and_both_modes_and_its_traces_and_ends_by_itself() -> None:
    command = [sys.executable, "-m", "batkol", "demo", "--traces"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout, "a pipe gets plain lines"
    assert "🟡 Partial: שלום אני" in done.stdout
    assert "🟢 Final: שלום אני רוצה פגישה היום." in done.stdout
    assert re.search(
        r"streaming-stt off, in effect after .* single · flag off .*streaming-stt on, in effect", done.stdout, re.DOTALL
    )
    rows = re.findall(r"^\s*(\d)\s+(\d)/(\d)\s+.*?(streaming|single)\s", done.stdout, re.MULTILINE)
    assert [mode for *_, mode in rows] == ["streaming", "streaming", "single", "single", "streaming", "streaming"]
    assert all(right == total for _, right, total, _ in rows)
    assert "26/26 words right" in done.stdout
    assert "Stored in Postgres: 1 call · 6 utterances · 1 lead\n" in done.stdout
    waterfalls = re.split(r"\nutterance (?=\d)", done.stdout.partition("What a collector got")[2])[1:]
    row = re.compile(r"^ *(utterance|speech_to_text default|endpointing|single_request) .*━", re.MULTILINE)
    drawn = [row.findall(waterfall) for waterfall in waterfalls]
    streamed = ["utterance", "speech_to_text default", "endpointing"]
    single = ["utterance", "endpointing", "single_request"]
    assert [spans[:3] for spans in drawn] == [streamed, streamed, single, single, streamed, streamed]
    assert "●" in waterfalls[0]
    assert "google.cloud.speech.v1p1beta1.Speech/StreamingRecognize 2" in waterfalls[-1]
