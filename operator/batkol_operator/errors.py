"""Errors between the operator and the cluster, and who has to act on each."""

from __future__ import annotations


class OperatorError(Exception):
    """The base of all that the operator raises. The text is a sentence for a human."""


class OperatorConfigurationError(OperatorError):
    """The operator cannot start as it is set up: whoever installed it has to change that."""


class RefusedError(OperatorError):
    """The API server understood and said no: somebody has to change something, then it will do. Tried again anyway."""

    def __init__(self, sentence: str, *, reason: str) -> None:
        super().__init__(sentence)
        self.reason = reason  # CamelCase, for a condition: `Forbidden` or `Refused`


class UnreachableError(OperatorError):
    """The API server did not answer, or not now: nobody's fault that a sentence could help, tried again soon."""

    def __init__(self, sentence: str, *, kind: str) -> None:
        super().__init__(sentence)
        self.kind = kind  # for the metric: `conflict`, `throttled`, `server`, `unauthorized`, `connection`, `answer`


class LoopDiedError(OperatorError):
    """An agent's loop ended, which it never should; it is started again."""
