"""The end of a stream of recognition, by the status that Google sent (`google_api.stream_status`)."""

from __future__ import annotations

from typing import Any

from batkol.google_api.stream_status import StreamStatus
from batkol.recognizers.google.errors import SpeechError, ended, translate


class StreamEnding:
    """The end of one stream; made before the stream is used."""

    __slots__ = ("_status",)

    def __init__(self, stream: Any) -> None:
        self._status = StreamStatus(stream)

    def error(self, raised: BaseException) -> SpeechError:
        """Translate what the stream raised; the status it ended with knows better."""
        failure = self._status.failure(raised)
        return translate(raised) if failure is None else ended(*failure)
