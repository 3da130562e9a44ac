"""The audio that a comparison sends, which vendors charge for: known before the first request."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from batkol.compare.known_speech import KnownSpeech
from batkol.compare.listening import FORCED_MS, TAIL_S
from batkol.errors import ConfigurationError

_PROBE_S: Final = FORCED_MS / 1000


def minutes(speech: Sequence[KnownSpeech], *, streaming: int, single: int, probes: int) -> float:
    """Return the most minutes of audio that so many recognizers are sent.

    Those that stream hear the silence behind each sound, too, and `probes` of the sounds a second time.
    """
    sound_s = sum(each.seconds for each in speech)
    longest = sorted((each.seconds + _PROBE_S for each in speech), reverse=True)[:probes]
    return (streaming * (sound_s + TAIL_S * len(speech) + sum(longest)) + single * sound_s) / 60


def within(
    speech: Sequence[KnownSpeech], budget: float, *, streaming: int, single: int, probes: int, seed: int | None
) -> Sequence[KnownSpeech]:
    """Return what may be heard for so many minutes: all of it, or with a seed a random part, whole calls.

    Raises `ConfigurationError` if all of it is more than the budget, and there is no seed; or if no call fits.
    """
    needed = minutes(speech, streaming=streaming, single=single, probes=probes)
    if needed <= budget:
        return speech
    if seed is None:
        raise ConfigurationError(
            f"the recognizers would be sent up to {needed:.1f} minutes of audio, more than --budget {budget:g}, so "
            f"nothing was sent. Set --budget {needed + 0.05:.1f}, compare fewer recognizers, or have a random part "
            "compared with --seed 1."
        )
    groups = sorted({each.group for each in speech})
    random.Random(seed).shuffle(groups)  # noqa: S311  not a secret
    chosen: set[str] = set()
    for group in groups:
        part = [each for each in speech if each.group in chosen or each.group == group]
        if minutes(part, streaming=streaming, single=single, probes=min(probes, len(part))) <= budget:
            chosen.add(group)
    if not chosen:
        raise ConfigurationError(f"no call is short enough for --budget {budget:g}; raise the budget.")
    return [each for each in speech if each.group in chosen]
