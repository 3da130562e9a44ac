"""`make demo` as a newcomer runs it, but into a pipe: in a folder that nobody else may enter, as under `/root`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from support.process.clones import clone, open_place, run, server_programs


@pytest.mark.timeout(240)
def test_the_demo_shows_every_word_and_both_modes_and_its_traces_and_ends_by_itself() -> None:
    with open_place() as place:
        place.chmod(0o700)
        made = clone(place)
        (made / ".venv").symlink_to(Path(sys.prefix))
        packages = server_programs(made / "packages")
        command = ["make", "--assume-old", ".venv/.installed", "demo", "ARGS=--traces"]
        done = run(command, made / "service", packages, cwd=made, timeout=200)

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
