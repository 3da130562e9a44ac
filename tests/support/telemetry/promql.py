"""Which metrics and labels a PromQL query names. Reads as much of the language as ours need."""

from __future__ import annotations

import re
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*")|(?P<range>\[[^\]]*\])|(?P<name>[a-zA-Z_:][\w:]*)|(?P<number>\d[\w.]*)"""
    r"""|(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^<>=(){},])|(?P<space>\s+)""",
    re.VERBOSE,
)
_GROUPING = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "inf", "nan"})


class Named(NamedTuple):
    """`selected`: metrics, with the labels that they are selected by; `grouped`: the labels of `by` and the like."""

    selected: list[tuple[str, frozenset[str]]]
    grouped: frozenset[str]


def named(query: str) -> Named:
    """Read a query. Raises `ValueError` for what is no PromQL to it."""
    tokens = _tokens(query)
    signs = [token for kind, token in tokens if kind == "sign"]
    if signs.count("(") != signs.count(")") or signs.count("{") != signs.count("}"):
        raise ValueError(f"unbalanced: {query}")
    selected: list[tuple[str, frozenset[str]]] = []
    grouped: set[str] = set()
    at = 0
    while at < len(tokens):
        kind, token = tokens[at]
        after = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        at += 1
        if kind != "name" or token in _WORDS:
            continue
        if token in _GROUPING:
            labels, at = _until(tokens, at, ")")
            grouped |= labels
        elif after == "{":
            labels, at = _until(tokens, at, "}")
            selected.append((token, frozenset(labels)))
        elif after != "(" and after not in _GROUPING:
            selected.append((token, frozenset()))
    return Named(selected, frozenset(grouped))


def _tokens(query: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(query):
        match = _TOKEN.match(query, at)
        if match is None:
            raise ValueError(f"no PromQL from {query[at:]!r} on")
        at = match.end()
        if match.lastgroup not in {"space", "range"}:
            found.append((match.lastgroup or "", match.group()))
    return found


def _until(tokens: list[tuple[str, str]], at: int, closing: str) -> tuple[set[str], int]:
    labels: set[str] = set()
    while tokens[at][1] != closing:
        if tokens[at][0] == "name":
            labels.add(tokens[at][1])
        at += 1
    return labels, at + 1
