"""What the operator says of a collector that does not take its spans."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from structlog.testing import capture_logs

from batkol_operator.tracing import QuietExporter


class Scripted(SpanExporter):
    """Answers one after another; None raises."""

    def __init__(self, *answers: SpanExportResult | None) -> None:
        self._answers = list(answers)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        answer = self._answers.pop(0)
        if answer is None:
            raise ValueError("authorization: Zq7")
        return answer

    def shutdown(self) -> None:
        raise ValueError("authorization: Zq7")


def test_a_collector_that_is_away_is_said_once_and_so_is_its_return_without_what_was_raised() -> None:
    no, yes = SpanExportResult.FAILURE, SpanExportResult.SUCCESS
    outgoing = QuietExporter(Scripted(None, no, None, yes, yes))
    with capture_logs() as lines:
        results = [outgoing.export(()) for _ in range(5)]
        outgoing.shutdown()

    assert results == [no, no, no, yes, yes]
    assert [line["event"].partition(";")[0] for line in lines] == [
        "[OTEL] collector does not take spans",
        "[OTEL] collector takes spans again",
        "[OTEL] an exporter of spans did not shut down",
    ]
    assert "Zq7" not in str(lines)
