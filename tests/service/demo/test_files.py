"""What the demo prints to be tried while it stays up."""

from __future__ import annotations

import subprocess
from pathlib import Path

from batkol.demo import files


def test_another_terminal_finds_batkol_also_in_a_folder_with_a_space(tmp_path: Path) -> None:
    programs = tmp_path / "a folder" / "bin"
    programs.mkdir(parents=True)
    (programs / "batkol").write_text("#!/bin/sh\necho found\n")
    (programs / "batkol").chmod(0o755)
    printed = files.to_try(
        url="http://127.0.0.1:1",
        public_url="https://demo.example",
        internal="http://127.0.0.1:2",
        auth_token="made-up",
        model="http://127.0.0.1:3/v1",
        live=tmp_path,
        log=tmp_path / "log",
        programs=programs,
    )
    (path,) = (line.strip() for line in printed.splitlines() if "export PATH=" in line)

    said = subprocess.run(["sh", "-c", f"{path}\nbatkol"], capture_output=True, text=True, check=True)

    assert said.stdout == "found\n"
    assert "http://127.0.0.1:2/console/" in printed
