import pytest

from batkol.web.accept import accepts

STREAM = "text/event-stream"


@pytest.mark.parametrize(
    "header",
    [
        "", "*/*", "text/*", STREAM, "TEXT/Event-Stream", "text/event-stream; charset=utf-8", ", ,",
        "application/json, text/event-stream;q=0.1", "text/html,application/xml;q=0.9,*/*;q=0.8",
        "text/*;q=0, text/event-stream", "*/*;q=0,text/* ; q = 1", "text/event-stream;q=much",
    ],
)  # fmt: skip
def test_a_client_that_takes_event_streams_is_served(header: str) -> None:
    assert accepts(header, STREAM)


@pytest.mark.parametrize(
    "header",
    [
        "application/json", "text/html", "text/event-stream;q=0", "text/event-stream;q=0.0, */*", "text/*;q=0, */*",
        "*/*;q=0", "application/*", "text/event", "event-stream",
    ],
)  # fmt: skip
def test_a_client_that_does_not_take_them_is_not(header: str) -> None:
    assert not accepts(header, STREAM)
