"""`make help`: every target has one line, in a group."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def helped() -> list[str]:
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "help", "VENV=/nowhere"]  # it may be `make test` that runs this
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def targets() -> set[str]:
    """Every target of the Makefile that is a word: the stamp of the venv is a file."""
    rules = re.findall(r"^([a-z][a-z0-9 -]*):(?!=)", MAKEFILE, re.MULTILINE)
    return {target for rule in rules for target in rule.split()}


def test_every_target_has_one_line_of_help_and_each_is_phony() -> None:
    lines = [line.removeprefix("  make ") for line in helped() if line.startswith("  make ")]
    listed = [name for line in lines for name in re.split(r"  +", line)[0].split()]
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)

    assert sorted(listed) == sorted(targets())
    assert phony is not None
    assert sorted(phony[1].split()) == sorted(targets())
    assert len(listed) > 20


def test_help_is_in_groups_and_no_line_is_wider_than_eighty_columns() -> None:
    groups = "\n".join(helped()).strip().split("\n\n")

    assert len(groups) > 4
    assert all(re.fullmatch(r"[A-Z][a-z ]+\n(  make [^\n]+\n?)+", group) for group in groups)
    assert max(map(len, helped())) <= 80


def test_make_alone_is_help() -> None:
    assert re.search(r"^\.DEFAULT_GOAL := help$", MAKEFILE, re.MULTILINE)
    assert helped()[1:3] == ["To begin", "  make help            this list"]
