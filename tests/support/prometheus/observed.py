"""What the project ships for Prometheus and Grafana, as they would have it: rules, and the queries of each panel."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]  # has no types

from support.chart.files import LOADER

FOLDER: Final = Path(__file__).parents[3] / "observability"
SERVICE: Final = "batkol"
OPERATOR: Final = "batkol-operator"
TIMES: Final = 60
"""How many times shorter tests have the times of the rules: minutes are seconds."""

_DURATION: Final = re.compile(r"(?<=\[)\d+[smhdw](?=\])|(?<=offset )\d+[smhdw]|(?<=for: )\d+[smhdw]")
_SELECTOR: Final = re.compile(r"([a-z_][\w:]*)\{([^}]*)\}")
_MATCHER: Final = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SHORTEST_MS: Final = 2000
"""Of a range: four scrapes."""


def rules_of(name: str) -> str:
    """The text of a file of rules."""
    return (FOLDER / f"prometheus/{name}.rules.yaml").read_text()


def expressions(name: str) -> dict[str, str]:
    """The expression of each rule, by its alert or by what it records."""
    groups = yaml.load(rules_of(name), LOADER)["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    return {rule.get("alert") or rule["record"]: rule["expr"] for rule in rules}


def quickened(text: str, times: int, **thresholds: tuple[str, str]) -> str:
    """Return rules in which every range, offset and `for` is so many times shorter, ranges at least four scrapes.

    Times that are thresholds stand in the expression as numbers: `thresholds` has for an alert what to write for what.
    Raises `LookupError` where it does not stand there once.
    """
    for alert, (old, new) in thresholds.items():
        before, mark, after = text.partition(f"- alert: {alert}\n")
        own, following, others = after.partition("- alert: ")
        if own.count(old) != 1:
            raise LookupError(f"{alert} does not have {old!r} once")
        text = before + mark + own.replace(old, new) + following + others
    return _DURATION.sub(lambda found: _shorter(found[0], times), text)


def _shorter(duration: str, times: int) -> str:
    milliseconds = int(duration[:-1]) * _SECONDS[duration[-1]] * 1000 // times
    return f"{max(milliseconds, _SHORTEST_MS)}ms"


def queries(name: str, *, rate: str, whole: str, times: int = 1) -> dict[str, str]:
    """Every query of a dashboard by its panel, or by its annotation, with Grafana's variables filled in.

    All agents and pods are chosen. `rate` is Grafana's `$__rate_interval`, `whole` the time that the page shows; ranges
    and offsets that stand in a query are so many times shorter.
    """
    content = json.loads((FOLDER / f"grafana/{name}.json").read_text())
    asked = {
        f"{panel['title']}: {target['refId']}": target["expr"]
        for panel in content["panels"]
        for target in panel.get("targets", [])
    }
    asked |= {f"mark {mark['name']}": mark["expr"] for mark in content["annotations"]["list"]}
    quick = {where: _DURATION.sub(lambda found: _shorter(found[0], times), query) for where, query in asked.items()}
    filled = {"$__rate_interval": rate, "$__range": whole, **_variables(content)}
    return {where: _filled(query, filled) for where, query in quick.items()}


def selectors(expression: str) -> list[str]:
    """Every selector with labels in an expression, one for each alternative of a `=~`, without the ranges."""
    found: set[str] = set()
    for metric, inside in _SELECTOR.findall(expression):
        matchers = [_alternatives(*matcher) for matcher in _MATCHER.findall(inside)]
        found |= {f"{metric}{{{','.join(each)}}}" for each in itertools.product(*matchers)}
    return sorted(found)


def _alternatives(label: str, sign: str, value: str) -> list[str]:
    if sign != "=~" or "|" not in value:
        return [f'{label}{sign}"{value}"']
    return [f'{label}="{each}"' for each in value.split("|")]


def variables(name: str) -> dict[str, str]:
    """The queries of a dashboard's variables: the label whose values are asked for, by metric, with all chosen."""
    content = json.loads((FOLDER / f"grafana/{name}.json").read_text())
    asked = {each["name"]: each["query"] for each in content["templating"]["list"] if each["type"] == "query"}
    return {variable: _filled(query, _variables(content)) for variable, query in asked.items()}


def _variables(content: Mapping[str, Any]) -> dict[str, str]:
    return {f"${each['name']}": ".*" for each in content["templating"]["list"] if each["type"] == "query"}


def _filled(query: str, values: Mapping[str, str]) -> str:
    for name in sorted(values, key=len, reverse=True):
        query = query.replace(name, values[name])
    if "$" in re.sub(r'"\$\d"', "", query):
        raise LookupError(f"a variable of {query!r} has no value")
    return query
