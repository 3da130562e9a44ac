"""`tools/chromium` and `tools/axe`: what the tests of the console need from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).parents[1] / "tools"


def tool(name: str) -> ModuleType:
    loader = SourceFileLoader(f"{name}_tool", str(TOOLS / name))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_browser_is_the_one_that_is_named_else_the_machines_else_the_fetched_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chromium = tool("chromium")
    machine, fetched = tmp_path / "bin", tmp_path / "fetched"
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(machine))

    assert chromium.found(fetched) is None
    for file in (fetched / "run", machine / "chromium"):
        file.parent.mkdir()
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
        assert chromium.found(fetched) == str(file)
    monkeypatch.setenv("CHROMIUM", "/opt/mine")
    assert chromium.found(fetched) == "/opt/mine"


def test_a_machine_without_a_browser_and_without_apt_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(
        SystemExit, match=r"this machine has no apt-get on its PATH\. Install a Chromium, or set CHROMIUM"
    ):
        tool("chromium").fetch(tmp_path / "chromium")
    assert not (tmp_path / "chromium").exists()


def test_which_fetches_nothing_and_says_how_to_get_a_browser(tmp_path: Path) -> None:
    copy = tmp_path / "tools" / "chromium"
    copy.parent.mkdir()
    copy.write_text((TOOLS / "chromium").read_text())
    environment = {name: value for name, value in os.environ.items() if name != "CHROMIUM"} | {"PATH": str(tmp_path)}

    ended = subprocess.run(
        [sys.executable, copy, "--which"], capture_output=True, text=True, check=False, env=environment
    )

    assert ended.returncode == 1
    assert "run `make chromium`, or set CHROMIUM to one" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["tools"]


def test_another_axe_than_the_pinned_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    axe = tool("axe")
    packer = tmp_path / "npm"
    packer.write_text("#!/bin/sh\necho other > axe-core-1.tgz\n")
    packer.chmod(0o755)
    monkeypatch.setattr(axe, "npm", lambda: [str(packer)])

    with pytest.raises(SystemExit, match=r"is another one than the pinned one: sha512-.*Pin the hash in tools/axe"):
        axe.fetch(tmp_path / "axe")
    assert list((tmp_path / "axe").iterdir()) == []
