"""Expressions of the Common Expression Language, compiled, with the recursion limit left as it was."""

from __future__ import annotations

import sys
from functools import cache

import celpy


@cache
def program(expression: str) -> celpy.Runner:
    """Compile an expression.

    celpy raises the recursion limit of the process for good; Hypothesis refuses a test in an example of which that
    happens, so that it would fail where no other test has come before it.
    """
    limit = sys.getrecursionlimit()
    try:
        environment = celpy.Environment()
        return environment.program(environment.compile(expression))
    finally:
        sys.setrecursionlimit(limit)
