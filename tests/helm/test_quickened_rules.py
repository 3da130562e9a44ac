"""The copy of the rules that tests give to a real Prometheus is the same rules, only quicker."""

from __future__ import annotations

import re

import pytest
import yaml  # type: ignore[import-untyped]  # has no types

from support.chart.files import LOADER
from support.prometheus.observed import OPERATOR, SERVICE, TIMES, expressions, quickened, rules_of, selectors


@pytest.mark.parametrize("name", [SERVICE, OPERATOR])
def test_all_times_are_shorter_and_nothing_else_is_changed(name: str) -> None:
    text = rules_of(name)
    quick = quickened(text, TIMES)
    rules = [rule for group in yaml.load(quick, LOADER)["groups"] for rule in group["rules"]]
    times = re.findall(r"\[([^\]]+)\]|offset (\w+)|for: (\w+)", quick)

    assert {rule.get("alert") or rule["record"] for rule in rules} == set(expressions(name))
    assert {unit for each in times for unit in re.findall(r"\d([a-z]+)", "".join(each))} == {"ms"}
    assert re.sub(r"\d+(ms|[smhdw])\b", "", quick) == re.sub(r"\d+(ms|[smhdw])\b", "", text)
    assert "[5000ms]" in quick


def test_a_threshold_is_replaced_in_its_own_alert_or_the_copy_is_refused() -> None:
    quick = quickened(rules_of(SERVICE), TIMES, BatkolSinkBehind=("> 120", "> 2"))

    assert yaml.load(quick, LOADER) != yaml.load(quickened(rules_of(SERVICE), TIMES), LOADER)
    assert quick.count("batkol_sink_oldest_seconds) > 2") == 1
    with pytest.raises(LookupError):
        quickened(rules_of(SERVICE), TIMES, BatkolSinkBehind=("> 121", "> 2"))


def test_each_alternative_of_a_label_is_a_selector_of_its_own() -> None:
    assert selectors('sum(rate(a_total{x=~"one|two",y="z"}[5m])) / b{x=~".*"} > c') == [
        'a_total{x="one",y="z"}',
        'a_total{x="two",y="z"}',
        'b{x=~".*"}',
    ]
