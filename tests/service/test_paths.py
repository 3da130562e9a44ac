"""Questions about paths: none raises, whatever the folder is."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from batkol import paths
from support.process.unsearchable import searchable_by_no_one

SERVICE = Path(paths.__file__).parent
RAISING = re.compile(r"\.(is_file|is_dir)\(\)")
AT_THE_RIM = {
    "web/console_files.py",
    "store/journal/legacy.py",
    "store/journal/opening.py",
    "store/journal_commands.py",
}
"""Modules that ask about what lies in a folder of the service, and answer for an `OSError`."""


def test_what_may_not_be_looked_at_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    seen = (paths.is_file(tmp_path / "file"), paths.is_folder(tmp_path / "folder"), paths.is_hidden(tmp_path / "file"))

    with searchable_by_no_one(tmp_path):
        hidden = (
            paths.is_file(tmp_path / "file"),
            paths.is_folder(tmp_path / "folder"),
            paths.is_hidden(tmp_path / "file"),
        )

    assert (seen, hidden) == ((True, True, False), (False, False, True))
    assert not paths.is_hidden(tmp_path / "absent")


def test_a_path_in_a_folder_that_was_deleted_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    whole = paths.in_full(Path("call.wav"))
    gone.rmdir()

    assert whole == gone / "call.wav"
    assert paths.in_full(Path("call.wav")) == Path("call.wav")


def test_a_user_without_a_home_has_no_file_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 3_999_999_999)

    assert not paths.is_file(paths.in_home(".postgresql/root.crt"))


def test_no_module_asks_in_a_way_that_raises() -> None:
    asking = {
        str(path.relative_to(SERVICE)) for path in SERVICE.rglob("*.py") if RAISING.search(path.read_text("utf-8"))
    }

    assert asking == AT_THE_RIM
