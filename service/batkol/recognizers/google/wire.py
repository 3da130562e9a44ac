"""Translation between Google's messages (google/cloud/speech/v1p1beta1/cloud_speech.proto) and Batkol's.

On streams the raw protobuf classes are used, without the client library's wrappers: the messages are the same, and a
wrapper around each message and field, a dozen of them a second and call, is work for nothing.
"""

from __future__ import annotations

from typing import Any, Final

import grpc
import msgspec
import structlog
from google.cloud.speech_v1p1beta1.types import cloud_speech

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.recognizers.google.languages import DEFAULT_MODEL, google_code, supported_model
from batkol.speech.results import MOST_CHARACTERS, MOST_WORDS, Portion, Word

MESSAGE_BYTES: Final = 25_600
"""The most audio one streaming message may carry: 1.6 s of LINEAR16 at 8 kHz."""

_METHOD: Final = "/google.cloud.speech.v1p1beta1.Speech/StreamingRecognize"
_REQUEST: Final = cloud_speech.StreamingRecognizeRequest.pb()
_RESPONSE: Final = cloud_speech.StreamingRecognizeResponse.pb()
_NANOS: Final = 1_000_000_000

log = structlog.get_logger()


class RecognitionConfig(msgspec.Struct):
    """The recognition settings sent to Google, one for the process. `recognition` makes it and checks the model.

    `model` changes once, for all calls, when Google turns out to lack it.
    """

    language: str
    model: str
    phrases: tuple[str, ...] = ()

    def lacks(self, model: str, why: str) -> None:
        """Use the default model from now on, and log that once: Google has no such model for the language."""
        if self.model == model:
            log.error(
                "[STT] Google refuses this model for the language; all calls use the default model",
                model=model,
                language=self.language,
                err=why,
                remedy="set GCP_STT_MODEL to a model that the language has",
            )
            self.model = DEFAULT_MODEL


def recognition(language: str, model: str, phrases: tuple[str, ...] = ()) -> RecognitionConfig:
    """Map the language to Google's code and the model to one the language has."""
    return RecognitionConfig(google_code(language), supported_model(language, model), phrases)


def _config(config: RecognitionConfig, *, offsets: bool) -> cloud_speech.RecognitionConfig:
    contexts = [cloud_speech.SpeechContext(phrases=list(config.phrases))] if config.phrases else []
    return cloud_speech.RecognitionConfig(
        encoding=cloud_speech.RecognitionConfig.AudioEncoding.LINEAR16,
        sample_rate_hertz=SAMPLE_RATE,
        audio_channel_count=1,
        language_code=config.language,
        model=config.model,
        enable_word_time_offsets=offsets,
        speech_contexts=contexts,
    )


def streaming_recognize(channel: grpc.aio.Channel) -> Any:
    """The client's method of that name, on its channel and without a retry, for raw messages."""
    return channel.stream_stream(
        _METHOD, request_serializer=_REQUEST.SerializeToString, response_deserializer=_RESPONSE.FromString
    )


def opening(config: RecognitionConfig) -> Any:
    """The first message of a stream, raw: configuration only."""
    return cloud_speech.StreamingRecognizeRequest.pb(
        cloud_speech.StreamingRecognizeRequest(
            streaming_config=cloud_speech.StreamingRecognitionConfig(
                config=_config(config, offsets=True), interim_results=True, single_utterance=False
            )
        )
    )


def audio(linear16: bytes) -> Any:
    """Every further message, raw: audio only, at most `MESSAGE_BYTES`."""
    return _REQUEST(audio_content=linear16)


def request(config: RecognitionConfig, linear16: bytes) -> cloud_speech.RecognizeRequest:
    """One request with a whole utterance."""
    return cloud_speech.RecognizeRequest(
        config=_config(config, offsets=False), audio=cloud_speech.RecognitionAudio(content=linear16)
    )


def is_too_large(response: Any) -> bool:
    """Whether a raw response has more than speech can have; reading it would keep every call waiting."""
    results = response.results
    if len(results) > MOST_WORDS:
        return True
    best = [result.alternatives[0] for result in results if result.alternatives]
    words, characters = sum(len(each.words) for each in best), sum(len(each.transcript) for each in best)
    return words > MOST_WORDS or characters > MOST_CHARACTERS


def portions(response: Any, sent: int) -> list[Portion]:
    """Read all results of a raw `StreamingRecognizeResponse`: a final, then interims, in order of time.

    A result without alternatives has no text. If no result has its end, it reaches to the end of its last word, or as
    far as samples were `sent`.
    """
    read = []
    for result in response.results:
        text, words = "", tuple[Word, ...]()
        if result.alternatives:
            best = result.alternatives[0]
            text = best.transcript
            words = tuple(Word(w.word, _samples(w.start_time), _samples(w.end_time)) for w in best.words)
        end_time = _samples(result.result_end_time)
        end = end_time or (words[-1].end if words else sent)
        dated = bool(end_time)
        read.append(
            Portion(text=text, end=end, final=result.is_final, stability=result.stability, words=words, dated=dated)
        )
    return read


def transcript(response: Any) -> str:
    """Join the results of a raw `RecognizeResponse`; Google puts the space in front of each further one."""
    return "".join(r.alternatives[0].transcript for r in response.results if r.alternatives).strip()


def _samples(duration: Any) -> int:
    return int(duration.seconds * SAMPLE_RATE + duration.nanos * SAMPLE_RATE // _NANOS)
