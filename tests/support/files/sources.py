"""The Python sources, each parsed once in a process.

A module whose tests read many of them has a fixture of its own that calls `forget` at its end. So one worker of the run
parses them, and not each; and what it parsed is not looked through for garbage in every test that comes after.
"""

from __future__ import annotations

import ast
from functools import _lru_cache_wrapper, cache
from pathlib import Path
from typing import Any


@cache
def parsed(path: Path) -> ast.Module:
    """Return a file's syntax tree: to be looked at, not to be changed."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes(tree: ast.Module) -> tuple[ast.AST, ...]:
    """Return all nodes of a tree."""
    return tuple(ast.walk(tree))


def forget(*caches: _lru_cache_wrapper[Any]) -> None:
    """Let go of all trees, which these hold, too."""
    for each in (parsed, nodes, *caches):
        each.cache_clear()
