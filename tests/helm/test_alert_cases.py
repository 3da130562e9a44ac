"""Each alert has a case for promtool in which it fires, and one in which it does not."""

from __future__ import annotations

from pathlib import Path

import yaml  # type: ignore[import-untyped]  # has no types

from support.chart.files import LOADER

FOLDER = Path(__file__).parents[2] / "observability/prometheus"


def test_every_alert_fires_in_one_case_and_is_silent_in_another() -> None:
    cases = yaml.load((FOLDER / "batkol.test.yaml").read_text(), LOADER)
    groups = [
        group for name in cases["rule_files"] for group in yaml.load((FOLDER / name).read_text(), LOADER)["groups"]
    ]
    alerts = [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule]
    looked_at = [look for case in cases["tests"] for look in case["alert_rule_test"]]

    assert sorted(cases["rule_files"]) == sorted(path.name for path in FOLDER.glob("*.rules.yaml"))
    for alert in alerts:
        found = [bool(look["exp_alerts"]) for look in looked_at if look["alertname"] == alert]
        assert set(found) == {True, False}, alert
