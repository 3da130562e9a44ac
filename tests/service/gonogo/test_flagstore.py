from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from batkol.flags.context import CallContext
from batkol.flags.flags import Flags
from batkol.gonogo.flagstore import FlagStoreError, LiveDirectory
from batkol.gonogo.flipping import FlagNotFlippableError
from batkol.live.strict_document import content_revision
from support.live.directory import following, until

ODD = """{"flags": {"streaming-stt": {"state": "ENABLED",
   "variants": {"on": true, "off": false}, "defaultVariant": "off", "metadata": {"a": "\\u05d0"},
   "targeting": {"if": [{"===": [{"var": "agent"}, "vip"]}, "on"]}},
  "other": {"state": "ENABLED", "variants": {"a": 1}, "defaultVariant": "a"}}}"""
LISTED = json.dumps({"flags": [{"key": key, **flag} for key, flag in json.loads(ODD)["flags"].items()]})
OURS = "CA0123"


def flag(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())["flags"]["streaming-stt"]
    return found


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def decided(directory: Path, revision: str, *calls: tuple[str, str]) -> list[bool]:
    """Ask the service's own flags about calls, each a SID and an agent."""
    async with following(directory) as live:
        await until(lambda: live.status().flags_revision == revision)
        assert live.status().refusals == ()
        flags = await Flags.start(fallback=False, live=live)
        try:
            return [flags.streaming(CallContext(call_sid=sid, agent=agent)).enabled for sid, agent in calls]
        finally:
            await flags.close()


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("content", [ODD, LISTED], ids=["an object of flags", "a list of flags"])
async def test_our_calls_get_what_is_set_and_everybody_else_what_they_had(
    tmp_path: Path, content: str, streaming: bool
) -> None:
    (tmp_path / "flags.json").write_text(content)
    store = LiveDirectory(tmp_path, only_calls=[OURS])

    revision = await store.set(streaming=streaming)

    calls = ((OURS, ""), (OURS, "vip"), ("CA9", ""), ("CA9", "vip"))
    assert await decided(tmp_path, revision, *calls) == [streaming, streaming, False, True]


@pytest.mark.parametrize("streaming", [True, False])
async def test_for_all_calls_the_default_decides_and_no_targeting(tmp_path: Path, streaming: bool) -> None:
    (tmp_path / "flags.json").write_text(ODD)
    store = LiveDirectory(tmp_path / "flags.json", only_calls=None)

    revision = await store.set(streaming=streaming)

    assert revision == content_revision((tmp_path / "flags.json").read_bytes())
    assert await decided(tmp_path, revision, ("CA9", ""), ("CA9", "vip")) == [streaming, streaming]


async def test_nothing_else_of_the_file_changes_and_it_comes_back_byte_for_byte(tmp_path: Path) -> None:
    """Odd spacing, escapes, permissions and all; each `set` starts from the original."""
    file = tmp_path / "flags.json"
    file.write_text(ODD)
    file.chmod(0o640)
    store = LiveDirectory(tmp_path, only_calls=[OURS])

    await store.set(streaming=True)
    await store.set(streaming=False)

    changed, original = json.loads(file.read_bytes()), json.loads(ODD)
    assert changed["flags"]["streaming-stt"].pop("targeting") != original["flags"]["streaming-stt"].pop("targeting")
    assert changed == original
    await store.restore()
    assert file.read_text() == ODD
    assert file.stat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["flags.json"]


async def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "flags.json").write_text(ODD)
    (tmp_path / "flags.json").symlink_to("real/flags.json")
    store = LiveDirectory(tmp_path, only_calls=None)

    await store.set(streaming=True)
    assert flag(tmp_path / "real" / "flags.json")["defaultVariant"] == "on"
    await store.restore()

    assert (tmp_path / "flags.json").is_symlink()
    assert (tmp_path / "real" / "flags.json").read_text() == ODD


async def test_what_somebody_else_wrote_meanwhile_is_not_undone(tmp_path: Path) -> None:
    file = tmp_path / "flags.json"
    file.write_text(ODD)
    store = LiveDirectory(tmp_path, only_calls=[OURS])
    await store.set(streaming=True)
    theirs = ODD.replace("vip", "gold")
    file.write_text(theirs)

    with pytest.raises(FlagStoreError, match="Another program changed"):
        await store.restore()

    assert file.read_text() == theirs
    await store.restore()  # once is enough


async def test_restoring_what_was_never_set_does_nothing(tmp_path: Path) -> None:
    await LiveDirectory(tmp_path, only_calls=None).restore()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"flags": {}}',
        '{"flags": []}',
        LISTED.replace('"other"', '"streaming-stt"'),
        ODD.replace("true", "false"),
        ODD.replace('"variants": {"on": true, "off": false}', '"variants": {"on": 1}'),
    ],
)
async def test_a_flag_that_cannot_be_on_is_a_finding(tmp_path: Path, content: str) -> None:
    (tmp_path / "flags.json").write_text(content)
    store = LiveDirectory(tmp_path, only_calls=[OURS])

    with pytest.raises(FlagNotFlippableError):
        await store.set(streaming=True)

    assert (tmp_path / "flags.json").read_text() == content


async def test_a_place_that_cannot_be_read_or_written_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FlagStoreError, match="--live-dir"):
        await LiveDirectory(tmp_path / "nowhere", only_calls=None).set(streaming=True)


async def test_a_fifo_in_the_place_of_the_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "flags.json")

    with pytest.raises(FlagStoreError, match="cannot be read"):
        await LiveDirectory(tmp_path, only_calls=[OURS]).set(streaming=True)


async def test_what_was_there_is_kept_elsewhere_until_it_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that is killed leaves the copy, and with it the way back."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    (tmp_path / "flags.json").write_text(ODD)
    store = LiveDirectory(tmp_path, only_calls=None)

    await store.set(streaming=False)
    await store.set(streaming=True)
    kept = store.kept
    assert kept is not None
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == (ODD, 0o600)
    assert [*elsewhere.iterdir()] == [kept]
    await store.restore()

    assert (store.kept, [*elsewhere.iterdir()]) == (None, [])


async def test_the_copy_stays_and_is_named_where_the_file_cannot_be_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "flags.json").write_text(ODD)
    store = LiveDirectory(tmp_path, only_calls=None)
    await store.set(streaming=False)
    (tmp_path / "flags.json").write_bytes(b"{}")

    with pytest.raises(FlagStoreError, match="Another program changed") as raised:
        await store.restore()

    assert store.kept is not None
    assert str(store.kept) in str(raised.value)
    assert store.kept.read_text() == ODD
