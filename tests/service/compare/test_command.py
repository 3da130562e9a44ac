"""`batkol compare` from its options to its reports, against the speech double and in real time."""

from __future__ import annotations

import asyncio
import io
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rich.console import Console

from batkol.audio import mulaw
from batkol.audio.wav import wav_file
from batkol.compare.carrying_out import CompareOptions, carry_out
from batkol.errors import ConfigurationError
from batkol.simulators.google.faults import Fault, Kind
from batkol.simulators.google.server import SpeechDouble
from batkol.voices.marked.voice import say
from support.process.commands import command, ran
from support.time.waiting import until


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    folder.mkdir()
    for name, words in (("a", ["שלום", "מחר"]), ("b", ["תודה"])):
        audio = say(words)
        (folder / f"{name}.wav").write_bytes(wav_file(mulaw.decode(audio.mulaw).astype("<i2").tobytes()))
        (folder / f"{name}.txt").write_text(f"{audio.text}\n", encoding="utf-8")
    return folder


@pytest.fixture
async def double(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SpeechDouble]:
    async with SpeechDouble() as made:
        monkeypatch.setenv("GCP_STT_ENDPOINT", f"127.0.0.1:{await made.start()}")
        monkeypatch.setenv("GCP_STT_INSECURE", "true")
        monkeypatch.setenv("VAD", "webrtc")
        yield made


async def compare(options: CompareOptions) -> tuple[str, str]:
    out, notes = io.StringIO(), io.StringIO()
    code = await carry_out(options, Console(file=out, width=160), Console(file=notes, width=160))
    assert code == 0
    return out.getvalue(), notes.getvalue()


async def test_both_ways_to_google_are_compared_and_reported(
    sounds: Path, double: SpeechDouble, tmp_path: Path
) -> None:
    json_file, html_file = tmp_path / "r.json", tmp_path / "r.html"
    out, notes = await compare(CompareOptions(source=sounds, probes=1, at_once=8, json=json_file, html=html_file))

    assert "google-v1/default" in out
    assert "0.0 %" in out
    assert "Too little was compared to tell google-v1/default from single." in out
    assert "comparing google-v1/default, single on 2 of 2 sounds" in notes
    report = json.loads(json_file.read_text(encoding="utf-8"))
    assert [each["heard"]["google-v1/default"]["text"] for each in report["speech"]] == ["שלום מחר", "תודה"]
    assert report["recognizers"][0]["times"]["forced"]["number"] == 1
    page = html_file.read_text(encoding="utf-8")
    assert "שלום מחר" in page
    assert not any(word in out + notes for word in ("שלום", "תודה")), "the terminal has no transcript"
    stats = double.stats()
    assert (stats["streams_opened"], stats["unary_calls"]) == (3, 2), "a sound was heard again by a probe"


async def test_nothing_is_sent_beyond_the_budget(sounds: Path, double: SpeechDouble) -> None:
    with pytest.raises(ConfigurationError, match=r"more than --budget 0\.1, so nothing was sent"):
        await compare(CompareOptions(source=sounds, budget=0.1))

    assert (double.stats()["streams_opened"], double.stats()["unary_calls"]) == (0, 0)


async def test_where_no_sound_was_heard_by_all_the_reason_is_said(sounds: Path, double: SpeechDouble) -> None:
    double.inject(Fault(kind=Kind.END, refusal="BILLING_DISABLED"))
    with pytest.raises(ConfigurationError, match=r"nothing is compared:\n  google-v1/default: 2 times \w+\. .*illing"):
        await compare(CompareOptions(source=sounds, names=("google-v1/default",), at_once=8))


async def test_ctrl_c_ends_it_with_the_reports_of_what_was_heard(
    sounds: Path, double: SpeechDouble, tmp_path: Path
) -> None:
    json_file = tmp_path / "r.json"
    options = ("--recognizer", "google-v1/default", "--at-once", "1", "--probes", "0", "--json", str(json_file))
    async with command("compare", str(sounds), *options) as running, asyncio.timeout(60):
        await until(lambda: double.stats()["streams_opened"] == 2)
        running.process.send_signal(signal.SIGINT)
        await asyncio.sleep(0.005)
        running.process.send_signal(signal.SIGINT)  # an impatient user's
        code = await running.process.wait()
        out = (await running.stdout.read()).decode()

    report = json.loads(json_file.read_text(encoding="utf-8"))
    assert code == 130
    assert "The comparison ended early: 1 of 2 sounds count. It was interrupted." in out
    assert (report["planned"], report["compared"], report["ended_early"]) == (2, 1, "It was interrupted.")
    heard = report["speech"][0]["heard"]["google-v1/default"]
    assert heard["text"] == "שלום מחר"
    assert len(heard["latencies"]["finals"]) == 1, "by the clock of the command's own loop, which counts milliseconds"


async def test_the_tables_are_printed_where_a_report_cannot_be_written_in_the_end(
    sounds: Path, double: SpeechDouble, tmp_path: Path
) -> None:
    json_file, html_file = tmp_path / "r.json", tmp_path / "r.html"
    out = io.StringIO()
    options = CompareOptions(source=sounds, names=("single",), json=json_file, html=html_file)
    (tmp_path / "r.json").symlink_to(tmp_path / "gone" / "r.json")
    with pytest.raises(ConfigurationError, match=r"r\.json cannot be written: No such file"):
        await carry_out(options, Console(file=out, width=160), Console(file=io.StringIO()))

    assert "0.0 %" in out.getvalue()
    assert html_file.exists()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (CompareOptions(), "name the speech to compare on"),
        (CompareOptions(source=Path("/"), recordings=Path("/")), "name the speech to compare on"),
        (CompareOptions(source=Path("/nowhere")), "/nowhere is neither a folder nor a file"),
        (CompareOptions(source=Path("/"), channel="middle"), "--channel is mix, left or right, not 'middle'"),
        (CompareOptions(source=Path("/"), html=Path("/nowhere/r.html")), "cannot be written"),
        (CompareOptions(source=Path("/"), html=Path("/proc/r.html")), r"/proc/r\.html cannot be written"),
        (CompareOptions(source=Path("/"), json=Path("r"), html=Path("./r")), "--json and --html are one file"),
        (CompareOptions(source=Path("/"), names=("soniox",)), "'soniox' is no recognizer of this service"),
        (
            CompareOptions(source=Path("/"), names=("whisper",)),
            r"^whisper needs WHISPER_URL or WHISPER_MODEL; with these",
        ),
        (
            CompareOptions(source=Path("/"), names=("soniox/nonexistent",)),
            "'soniox/nonexistent' is no model of Soniox's",
        ),
        (CompareOptions(source=Path("/"), names=(f"google-v1/{'m' * 71}",)), "of 1 to 80 characters"),
        (CompareOptions(recordings=Path("/")), "there is no DATABASE_URL"),
    ],
)
async def test_what_cannot_be_compared_is_refused_before_anything_is_asked(
    double: SpeechDouble, options: CompareOptions, why: str
) -> None:
    with pytest.raises(ConfigurationError, match=why):
        await compare(options)

    assert (double.stats()["streams_opened"], double.stats()["unary_calls"]) == (0, 0)


async def test_no_sound_waits_for_a_collection_of_what_is_imported() -> None:
    words = ["batkol", "compare", "/nowhere"]
    ended = await ran(
        "import atexit, gc, sys; gc.unfreeze(); atexit.register(lambda: print(gc.get_freeze_count() > 50_000));"
        f"sys.argv = {words!r}; from batkol.__main__ import main; main()"
    )

    assert (ended.returncode, ended.stdout) == (2, "True\n"), "it takes 0.2 s, and all sounds were late by that"


@pytest.mark.parametrize(("given", "why"), [("--budget=nan", "from 0.01 on"), ("--seed=-1", "from 0 on")])
async def test_the_command_refuses_what_its_options_cannot_take(given: str, why: str) -> None:
    words = ["batkol", "compare", "/", given]
    ended = await ran(f"import sys; sys.argv = {words!r}; from batkol.__main__ import main; main()", COLUMNS="300")

    assert ended.returncode == 2
    assert f"it must be a number {why}" in ended.stderr
