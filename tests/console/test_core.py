"""The page's pure modules, in Node: what they make of events, texts and sound."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.process.node import node

HERE = Path(__file__).parent / "core"


def test_the_pure_modules_of_the_page_do_what_their_tests_say() -> None:
    tests = sorted(HERE.glob("*.test.mjs"))

    ended = subprocess.run(
        [node(), "--test", "--test-isolation=none", "--test-reporter=tap", *tests],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert ended.returncode == 0, ended.stdout
    assert "# fail 0" in ended.stdout
    assert int(ended.stdout.rsplit("# pass ", 1)[1].split()[0]) > 0
