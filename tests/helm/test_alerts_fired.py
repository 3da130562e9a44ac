"""Each alert is fired by a real fault in a test under a real Prometheus, or docs/proof.md says why not."""

from __future__ import annotations

import re
from pathlib import Path

from support.prometheus.observed import OPERATOR, SERVICE, expressions

ROOT = Path(__file__).parents[2]


def test_each_alert_is_fired_by_a_fault_or_the_page_says_why_not() -> None:
    alerts = {name for rules in (SERVICE, OPERATOR) for name in expressions(rules) if not name.startswith("batkol:")}
    tests = [*(ROOT / "tests/e2e/real").glob("*.py"), ROOT / "tests/node/test_scraped.py"]
    fired = {alert for test in tests for alert in re.findall(r'\.fires\("(\w+)"', test.read_text())}
    section = (ROOT / "docs/proof.md").read_text().partition("## Alerts that real faults have fired\n")[2]
    rows = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", section, re.MULTILINE))
    told = {alert for names, how in rows.items() for alert in re.findall(r"`(Batkol\w+)`", names) if how != "no"}
    untested = set(re.findall(r"^- `(Batkol\w+)`", section, re.MULTILINE))

    assert fired == told
    assert fired | untested == alerts
    assert not fired & untested
