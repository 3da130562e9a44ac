"""`tuning.json`: the numbers and the recognizers that may change while calls are up.

    {"revision": "7", "recognition": {"batchMilliseconds": 150, "order": ["soniox/stt-rt-v5", "google-v1/default"]}}

The file is refused whole if one number of it is wrong. A name of a recognizer that this process cannot use is refused
with the other names alone (`batkol.live.recognizer_means`): the numbers apply.

Field names and bounds are those of the `VoiceAgent` resource; `turns` (`batkol.live.turn_tuning`) is not part of it
so far. Every field is optional; an absent one is the process's own setting.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from batkol.errors import ConfigurationError
from batkol.live import strict_document
from batkol.live.recognizer_means import LONGEST_NAME, MOST_RECOGNIZERS, RecognizerMeans
from batkol.live.source import TUNING
from batkol.live.strict_document import content_revision
from batkol.live.turn_tuning import TurnsDocument, TurnTuning
from batkol.live.turn_tuning import rule as turn_rule

# Milliseconds, both ends included; the same in the custom resource's schema.
BOUNDS = {
    "recognition.batchMilliseconds": (20, 1000),
    "recognition.partialDebounceMilliseconds": (0, 2000),
    "recognition.finalTimeoutMilliseconds": (100, 5000),
    "endpointing.silenceMilliseconds": (100, 3000),
    "endpointing.minimumSpeechMilliseconds": (0, 1000),
    "endpointing.preRollMilliseconds": (0, 1000),
}
NO_MEANS: Final = RecognizerMeans()

_RecognizerName: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_NAME)]
_STAYS = "The service applied nothing of this change and keeps the last valid tuning; correct the file to try again."


class Tuning(msgspec.Struct, frozen=True, kw_only=True):
    """The tuning in force. All times in milliseconds."""

    batch_ms: int = 150  # audio in one message to the recognizer
    partial_debounce_ms: int = 180  # least time between two partials of an utterance
    final_timeout_ms: int = 700  # how long a final may be late before the newest partial stands in for it
    silence_ms: int = 480  # quiet that ends an utterance
    minimum_speech_ms: int = 96  # sound shorter than this begins none
    pre_roll_ms: int = 300  # audio from before speech was noticed that goes with it
    turns: TurnTuning = TurnTuning()
    recognizers: tuple[str, ...] = ()  # the streaming ones by name, in the order in which a call tries them
    revision: str = "defaults"


class _Recognition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    batch_milliseconds: Annotated[int, msgspec.Meta(ge=20, le=1000)] | UnsetType = UNSET
    partial_debounce_milliseconds: Annotated[int, msgspec.Meta(ge=0, le=2000)] | UnsetType = UNSET
    final_timeout_milliseconds: Annotated[int, msgspec.Meta(ge=100, le=5000)] | UnsetType = UNSET
    recognizer: _RecognizerName | UnsetType = UNSET
    order: Annotated[tuple[_RecognizerName, ...], msgspec.Meta(max_length=MOST_RECOGNIZERS)] | UnsetType = UNSET


class _Endpointing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    silence_milliseconds: Annotated[int, msgspec.Meta(ge=100, le=3000)] | UnsetType = UNSET
    minimum_speech_milliseconds: Annotated[int, msgspec.Meta(ge=0, le=1000)] | UnsetType = UNSET
    pre_roll_milliseconds: Annotated[int, msgspec.Meta(ge=0, le=1000)] | UnsetType = UNSET


class TuningDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The file as written: what it leaves out is `UNSET`."""

    revision: Annotated[str, msgspec.Meta(min_length=1, max_length=253)] | UnsetType = UNSET
    recognition: _Recognition = _Recognition()
    endpointing: _Endpointing = _Endpointing()
    turns: TurnsDocument = TurnsDocument()

    def merged(self, defaults: Tuning, *, revision: str, means: RecognizerMeans) -> Tuning:
        """Fill what the file leaves out from `defaults`; `revision` stands in where the file names none."""
        recognition, ends = self.recognition, self.endpointing
        return Tuning(
            batch_ms=_or(recognition.batch_milliseconds, defaults.batch_ms),
            partial_debounce_ms=_or(recognition.partial_debounce_milliseconds, defaults.partial_debounce_ms),
            final_timeout_ms=_or(recognition.final_timeout_milliseconds, defaults.final_timeout_ms),
            silence_ms=_or(ends.silence_milliseconds, defaults.silence_ms),
            minimum_speech_ms=_or(ends.minimum_speech_milliseconds, defaults.minimum_speech_ms),
            pre_roll_ms=_or(ends.pre_roll_milliseconds, defaults.pre_roll_ms),
            turns=self.turns.merged(defaults.turns),
            recognizers=means.names(recognition.recognizer, recognition.order),
            revision=revision if self.revision is UNSET else self.revision,
        )


_DECODER = msgspec.json.Decoder(TuningDocument)


def parse_tuning(raw: bytes, defaults: Tuning, means: RecognizerMeans = NO_MEANS) -> Tuning:
    """Read `tuning.json`; `means` has the recognizers where the file names none.

    Raises `ConfigurationError`, a sentence, if anything in the file is wrong.
    """
    document = strict_document.read(TUNING, raw, _DECODER, _rule, _STAYS)
    try:
        return document.merged(defaults, revision=content_revision(raw), means=means)
    except ConfigurationError as error:
        raise ConfigurationError(f"{TUNING}: {error}. {_STAYS}") from None


def _or(value: int | UnsetType, default: int) -> int:
    return default if value is UNSET else value


def _rule(path: str) -> str | None:
    if bounds := BOUNDS.get(path):
        return f"{path} must be a whole number of milliseconds from {bounds[0]} to {bounds[1]}"
    if path.startswith("recognition.order"):
        return (
            f"recognition.order must be a list of at most {MOST_RECOGNIZERS} names of recognizers, each of 1 to "
            f"{LONGEST_NAME} characters"
        )
    if path == "recognition.recognizer":
        return f"{path} must be the name of a recognizer, such as google-v1/default, of 1 to {LONGEST_NAME} characters"
    return turn_rule(path)
