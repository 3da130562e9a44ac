"""What a PromQL query gives for one pod's series: as much of the language as some of the alerts need.

One label set, so a vector is a number, or None where Prometheus has no result; `sum` and `max` change nothing; a metric
with a selector is a series of its own, named as the query writes it. `increase` is what was counted, without
Prometheus's extrapolation to the ends of its range: zero is zero in both.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from statistics import linear_regression

Series = Sequence[tuple[float, float]]
"""Samples: seconds and value, in order."""

_TOKEN = re.compile(
    r"\s*([a-zA-Z_:][\w:]*(?:\{[^}]*\})?|,|\d+(?:\.\d+)?(?![\w.])|\d+[smh]\b|\[\d+[smh]\]|==|!=|>=|<=|[-+*/()<>])"
)
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda a, b: a / b if b else float("inf" if a else "nan"),
}
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq, "!=": operator.ne, ">=": operator.ge, "<=": operator.le, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
_LEVELS = (("or",), ("and", "unless"), tuple(_COMPARISONS), ("+", "-"), ("*", "/"))  # the loosest first


def value(query: str, series: Mapping[str, Series], now: float) -> float | None:
    """Evaluate a query at a time. Raises `ValueError` for what it cannot read, `KeyError` for an unknown metric."""
    reader = _Reader(query, series, now)
    found = reader.level(0)
    if reader.tokens:
        raise ValueError(f"what is {reader.tokens[0]!r} in {query}?")
    return found


def seconds(duration: str) -> float:
    """Read a duration, such as 5m."""
    return float(duration[:-1]) * _SECONDS[duration[-1]]


class _Reader:
    def __init__(self, query: str, series: Mapping[str, Series], now: float) -> None:
        self.tokens = _tokens(query)
        self._series = series
        self._now = now

    def level(self, level: int) -> float | None:
        """Operators of one precedence, from left to right."""
        if level == len(_LEVELS):
            return self._one()
        left = self.level(level + 1)
        while self.tokens and self.tokens[0] in _LEVELS[level]:
            left = _joined(self.tokens.pop(0), left, self.level(level + 1))
        return left

    def _one(self) -> float | None:
        token = self.tokens.pop(0)
        if token == "(":
            found = self.level(0)
            assert self.tokens.pop(0) == ")"
            return found
        if token[0].isdigit():
            return float(token)
        if token in ("sum", "max"):
            if self.tokens[0] == "by":  # one label set: whatever it is summed by
                del self.tokens[: self.tokens.index(")") + 1]
            return self._one()
        if self.tokens and self.tokens[0] == "(":
            metric, window = self.tokens[1:3]
            del self.tokens[:3]
            end = self._now
            if self.tokens[0] == "offset":
                end -= seconds(self.tokens[1])
                del self.tokens[:2]
            assert self.tokens.pop(0) == ")"
            begin = end - seconds(window[1:-1])
            passage = [each for each in self._series[metric] if begin < each[0] <= end]
            if token == "rate":
                grown = _increase(passage)
                return None if grown is None else grown / seconds(window[1:-1])
            return _FUNCTIONS[token](passage)
        past = [sample for at, sample in self._series[token] if at <= self._now]
        return past[-1] if past else None


def _tokens(query: str) -> list[str]:
    found, at = [], 0
    query = query.rstrip()
    while at < len(query):
        match = _TOKEN.match(query, at)
        if match is None:
            raise ValueError(f"cannot read {query[at:]!r}")
        found.append(match[1])
        at = match.end()
    return found


def _joined(sign: str, left: float | None, right: float | None) -> float | None:
    if sign == "unless":
        return left if right is None else None
    if sign == "or":
        return right if left is None else left
    if left is None or right is None:
        return None
    if sign in _COMPARISONS:
        return left if _COMPARISONS[sign](left, right) else None
    return left if sign == "and" else _ARITHMETIC[sign](left, right)


def _increase(samples: Series) -> float | None:
    if len(samples) < 2:
        return None
    values = [sample for _, sample in samples]
    return sum(b - a if b >= a else b for a, b in pairwise(values))


def _deriv(samples: Series) -> float | None:
    if len(samples) < 2:
        return None
    slope, _ = linear_regression([at for at, _ in samples], [sample for _, sample in samples])
    return slope


def _minimum(samples: Series) -> float | None:
    return min((sample for _, sample in samples), default=None)


def _maximum(samples: Series) -> float | None:
    return max((sample for _, sample in samples), default=None)


_FUNCTIONS: dict[str, Callable[[Series], float | None]] = {
    "increase": _increase,
    "deriv": _deriv,
    "min_over_time": _minimum,
    "max_over_time": _maximum,
}
