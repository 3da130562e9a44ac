"""`make demo` as a newcomer runs it, but into a pipe: in a folder that nobody else may enter, as under `/root`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from support.process.clones import clone, open_place, run, server_programs

STREAMED = ["utterance", "speech_to_text default", "endpointing"]
SINGLE = ["utterance", "endpointing", "single_request"]


@pytest.mark.long
@pytest.mark.timeout(240)
def test_a_short_demo_shows_every_word_and_both_modes_and_its_traces_and_ends_by_itself() -> None:
    said = demo("--traces --short")

    assert "🟡 Partial: שלום אני" in said
    assert "🟢 Final: שלום אני רוצה." in said
    check_rows(said, ["streaming", "single", "streaming"])
    assert "7/7 words right" in said
    assert "Stored in Postgres: 1 call · 3 utterances · 1 lead\n" in said
    check_traces(said, [STREAMED, SINGLE, STREAMED])


@pytest.mark.nightly
@pytest.mark.timeout(240)
def test_the_whole_demo_shows_every_word_and_both_modes_and_its_traces_and_ends_by_itself() -> None:
    said = demo("--traces")

    assert "🟡 Partial: שלום אני" in said
    assert "🟢 Final: שלום אני רוצה פגישה היום." in said
    check_rows(said, ["streaming", "streaming", "single", "single", "streaming", "streaming"])
    assert "26/26 words right" in said
    assert "Stored in Postgres: 1 call · 6 utterances · 1 lead\n" in said
    check_traces(said, [STREAMED, STREAMED, SINGLE, SINGLE, STREAMED, STREAMED])


def demo(options: str) -> str:
    """Run it in a clone; return what it printed."""
    with open_place() as place:
        place.chmod(0o700)
        made = clone(place)
        (made / ".venv").symlink_to(Path(sys.prefix))
        packages = server_programs(made / "packages")
        command = ["make", "--assume-old", ".venv/.installed", "demo", f"ARGS={options}"]
        done = run(command, made / "service", packages, cwd=made, timeout=200)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout, "a pipe gets plain lines"
    return done.stdout


def check_rows(said: str, modes: list[str]) -> None:
    assert re.search(
        r"streaming-stt off, in effect after .* single · flag off .*streaming-stt on, in effect", said, re.DOTALL
    )
    rows = re.findall(r"^\s*(\d)\s+(\d)/(\d)\s+.*?(streaming|single)\s", said, re.MULTILINE)
    assert [mode for *_, mode in rows] == modes
    assert all(right == total for _, right, total, _ in rows)


def check_traces(said: str, expected: list[list[str]]) -> None:
    waterfalls = re.split(r"\nutterance (?=\d)", said.partition("What a collector got")[2])[1:]
    row = re.compile(r"^ *(utterance|speech_to_text default|endpointing|single_request) .*━", re.MULTILINE)
    assert [row.findall(waterfall)[:3] for waterfall in waterfalls] == expected
    assert "●" in waterfalls[0]
    assert "google.cloud.speech.v1p1beta1.Speech/StreamingRecognize 2" in waterfalls[-1]
