"""`turns` in `tuning.json`: the thresholds of turns and the two lists of words that decide interruptions.

{"turns": {"fillerMilliseconds": 1500, "interruptWords": 2, "backchannelWords": ["כן", "אהה"]}}
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from batkol.errors import ConfigurationError
from batkol.speech.lexicon import BACKCHANNEL, STOPPING
from batkol.speech.turn_thresholds import TurnThresholds

MOST_WORDS: Final = 500

Milliseconds: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=60_000)] | UnsetType
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=20)] | UnsetType
TurnWord: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=50)]
TurnWords: TypeAlias = Annotated[tuple[TurnWord, ...], msgspec.Meta(max_length=MOST_WORDS)] | UnsetType

TURN_BOUNDS: Final = {"Milliseconds": (0, 60_000), "": (0, 20)}
"""Bounds of a field by the end of its name, both ends included."""


class TurnTuning(msgspec.Struct, frozen=True, kw_only=True):
    """The tuning of turns in force."""

    thresholds: TurnThresholds = TurnThresholds()
    backchannel: tuple[str, ...] = BACKCHANNEL
    stopping: tuple[str, ...] = STOPPING


class TurnsDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The section as written: what it leaves out is `UNSET`. `batkol.speech.turn_thresholds` says what each one is."""

    guess_quiet_milliseconds: Milliseconds = UNSET
    keep_attempt_milliseconds: Milliseconds = UNSET
    unfinished_milliseconds: Milliseconds = UNSET
    dictation_milliseconds: Milliseconds = UNSET
    rejoin_milliseconds: Milliseconds = UNSET
    filler_milliseconds: Milliseconds = UNSET
    apology_milliseconds: Milliseconds = UNSET
    tools_text_milliseconds: Milliseconds = UNSET
    wordless_milliseconds: Milliseconds = UNSET
    standing_milliseconds: Milliseconds = UNSET
    standing_final_milliseconds: Milliseconds = UNSET
    give_way_milliseconds: Milliseconds = UNSET
    late_answer_milliseconds: Milliseconds = UNSET
    quiet_line_milliseconds: Milliseconds = UNSET
    idle_milliseconds: Milliseconds = UNSET
    keys_pause_milliseconds: Milliseconds = UNSET
    ending_milliseconds: Milliseconds = UNSET
    transfer_milliseconds: Milliseconds = UNSET
    interruption_milliseconds: Milliseconds = UNSET
    interrupt_words: Count = UNSET
    guesses: Count = UNSET
    idle_prompts: Count = UNSET
    false_interruptions: Count = UNSET
    keys_interrupt: bool | UnsetType = UNSET
    backchannel_words: TurnWords = UNSET
    stop_words: TurnWords = UNSET

    def merged(self, defaults: TurnTuning) -> TurnTuning:
        """Fill what the section leaves out. Raises `ConfigurationError` where two of its numbers exclude each other."""
        given = {
            name.replace("_milliseconds", "_ms"): value
            for name, value in msgspec.structs.asdict(self).items()
            if value is not UNSET
        }
        backchannel = given.pop("backchannel_words", defaults.backchannel)
        stopping = given.pop("stop_words", defaults.stopping)
        try:
            thresholds = msgspec.structs.replace(defaults.thresholds, **given)
        except ValueError as error:
            raise ConfigurationError(f"turns: {error}") from None
        return TurnTuning(thresholds=thresholds, backchannel=backchannel, stopping=stopping)


def rule(path: str) -> str | None:
    """Return the whole rule for a field of this section, or None where there is none of numbers."""
    name = path.removeprefix("turns.")
    if name == "keysInterrupt":
        return f"{path} must be true or false"
    if name in {"backchannelWords", "stopWords"} or name not in _NAMES:
        return None
    low, high = TURN_BOUNDS["Milliseconds" if name.endswith("Milliseconds") else ""]
    unit = " of milliseconds" if name.endswith("Milliseconds") else ""
    return f"{path} must be a whole number{unit} from {low} to {high}"


_NAMES: Final = frozenset(TurnsDocument.__struct_encode_fields__)
