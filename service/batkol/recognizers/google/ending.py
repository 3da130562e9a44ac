"""The end of a stream of recognition, by the status that Google sent (`google_api.stream_status`)."""

from __future__ import annotations

from batkol.google_api.stream_status import StreamStatus
from batkol.recognizers.google.errors import ended, translate
from batkol.recognizers.streaming.errors import SpeechError


class StreamEnding(StreamStatus):
    """The end of one stream; made before the stream is used."""

    __slots__ = ()

    def error(self, raised: BaseException) -> SpeechError:
        """Translate what the stream raised; the status it ended with knows better."""
        failure = self.failure(raised)
        return translate(raised) if failure is None else ended(*failure, self.info)
