"""Each alert has a case for promtool in which it fires, and one in which it does not."""

from __future__ import annotations

from pathlib import Path

import yaml  # type: ignore[import-untyped]  # has no types

from support.chart.files import LOADER

FOLDER = Path(__file__).parents[2] / "observability/prometheus"


def test_every_alert_fires_in_one_case_and_is_silent_in_another() -> None:
    files = [yaml.load(path.read_text(), LOADER) for path in FOLDER.glob("*.test.yaml")]
    rules = [yaml.load(path.read_text(), LOADER) for path in FOLDER.glob("*.rules.yaml")]
    alerts = [rule["alert"] for each in rules for group in each["groups"] for rule in group["rules"] if "alert" in rule]
    looked_at = [look for each in files for case in each["tests"] for look in case["alert_rule_test"]]

    assert len(alerts) > 40
    for alert in alerts:
        found = {bool(look["exp_alerts"]) for look in looked_at if look["alertname"] == alert}
        assert found == {True, False}, alert
