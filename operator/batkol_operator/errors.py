"""Errors between the operator and the cluster, and who has to act on each."""

from __future__ import annotations

from dataclasses import dataclass


class OperatorError(Exception):
    """Base class of the operator's errors. The text is a sentence for a human."""


class OperatorConfigurationError(OperatorError):
    """The operator cannot start with its present configuration: the person who installed it has to change it."""


class RefusedError(OperatorError):
    """The API server understood the request and refused it: a spec, a role, a quota or a webhook has to change. The
    operator tries again anyway."""

    def __init__(self, sentence: str, *, reason: str) -> None:
        super().__init__(sentence)
        self.reason = reason  # CamelCase, for a condition: `Forbidden` or `Refused`


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field that another manager has changed since the operator applied it."""

    manager: str
    field: str  # as `.spec.replicas`


class ContestedError(OperatorError):
    """An apply without force was refused: other managers own fields of it, with other values."""

    def __init__(self, sentence: str, *, conflicts: tuple[FieldConflict, ...]) -> None:
        super().__init__(sentence)
        self.conflicts = conflicts


class UnreachableError(OperatorError):
    """The API server did not answer, or cannot serve the request now. The operator tries again soon."""

    def __init__(self, sentence: str, *, kind: str) -> None:
        super().__init__(sentence)
        self.kind = kind  # for the metric; docs/runbooks.md#batkolreconcileerrors has all


class LoopDiedError(OperatorError):
    """An agent's loop ended, which it never should. The operator restarts it."""
