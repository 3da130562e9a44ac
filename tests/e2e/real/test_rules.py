"""promtool reads the rules, and runs for each alert a case in which it fires, and one in which it does not."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from support.process.programs import tool

RULES = Path(__file__).parents[3] / "observability/prometheus"


def promtool(*words: str, where: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tool("promtool"), *words], cwd=where, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("rules", ["batkol.rules.yaml", "batkol-operator.rules.yaml"])
def test_prometheus_takes_the_rules_and_finds_nothing_to_say(rules: str) -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", rules, where=RULES)

    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_when_it_should_with_the_words_it_should_have() -> None:
    cases = sorted(path.name for path in RULES.glob("*.test.yaml"))
    done = promtool("test", "rules", *cases, where=RULES)

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_rule_that_never_fires_is_noticed(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(RULES, tmp_path / "rules"))
    rules = copy / "batkol.rules.yaml"
    rules.write_text(rules.read_text().replace("batkol_tasks_down) > 0", "batkol_tasks_down) > 1"))
    done = promtool("test", "rules", "batkol.test.yaml", where=copy)

    assert done.returncode != 0
    assert "BatkolTaskDown" in done.stdout + done.stderr
